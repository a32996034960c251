"""The default blocks of MatMul and Gemm divide the axis if they can. ONNX Runtime and numpy
agree on the results."""

import numpy as np
import onnx
import pytest

import forms_models as models
import runtime
from forms_check import check
from forms_models import Operator, node
from oracle import Scheme

WHOLE = [(256, 256), (512, 256), (384, 128), (192, 64), (576, 64), (3136, 64), (96, 32),
         (288, 32), (128, 128), (32, 32)]
PARTIAL = [(1000, 256), (257, 256), (16, 16)]
SHORT = [(200, 256), (40, 64), (17, 32)]  # longer than the axis: one scale, without nbits


def consumer(op_type, k):
    if op_type == "MatMul":
        return models.matmul(k, 24)
    return Operator(lambda x, w, y: [node("Gemm", [x, w], y, transB=1)], (24, k), (3, k), 2,
                    kind="fused")


@pytest.mark.parametrize("form", ["run", "nbits"])
@pytest.mark.parametrize("op_type", ["MatMul", "Gemm"])
@pytest.mark.parametrize("k, block", WHOLE + PARTIAL + SHORT)
def test_default_block(k, block, op_type, form, quantize):
    operator = consumer(op_type, k)
    model = models.as_initializer(operator, models.weight(operator), "float")
    scheme = Scheme(min_elements=16)
    result, left = check(model, models.all_feeds(model, operator), scheme, form, quantize)
    row, = [row for row in result.report["weights"] if row["quantized"]]
    if form == "run" and (k, block) in SHORT:
        assert row["granularity"] == f"channel, axis {op_type == 'MatMul':d}"
    else:
        assert row["granularity"] == f"block {block}, axis {op_type == 'Gemm':d}"
    assert row["form"] == ("MatMulNBits" if form == "nbits" else "DequantizeLinear")
    assert left["MatMulNBits"] == 1


@pytest.mark.parametrize("dtype", ["float", "float16"])
@pytest.mark.parametrize("kind", ["int4", "uint4", "int8", "uint8"])
@pytest.mark.parametrize("op_type", ["MatMul", "Gemm"])
@pytest.mark.parametrize("k, block", [(100, "default"), (257, "default"), (70, 32), (33, 16),
                                      (20, 32), (511, 128)])
def test_partial_block(k, block, op_type, kind, dtype, quantize):
    """In MatMulNBits the rest of the last block is zeros, as ONNX Runtime's own tool leaves
    them. Each channel begins with a whole block."""
    operator = consumer(op_type, k)
    model = models.as_initializer(operator, models.weight(operator, dtype), dtype)
    scheme = Scheme(kind, block, min_elements=16)
    result, left = check(model, models.all_feeds(model, operator, dtype), scheme, "nbits",
                         quantize, dtype=dtype)
    assert left["MatMulNBits"] == 1
    made = result.load().graph.node[-1]
    if made.op_type != "MatMulNBits":  # whole blocks would take as much as floats
        assert k in (20, 257) and dtype == "float16" and kind[-1] == "8"
        return
    codes = tensor_of(result, made.input[1])
    size = onnx.helper.get_node_attr_value(made, "block_size")
    bits = onnx.helper.get_node_attr_value(made, "bits")
    assert codes.shape == (24, -(-k // size), size * bits // 8)
    if bits == 4:
        codes = np.stack([codes & 15, codes >> 4], -1)
    assert not codes.reshape(24, -1)[:, k:].any()


def tensor_of(result, name):
    tensor, = [t for t in result.load().graph.initializer if t.name == name]
    return onnx.numpy_helper.to_array(tensor)


def test_partial_block_of_a_large_weight(quantize):
    """The weight is written in several panels, side by side."""
    rng = np.random.default_rng(5)
    k, n = 5002, 1500
    operator = models.matmul(k, n)
    weight = onnx.numpy_helper.from_array(
        rng.standard_normal((k, n), np.float32), "W")
    model = models.as_initializer(operator, weight, "float")
    feeds = [{"X": rng.standard_normal((3, k), np.float32)}]
    plain = quantize(model, "--block-size", 128, "--method", "rtn")
    made = quantize(model, "--block-size", 128, "--method", "rtn", "--format", "nbits",
                    output="nbits.onnx")
    assert [node.op_type for node in made.load().graph.node] == ["MatMulNBits"]
    wanted = runtime.run_ort(plain.output, feeds, False)
    assert runtime.worst(wanted, runtime.run_ort(made.output, feeds, False)) < 1e-5
