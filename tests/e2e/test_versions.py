"""Older versions of ONNX Runtime load what nibble writes and answer the same.

The setup is slow, so these tests run only with NIBBLE_VERSIONS=1. Each version is installed
into a virtual environment of its own below build/. The models are generated or real.
"""

import re
import sys

import pytest

import elsewhere
import environments
import forms_jobs
import forms_versions
import versions_models
from forms_models import OPERATORS, PLACES

TOLERANCE = 1e-5  # of the largest output
FORMS = ["run", "auto", "load", "portable", "nbits", "generic"]
VERSIONS = {"1.20.1": ["portable"],
            "1.22.1": ["run", "portable", "nbits", "generic"],
            "1.24.3": FORMS,
            "1.27.0": FORMS,
            "newest": FORMS}  # the one that all other tests use
CASES = forms_jobs.spread(OPERATORS, FORMS, list(PLACES), ["int4", "uint4", "int8", "uint8"],
                          ["default", "channel", 32, "default", 20, "tensor", 16])
# Up to 1.27 a DequantizeLinear without a zero point in front of a Transpose goes wrong. It
# loses its scales, or the model does not load.
CASES += [forms_jobs.Case(operator, form, "initializer", kind, group)
          for operator in ("matmul-transpose", "gemm-transpose") for form in FORMS
          for kind in ("int4", "int8") for group in ("channel", "tensor", 20)]

REAL = [versions_models.Case(name, form, kind, group) for name in versions_models.NAMES
        for form in FORMS for kind, group in (("int4", "default"), ("uint4", 32))]

# Faults of a version and not of nibble: a pattern of cases, and what happens to them. Users
# of such a version can take `portable`.
KNOWN = {}


@pytest.fixture(scope="module")
def bench(run, tmp_path_factory):
    return forms_jobs.Bench(CASES, run, tmp_path_factory.mktemp("versions"))


@pytest.fixture(scope="module")
def real_bench(run, find_model, tmp_path_factory):
    make = versions_models.Maker(find_model)
    return forms_jobs.Bench(REAL, run, tmp_path_factory.mktemp("real"), make)


def ask(version, bench, cases):
    """{case: answer} for cases whose form the version has."""
    def runner(jobs):
        python = sys.executable
        if version != "newest":
            python = environments.python(f"ort-{version}", f"onnxruntime=={version}",
                                         "numpy<3")
        return elsewhere.run(python, "onnxruntime", jobs)
    return bench.ask(version, [case for case in cases if case.form in VERSIONS[version]], runner)


def check(version, answers, operator):
    mine = {case: answer for case, answer in answers.items() if case.operator == operator}
    assert {case.form for case in mine} == set(VERSIONS[version])
    assert not {str(case): answer for case, answer in mine.items()
                if not is_right(version, case, answer)}


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("version", VERSIONS)
def test_version(version, operator, request):
    forms_versions.need(request)
    check(version, ask(version, request.getfixturevalue("bench"), CASES), operator)


@pytest.mark.parametrize("name", versions_models.NAMES)
@pytest.mark.parametrize("version", VERSIONS)
def test_real_model(version, name, request, real_model):
    forms_versions.need(request)
    real_model(f"{name}.onnx")  # skips where it is missing
    check(version, ask(version, request.getfixturevalue("real_bench"), REAL), name)


def is_right(version, case, answer):
    for pattern, what in KNOWN.get(version, {}).items():
        if re.fullmatch(pattern, str(case)):
            return bool(re.search(what, str(answer)))
    return not isinstance(answer, str) and answer <= TOLERANCE
