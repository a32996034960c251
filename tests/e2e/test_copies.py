"""ONNX Runtime computes on codes only if a MatMul has them for itself. Copies of codes have a
limit in total, and no model becomes larger than it was."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import forms_models as models
from forms_check import FORMS, check
from forms_models import node
from oracle import Scheme

K = 256
ONE = K * K // 2 + K * 4  # bytes of codes and scales of int4 in blocks of 256


def matrix(name, seed=0, dtype=np.float32, rows=K):
    values = np.random.default_rng(seed).standard_normal((rows, K)) / 16
    return onnx.numpy_helper.from_array(values.astype(dtype), name)


def tower(weights, dtype=TensorProto.FLOAT, op_type="MatMul"):
    """MatMuls in a row that use weights with these names."""
    nodes, x = [], "X"
    for i, weight in enumerate(weights):
        y = f"y{i}"
        nodes += [node(op_type, [x, weight], y), node("Tanh", [y], f"t{i}")]
        x = f"t{i}"
    nodes[-1].output[0] = "Y"
    made = [matrix(name, seed, helper.tensor_dtype_to_np_dtype(dtype))
            for seed, name in enumerate(sorted(set(weights)))]
    x, y = (helper.make_tensor_value_info(name, dtype, [2, K]) for name in "XY")
    graph = helper.make_graph(nodes, "tower", [x], [y], made)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def feeds():
    return [{"X": np.random.default_rng(9).standard_normal((2, K)).astype(np.float32)}]


def forms_of(result, name="W"):
    return [row["form"] for row in result.report["weights"] if row["name"] == name]


def stored(result):
    """The number of sets of codes in the file."""
    return sum(len(t.raw_data) >= K * K / 2 for t in result.load().graph.initializer)


@pytest.mark.parametrize("below, form, copies, own", [
    (None, "run", 1, "DequantizeLinear"), ("0", "run", 1, "DequantizeLinear"),
    (None, "auto", 1, "load"), (str(ONE), "auto", 2, "DequantizeLinear"),
    (str(ONE), "run", 2, "DequantizeLinear"), (str(ONE - 1), "run", 1, "DequantizeLinear"),
    (None, "nbits", 1, "MatMulNBits"), (None, "generic", 1, "DequantizeLinear"),
    (None, "load", 1, "load"), (None, "portable", 1, "portable")])
def test_total(below, form, copies, own, quantize):
    """A copy is fused. Consumers that share codes are not fused, except MatMulNBits."""
    result, left = check(tower("WW"), feeds(), Scheme(), form, quantize,
                         ["--copy-below", below] if below else [])
    assert forms_of(result) == [own] * copies
    assert left["MatMulNBits"] == (2 if copies == 2 or form == "nbits" else 0)
    assert stored(result) == copies
    report = result.report
    wanted = own != "MatMulNBits" and form in ("run", "auto")
    assert (report["copies"], report["copy_bytes"]) == ((1, ONE) if copies == 2 else (0, 0))
    assert (report["sharing"], report["sharing_bytes"]) == (
        (2, ONE) if wanted and copies == 1 else (0, 0))
    if form != "portable":
        assert report["bits_per_weight"] == 8 * ONE / K ** 2


@pytest.mark.parametrize("uses, others, copied", [
    (2, 0, 1), (2, 1, 2), (2, 9, 2), (3, 9, 1), (20, 30, 1)])
def test_default_total(uses, others, copied, quantize):
    """The default is a quarter of the weight, which is one copy of int4, and a tenth of the
    model."""
    weights = ["W"] * uses + [f"other{i}" for i in range(others)]
    result = quantize(tower(weights))
    assert len(forms_of(result)) == copied
    assert result.output.stat().st_size < result.model.stat().st_size / 4


def test_default_total_of_many(quantize):
    """Ten weights have two consumers each. Not all copies fit into a tenth of the model."""
    names = [f"w{i}" for i in range(10)]
    result = quantize(tower(names + names))
    size = result.model.stat().st_size
    report = result.report
    copies, each = report["copies"], report["copy_bytes"] // report["copies"]
    assert copies == size // 10 // each == 7
    assert report["sharing"] == 2 * (10 - copies)
    assert report["sharing_bytes"] == (10 - copies) * each


@pytest.mark.parametrize("below", [None, 10 ** 12])
@pytest.mark.parametrize("form", ["run", "auto", "nbits", "load"])
@pytest.mark.parametrize("kind", ["int4", "int8"])
@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_never_larger(dtype, kind, form, below, quantize):
    """One weight has 20 consumers."""
    result, _ = check(tower("W" * 20, dtype), [{"X": feeds()[0]["X"].astype(
        helper.tensor_dtype_to_np_dtype(dtype))}], Scheme(kind), form, quantize,
        ["--copy-below", below] if below else [],
        dtype="float" if dtype == TensorProto.FLOAT else "float16")
    assert result.output.stat().st_size < result.model.stat().st_size
    assert stored(result) == 1
    assert result.report["bits_per_weight"] < (4.2 if kind == "int4" else 8.2)


def test_bits_per_weight(quantize):
    """The option bounds the stored bits, and a weight with many consumers does not prevent it."""
    result = quantize(tower("W" * 20 + "V"), "--bits-per-weight", 4.5)
    assert result.report["bits_chosen"] <= 4.5
    codes = sum(len(t.raw_data) for t in result.load().graph.initializer if len(t.raw_data) > 8)
    assert codes * 8 / (2 * K * K) <= 4.5


def test_many_consumers(quantize):
    """A small file can't ask for much memory or disk."""
    result = quantize(tower("W" * 3000), "--copy-below", 10 ** 15)
    assert result.output.stat().st_size < result.model.stat().st_size
    assert stored(result) == 1


# ---- branches --------------------------------------------------------------------

def decoder(outer):
    """Two branches with the same weight. It is in the graph around them, or each branch has its
    own."""
    def branch(i):
        nodes = [node("MatMul", ["X", f"W{'' if outer else i}"], f"m{i}"),
                 node(("Tanh", "Sigmoid")[i], [f"m{i}"], f"o{i}")]
        output = helper.make_tensor_value_info(f"o{i}", TensorProto.FLOAT, [2, K])
        return helper.make_graph(nodes, f"branch{i}", [], [output],
                                 [] if outer else [matrix(f"W{i}", i)])
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, K]) for name in "XY")
    past = helper.make_tensor_value_info("past", TensorProto.BOOL, [])
    choose = node("If", ["past"], "Y", then_branch=branch(0), else_branch=branch(1))
    graph = helper.make_graph([choose], "decoder", [x, past], [y],
                              [matrix("W", 3)] if outer else [])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


@pytest.mark.parametrize("form, below, codes, fused", [
    ("run", None, 1, 0), ("auto", None, 1, 0), ("nbits", None, 1, 2), ("run", 10 ** 6, 2, 2)])
def test_merged_decoder(form, below, codes, fused, quantize):
    """Codes of the graph around a body are stored there once. If copies are allowed, each body
    has its own, because ONNX Runtime fuses and loads no others."""
    past = [dict(feeds()[0], past=np.array(which)) for which in (True, False)]
    result, left = check(decoder(True), past, Scheme(), form, quantize,
                         ["--copy-below", below] if below else [])
    assert left["MatMulNBits"] == fused
    assert result.output.stat().st_size < codes * ONE + 4000


def test_branches_of_their_own(quantize):
    past = [dict(feeds()[0], past=np.array(which)) for which in (True, False)]
    _, left = check(decoder(False), past, Scheme(), "run", quantize)
    assert left["MatMulNBits"] == 2


# ---- what a user is told -----------------------------------------------------------

def test_report_says_what_sharing_costs(run, tmp_path):
    onnx.save(tower("WWW"), tmp_path / "in.onnx")
    done = run("quantize", tmp_path / "in.onnx", "-o", tmp_path / "out.onnx", "-v")
    said = (done.stdout + done.stderr).decode()
    assert "3 consumers share codes" in said and "--copy-below" in said
    done = run("quantize", tmp_path / "in.onnx", "-o", tmp_path / "out.onnx", "-v",
               "--copy-below", 10 ** 6)
    said = (done.stdout + done.stderr).decode()
    assert "copies     2 of codes" in said and "share codes" not in said


# ---- small weights -------------------------------------------------------------------

def small(shapes):
    """A MatMul for each weight of these shapes. Their results are added up."""
    nodes, tensors, parts = [], [], []
    rng = np.random.default_rng(1)
    for i, (k, n) in enumerate(shapes):
        name = f"model.decoder.layers.{i}.a.rather.long.name.weight"
        tensors.append(onnx.numpy_helper.from_array(rng.standard_normal((k, n), np.float32), name))
        tensors.append(onnx.numpy_helper.from_array(np.arange(k), f"i{i}"))
        nodes += [node("Gather", ["X", f"i{i}"], f"x{i}", axis=1),
                  node("MatMul", [f"x{i}", name], f"m{i}"),
                  node("ReduceMax", [f"m{i}"], f"r{i}")]
        parts.append(f"r{i}")
    nodes.append(node("Sum", parts, "Y"))
    x = helper.make_tensor_value_info("X", TensorProto.FLOAT, [2, 256])
    y = helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "small", [x], [y], tensors)
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)])


@pytest.mark.parametrize("form", ["run", "load", "portable", "nbits", "auto"])
def test_small_weights(form, quantize, run):
    """The nodes and names of forms count, too, so such a model stays as it is. A dry
    run says so."""
    result = quantize(small([(16, 4)] * 40), "--min-elements", 1, *FORMS[form])
    dry = run(result.model, "--dry-run", "--json", "-", "--min-elements", 1, *FORMS[form])
    assert json.loads(dry.stdout)["weights"] == result.report["weights"]
    assert result.output.stat().st_size <= result.model.stat().st_size
    assert not result.report["quantized"]
    assert "more room than it saves" in result.report["weights"][0]["reason"]


@pytest.mark.parametrize("form", ["run", "load", "portable", "nbits", "auto"])
def test_small_beside_middling(form, quantize):
    result = quantize(small([(16, 4)] * 60 + [(64, 32)]), "--min-elements", 1, *FORMS[form])
    assert result.output.stat().st_size <= result.model.stat().st_size
    large, = [row for row in result.report["weights"] if row["dims"] == [64, 32]]
    assert large["quantized"]
