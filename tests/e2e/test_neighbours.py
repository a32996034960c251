"""Weights beside quantized activations. ONNX Runtime joins the nodes around them at its default
settings. The results must be the same as without joining."""

import dataclasses
import json
import os

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import forms_versions
from neighbours_models import OPERATORS, PLACES, feed, in_function, model

WAYS = {
    "int8": ["--type", "int8"], "uint8": ["--type", "uint8"],
    "uint8-asymmetric": ["--type", "uint8", "--asymmetric"],
    "int8-channel": ["--type", "int8", "--per-channel"],
    "int8-tensor": ["--type", "int8", "--per-tensor"],
    "int8-block": ["--type", "int8", "--block-size", "32"],
    "int8-block-generic": ["--type", "int8", "--block-size", "32", "--target", "generic"],
    "int8-auto": ["--type", "int8", "--decode", "auto"],
    "int8-nbits": ["--type", "int8", "--format", "nbits", "--block-size", "32"],
    "snr": ["--min-snr", "30"], "bits": ["--bits-per-weight", "8.9"],
    "int8-half": ["--type", "int8", "--scale-type", "float16"],
    "int4": [], "int4-auto": ["--decode", "auto"],
    "uint4-block": ["--type", "uint4", "--block-size", "32"],
}
# ONNX Runtime 1.27 to 1.32 does not load a model of opset 21 where int8 activations are
# moved past these, quantized weights or not.
MOVED = ("reshape", "reshape-front", "behind-reshape")
# Combinations that these runtimes have no kernels for, even without quantized activations.
VERSIONS = {"1.22.1": ("int8-nbits", "int4-auto"), "1.27.0": ()}
NO_OPTIMIZATION = ort.GraphOptimizationLevel.ORT_DISABLE_ALL


@dataclasses.dataclass(frozen=True)
class Case:
    operator: str
    place: str
    way: str
    kind: str

    def __str__(self):
        return f"{self.operator}-{self.place}-{self.way}-{self.kind}"


def cases_of(operator):
    """Each place and each way. The kinds of codes take turns. A quarter of all cases, in which
    each operator meets each place and each way. NIBBLE_SLOW=1 runs them all."""
    cases, turn = [], list(OPERATORS).index(operator)
    for i, place in enumerate(PLACES):
        for j, way in enumerate(WAYS):
            if (i + j + turn) % 4 and os.environ.get("NIBBLE_SLOW") != "1":
                continue
            kind = ["uint8", "int8", "uint8", "uint16"][(i + j) % 4]
            if kind == "int8" and place in MOVED:
                kind = "uint8"
            cases.append(Case(operator, place, way, kind))
    return cases


def snr(wanted, got):
    wanted, got = np.asarray(wanted, "f8"), np.asarray(got, "f8")
    noise = ((wanted - got) ** 2).sum()
    return 999 if noise == 0 else 10 * np.log10((wanted ** 2).sum() / noise)


def answer(path, feeds, level=ort.GraphOptimizationLevel.ORT_ENABLE_ALL, optimized=None):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = level
    if optimized:
        options.optimized_model_filepath = str(optimized)
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


class Bench:
    """Quantized models of one operator, with the answers of the float model."""

    def __init__(self, run, folder, cases, make=model):
        self.run, self.folder, self.cases, self.make = run, folder, cases, make

    def quantize(self, case):
        source, output = (self.folder / f"{case}.{end}" for end in ("float.onnx", "onnx"))
        onnx.save(self.make(case.operator, case.place, case.kind), source)
        done = self.run("quantize", source, "-o", output, "-q", "--json", "-", *WAYS[case.way])
        assert done.returncode == 0, done.stderr.decode()
        weights = json.loads(done.stdout)["weights"]
        row = next(w for w in weights if w["name"].endswith("W"))
        return output, answer(source, feed(case.operator), NO_OPTIMIZATION), row

    def check(self):
        wrong = {}
        for case in self.cases:
            output, wanted, row = self.quantize(case)
            assert row["quantized"]
            optimized = self.folder / "optimized.onnx"
            try:
                got = answer(output, feed(case.operator), optimized=optimized)
            except Exception as error:  # of any kind: ONNX Runtime has many
                wrong[str(case)] = str(error)[:200]
                continue
            fused = any(n.op_type == "MatMulNBits" for n in onnx.load(optimized).graph.node)
            if row["why"].startswith("computed on the codes") and not fused:
                wrong[str(case)] = "not fused"
            if snr(wanted, got) < (15 if row["type"].endswith("int4") else 28):
                wrong[str(case)] = f"{snr(wanted, got):.1f} dB, {row['form']}"
        return wrong


@pytest.mark.parametrize("operator", OPERATORS)
def test_right(operator, run, tmp_path):
    assert not Bench(run, tmp_path, cases_of(operator)).check()


@pytest.mark.parametrize("operator", ["matmul", "gemm", "conv"])
def test_in_function(operator, run, tmp_path):
    """ONNX Runtime puts a function in place of its node first. So activations that are
    quantized outside of it are next to the operator inside."""
    assert not Bench(run, tmp_path, cases_of(operator), in_function).check()


@pytest.mark.parametrize("operator", ["matmul", "matmul-bias", "gemm", "conv"])
def test_int8_that_is_moved(operator, run, tmp_path):
    """ONNX Runtime does not load such a model from opset 21 on: it stays below."""
    def below(*case):
        return model(*case, opset=17)
    ways = ["int8", "int8-block", "int8-nbits", "snr", "int4", "int4-auto", "int8-half"]
    cases = [Case(operator, place, way, "int8") for place in MOVED for way in ways]
    assert not Bench(run, tmp_path, cases, below).check()


@pytest.mark.parametrize("way", ["int8", "uint8-asymmetric"])
def test_floats_of_old_are_as_before(way, run, tmp_path):
    """Without quantized activations weights of 8 bits are cut into blocks and fused as always."""
    bench = Bench(run, tmp_path, [Case("matmul", "none", way, "uint8")])
    output, _, row = bench.quantize(bench.cases[0])
    assert row["granularity"].startswith("block")
    assert row["why"] == "computed on the codes"
    assert output.exists()


@pytest.mark.parametrize("version", VERSIONS)
def test_version(version, run, tmp_path, request):
    forms_versions.need(request)
    python = forms_versions.environment(f"ort-{version}", f"onnxruntime=={version}", "numpy<3")
    cases = [c for o in OPERATORS for c in cases_of(o) if c.way not in VERSIONS[version]]
    bench, jobs = Bench(run, tmp_path, cases), []
    for case in cases:
        output, wanted, _ = bench.quantize(case)
        feeds, answers = tmp_path / f"{case}.feed.npz", tmp_path / f"{case}.wanted.npz"
        np.savez(feeds, **feed(case.operator))
        np.savez(answers, wanted)
        jobs.append((str(output), str(feeds), str(answers)))
    answers = forms_versions.run(python, "onnxruntime", jobs)
    limits = [0.25 if c.way in ("bits", "int4", "int4-auto", "uint4-block") else 0.08
              for c in cases]
    assert not {str(c): a for c, a, limit in zip(cases, answers, limits, strict=True)
                if isinstance(a, str) or a > limit}
