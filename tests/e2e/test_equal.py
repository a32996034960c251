"""Equal weights with different names are stored once if that costs no time in a runtime. Codes
that several operators may share are stored once, too."""

import numpy as np
import onnx
import pytest

import build
import oracle
from build import info
from forms_check import FORMS, check
from forms_models import node, noise
from oracle import Scheme

SCHEME = Scheme("int4", 32, min_elements=16)
VALUES = noise((64, 64), 1).astype(np.float32)
# op -> the layer, its weight's shape, what X is
LAYERS = {
    "conv": (lambda x, w, y: node("Conv", [x, w], y), (64, 64, 1, 1), (1, 64, 3, 3)),
    "matmul": (lambda x, w, y: node("MatMul", [x, w], y), (64, 64), (3, 64)),
    "gather": (lambda x, w, y: node("Gather", [w, f"of {x}"], y), (64, 64), (3, 64)),
}


def twins(op, second=None, as_nodes=False, names=("P", "Q")):
    """Two layers of one kind on different inputs, and their product. `second` are the values of
    the other layer."""
    layer, shape, x = LAYERS[op]
    pair = [build.tensor(value.reshape(shape), name) for name, value in
            zip(names, (VALUES, VALUES if second is None else second), strict=True)]
    nodes = [layer("X", names[0], "A"), node("Neg", ["X"], "N"), layer("N", names[1], "B"),
             node("Mul", ["A", "B"], "Y")]
    indices = {"of X": np.array([5, 0, 63]), "of N": np.array([7, 0, 1])}
    if as_nodes:
        nodes = [build.constant(pair[0]), nodes[0], build.constant(pair[1]), *nodes[1:]]
        pair = []
    indices = indices if op == "gather" else {}
    model = build.model(nodes, [info("X", shape=x), *(info(name, onnx.TensorProto.INT64, [3])
                                                      for name in indices)],
                        [info("Y", rank=len(x))], pair, 21, 10)
    feed = np.random.default_rng(2).standard_normal(x).astype(np.float32)
    return model, [{"X": feed, **indices}]


def code_bytes(model):
    """The bytes of all tensors of codes."""
    return sum(len(t.raw_data) for t in build.every_tensor(model)
               if t.data_type in oracle.CODE_TYPE and len(t.raw_data) > 512)


ONCE = VALUES.size // 2
SHARED = [("conv", form) for form in FORMS] + [
    ("matmul", form) for form in ("load", "portable", "nbits", "generic")] + [
    ("gather", form) for form in FORMS]


@pytest.mark.parametrize("as_nodes", [False, True], ids=["initializers", "nodes"])
@pytest.mark.parametrize("op, form", SHARED)
def test_stored_once(op, form, as_nodes, quantize):
    model, feeds = twins(op, as_nodes=as_nodes)
    result, _ = check_twins(model, feeds, form, quantize)
    assert code_bytes(result.load()) == ONCE
    first, second = [row for row in result.report["weights"] if row["quantized"]]
    assert first["bytes"]["after"] > 0 and second["bytes"]["after"] == 0
    assert "stored once, with P" in second["why"]
    assert first["snr_db"] == second["snr_db"]


def check_twins(model, feeds, form, quantize):
    """As forms_check.check, which expects a plain decoder for each weight."""
    return check(model, feeds, SCHEME, "run" if form == "generic" else form, quantize,
                 options=FORMS["generic"] if form == "generic" else ())


def test_fused_ones_stay_apart(quantize):
    """ONNX Runtime fuses no DequantizeLinear of shared codes."""
    model, feeds = twins("matmul")
    result, left = check(model, feeds, SCHEME, "run", quantize)
    assert code_bytes(result.load()) == 2 * ONCE
    assert left["MatMulNBits"] == 2


@pytest.mark.parametrize("place", [0, 2000, 4095])
def test_nearly_equal(place, quantize):
    other = VALUES.copy()
    other.reshape(-1)[place] *= -1
    model, feeds = twins("conv", other)
    result, _ = check(model, feeds, SCHEME, "load", quantize)
    assert code_bytes(result.load()) == 2 * ONCE


def test_one_excluded(quantize):
    model, feeds = twins("conv")
    result = quantize(model, "--exclude", "^P$", *SCHEME.options())
    assert result.names == {"Q"}
    onnx.checker.check_model(str(result.output), full_check=True)
    result = quantize(model, "--exclude", "^Q$", *SCHEME.options())
    assert result.names == {"P"} and "Q" in {t.name for t in result.load().graph.initializer}


def test_both_unfit(quantize):
    """If a weight can't be quantized, an equal weight can't be quantized either."""
    values = VALUES.copy()
    values[3, 4] = np.nan
    layer, shape, x = LAYERS["conv"]
    model, _ = twins("conv", values)
    model.graph.initializer[0].CopyFrom(build.tensor(values.reshape(shape), "P"))
    model.graph.initializer.append(build.tensor(noise((64, 64, 1, 1), 3), "R"))
    model.graph.node.insert(0, layer("X", "R", "Z"))
    result = quantize(model, *SCHEME.options())
    assert result.names == {"R"}
    assert result.reasons["P"] == result.reasons["Q"] == "it contains NaN or infinity"


@pytest.mark.parametrize("twin", ["MatMul", "Gemm"])
def test_operators_that_share(twin, quantize):
    """Several MatMulNBits use one weight. It is stored once for each layout."""
    bias = build.tensor(np.arange(64), "bias")
    other = {"MatMul": node("MatMul", ["X", "P"], "B"),
             "Gemm": node("Gemm", ["X", "P", "bias"], "B", transB=1)}[twin]
    nodes = [node("MatMul", ["X", "P"], "A"), other, node("MatMul", ["A", "P"], "C"),
             node("Add", ["B", "C"], "Y")]
    model = build.model(nodes, [info("X", shape=(3, 64))], [info("Y", rank=2)],
                        [build.tensor(VALUES, "P"), bias], 21, 10)
    feed = np.random.default_rng(2).standard_normal((3, 64)).astype(np.float32)
    result = quantize(model, *SCHEME.options(), *FORMS["nbits"])
    onnx.checker.check_model(str(result.output))
    tensors = build.every_tensor(result.load())
    codes = [t for t in tensors if t.data_type == onnx.TensorProto.UINT8 and len(t.dims) == 3]
    assert len(codes) == (1 if twin == "MatMul" else 2)
    if twin == "MatMul":
        check(model, [{"X": feed}], SCHEME, "nbits", quantize)
