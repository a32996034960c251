"""Older versions of ONNX Runtime load what nibble writes and answer the same.

Slow to set up, so only with NIBBLE_VERSIONS=1: each version is installed into a
virtual environment of its own below build/.
"""

import re

import pytest

import forms_jobs
import forms_versions
from forms_models import OPERATORS, PLACES

TOLERANCE = 1e-5  # of the largest output
FORMS = ["run", "auto", "load", "portable", "nbits", "generic"]
VERSIONS = {"1.20.1": ["portable"],
            "1.22.1": ["run", "portable", "nbits", "generic"],
            "1.24.3": FORMS,
            "1.27.0": FORMS}
CASES = forms_jobs.spread(OPERATORS, FORMS, list(PLACES), ["int4", "uint4", "int8", "uint8"],
                          ["default", "channel", 32, "default", 20, "tensor", 16])
# Up to 1.27 a DequantizeLinear without a zero point goes wrong before a Transpose: it
# loses its scales, or the model does not load.
CASES += [forms_jobs.Case(operator, form, "initializer", kind, group)
          for operator in ("matmul-transpose", "gemm-transpose") for form in FORMS
          for kind in ("int4", "int8") for group in ("channel", "tensor", 20)]

# What is wrong in a version, and not in nibble: a pattern of cases, and of what
# happens to them. Whoever runs such a version has `portable`.
KNOWN = {}


@pytest.fixture(scope="module")
def bench(run, tmp_path_factory):
    return forms_jobs.Bench(CASES, run, tmp_path_factory.mktemp("versions"))


@pytest.fixture
def ask(request):
    """ask(VERSION) -> {case: answer}"""
    forms_versions.need(request)
    bench = request.getfixturevalue("bench")

    def ask(version):
        def runner(jobs):
            python = forms_versions.environment(f"ort-{version}", f"onnxruntime=={version}",
                                                "numpy<3")
            return forms_versions.run(python, "onnxruntime", jobs)
        cases = [case for case in CASES if case.form in VERSIONS[version]]
        return bench.ask(version, cases, runner)

    return ask


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("version", VERSIONS)
def test_version(version, operator, ask):
    wrong = {str(case): answer for case, answer in ask(version).items()
             if case.operator == operator and not is_right(version, case, answer)}
    assert not wrong


def is_right(version, case, answer):
    for pattern, what in KNOWN.get(version, {}).items():
        if re.fullmatch(pattern, str(case)):
            return bool(re.search(what, str(answer)))
    return not isinstance(answer, str) and answer <= TOLERANCE
