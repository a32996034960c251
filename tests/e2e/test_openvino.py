"""OpenVINO loads the standard forms. Its answers are the same within the error of its int8
activations.

These tests run only with NIBBLE_VERSIONS=1. They install OpenVINO into a virtual environment
of its own below build/.
"""

import pytest

import elsewhere
import environments
import forms_jobs
import forms_versions
import versions_models
from forms_models import OPERATORS

VERSION = "2026.4.1"
FORMS = ["run", "load", "portable"]
TOLERANCE = 2e-2  # of the largest output
EXACT = 1e-4  # with activations in float

# It wants whole blocks, and it lacks com.microsoft's operators.
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

# Real models: it wants whole blocks, which the default has in all of them.
REAL = [versions_models.Case(name, *rest) for name in versions_models.NAMES for rest in [
    ("float", "", ""), ("run", "int4", "channel"), ("run", "uint4", "channel"),
    ("run", "int8", "channel"), ("run", "int4", "default"), ("load", "int4", "default"),
    ("load", "uint4", 32), ("portable", "int4", "default"), ("portable", "uint4", 32)]]
# Deep, and with steps of 8 bits as fine as those of the activations.
LOOSE = {"ppocr_rec-run-int8-channel": 3e-2}
REFUSED = {"silero_lstm": "Conversion is failed"}  # as it is: ranks that it can't infer


@pytest.fixture(scope="module")
def bench(run, tmp_path_factory):
    return forms_jobs.Bench(CASES, run, tmp_path_factory.mktemp("openvino"))


@pytest.fixture(scope="module")
def real_bench(run, find_model, tmp_path_factory):
    make = versions_models.Maker(find_model)
    return forms_jobs.Bench(REAL, run, tmp_path_factory.mktemp("real"), make)


def ask(exact, bench, cases):
    """{case: answer}"""
    def runner(jobs):
        python = environments.python("openvino", f"openvino=={VERSION}", "numpy<3")
        return elsewhere.run(python, "openvino", jobs, exact)
    return bench.ask(exact, cases, runner)


@pytest.mark.parametrize("operator", dict.fromkeys(case.operator for case in CASES))
@pytest.mark.parametrize("exact", [False, True], ids=["as it is", "float activations"])
def test_openvino(exact, operator, request):
    forms_versions.need(request)
    limit = EXACT if exact else TOLERANCE
    answers = ask(exact, request.getfixturevalue("bench"), CASES)
    wrong = {str(case): answer for case, answer in answers.items()
             if case.operator == operator and not is_right(case, answer, limit)}
    assert not wrong


@pytest.mark.parametrize("name", versions_models.NAMES)
@pytest.mark.parametrize("exact", [False, True], ids=["as it is", "float activations"])
def test_real_model(exact, name, request, real_model):
    forms_versions.need(request)
    real_model(f"{name}.onnx")  # skips where it is missing
    answers = ask(exact, request.getfixturevalue("real_bench"), REAL)
    mine = {str(case): answer for case, answer in answers.items() if case.name == name}
    assert len(mine) == len(REAL) // len(versions_models.NAMES)
    if name in REFUSED:
        assert all(REFUSED[name] in str(answer) for answer in mine.values())
        return
    assert not {case: answer for case, answer in mine.items()
                if isinstance(answer, str)
                or answer > (EXACT if exact else LOOSE.get(case, TOLERANCE))}


def is_right(case, answer, limit):
    if isinstance(answer, str):
        return case.form in KNOWN and KNOWN[case.form] in answer
    return answer <= limit
