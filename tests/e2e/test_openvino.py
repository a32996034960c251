"""OpenVINO loads the standard forms and answers the same within what its activations
in int8 allow.

Only with NIBBLE_VERSIONS=1: it is installed into a virtual environment of its own
below build/.
"""

import pytest

import forms_jobs
import forms_versions
from forms_models import OPERATORS

VERSION = "2026.4.1"
FORMS = ["run", "load", "portable"]
TOLERANCE = 2e-2  # of the largest output
EXACT = 1e-4  # with activations in float

# It wants whole blocks, and has none of com.microsoft's operators.
KNOWN = {"run": "cannot be divided by block_size"}
STANDARD = [name for name, operator in OPERATORS.items() if not operator.domains]
CASES = forms_jobs.spread(STANDARD, FORMS, ["initializer", "constant", "shared"],
                          ["int4", "uint4", "int8", "uint8"],
                          ["default", "channel", 32, "default", 20, "tensor", 16])
# Blocks of 4-bit codes, by arithmetic: scales as large as the weight would make it
# compute something else without a word.
CASES += [forms_jobs.Case(operator, form, "initializer", kind, group)
          for operator in ("matmul-whole", "matmul-long", "matmul", "gemm-transb", "lstm")
          for form in ("load", "portable") for kind in ("int4", "uint4")
          for group in ("default", 32, 20, 16)]


@pytest.fixture(scope="module")
def bench(run, tmp_path_factory):
    return forms_jobs.Bench(CASES, run, tmp_path_factory.mktemp("openvino"))


@pytest.mark.parametrize("operator", dict.fromkeys(case.operator for case in CASES))
@pytest.mark.parametrize("exact", [False, True], ids=["as it is", "float activations"])
def test_openvino(exact, operator, request):
    forms_versions.need(request)
    bench = request.getfixturevalue("bench")

    def runner(jobs):
        python = forms_versions.environment("openvino", f"openvino=={VERSION}", "numpy<3")
        return forms_versions.run(python, "openvino", jobs, exact)
    limit = EXACT if exact else TOLERANCE
    wrong = {str(case): answer for case, answer in bench.ask(exact, CASES, runner).items()
             if case.operator == operator and not is_right(case, answer, limit)}
    assert not wrong


def is_right(case, answer, limit):
    if isinstance(answer, str):
        return case.form in KNOWN and KNOWN[case.form] in answer
    return answer <= limit
