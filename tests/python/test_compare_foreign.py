"""compare on what NNCF, ModelOpt, Quark and quantize-rs have made of foreign/float.onnx
(foreign/make.py): the error of each weight is numpy's, by the definitions of the operators."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import nibble
from conftest import ROOT, chain, normal

FOREIGN = ROOT / "tests/python/foreign"
# How many tensors each has changed, biases included, out of seven weights and two biases.
CHANGED = {
    "modelopt-int4-rtn-dq": 3,
    "modelopt-int8": 2,
    "nncf-int4-asym": 7,
    "nncf-int4-sym": 7,
    "nncf-int8": 7,
    "nncf-int8-asym": 7,
    "quantize-rs-int4": 6,
    "quantize-rs-int4-widened": 6,
    "quantize-rs-int8-channels": 6,
    "quark-bf16": 9,
    "quark-int16-cnn-default": 9,
    "quark-matmul-nbits": 5,
    "quark-uint8-dynamic-quant": 6,
    "quark-xint8": 9,
}
# ModelOpt gives this Gemm scales that don't fit its axis: ONNX Runtime can't run it either.
MISSING = {"modelopt-int4-rtn-dq": ["gemm.weight"]}


def constants(model):
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def snr(x, y):
    x, y = x.astype(np.float64), y.astype(np.float64)
    return 10 * np.log10(np.sum(x**2) / np.sum((x - y) ** 2))


def spread(parameter, shape, node):
    """Scales or zero points, one for each element."""
    parameter = np.asarray(parameter, np.float32)
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    axis, block = attributes.get("axis", 1), attributes.get("block_size", 0)
    if parameter.size == 1:
        return np.broadcast_to(parameter.reshape(()), shape)
    if block:
        return np.repeat(parameter, block, axis).take(range(shape[axis]), axis)
    sizes = [1] * len(shape)
    sizes[axis] = parameter.size
    return np.broadcast_to(parameter.reshape(sizes), shape)


def linear(found, node):
    """(scales, zero points) of QuantizeLinear and DequantizeLinear."""
    shape = found[node.input[0]].shape
    zero = found[node.input[2]] if len(node.input) > 2 else 0
    return spread(found[node.input[1]], shape, node), spread(zero, shape, node)


def rounded_to_bfloat16(x):
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def encoded(found, node):
    scales, zeros = linear(found, node)
    x = found[node.input[0]] / scales
    if node.op_type == "ExtendedQuantizeLinear":
        return rounded_to_bfloat16(x + zeros) * scales
    info = np.iinfo(found[node.input[2]].dtype)
    return (np.clip(np.rint(x) + zeros, info.min, info.max) - zeros) * scales


def decoded(found, node):
    scales, zeros = linear(found, node)
    return (found[node.input[0]].astype(np.float32) - zeros) * scales


def nbits(found, node):
    packed = found[node.input[1]]
    count, blocks = packed.shape[:2]
    codes = np.stack([packed & 15, packed >> 4], -1).reshape(count, blocks, -1)
    zeros = np.float32(8)
    if len(node.input) > 3 and node.input[3]:
        zeros = found[node.input[3]].reshape(count, -1)
        if zeros.shape[1] < blocks:  # two in a byte; NNCF has one in each
            zeros = np.stack([zeros & 15, zeros >> 4], -1).reshape(count, -1)
        zeros = zeros[:, :blocks, None].astype(np.float32)
    y = (codes.astype(np.float32) - zeros) * found[node.input[2]].reshape(count, blocks, 1)
    (length,) = (a.i for a in node.attribute if a.name == "K")
    return y.reshape(count, -1)[:, :length].T  # the last block is padded


def integer(found, node):
    """Its scale is a factor of a Mul behind it; it has the weight's name."""
    scale = found[node.input[1].removesuffix("_quantized") + "_scale"]
    return (found[node.input[1]].astype(np.float32) - found[node.input[3]]) * scale


DECODERS = {
    "ConvInteger": integer,
    "DequantizeLinear": decoded,
    "ExtendedQuantizeLinear": encoded,
    "MatMulInteger": integer,
    "MatMulNBits": nbits,
    "QuantizeLinear": encoded,
}


@pytest.mark.parametrize("name", CHANGED)
def test_each_weight(name):
    floats = constants(onnx.load(FOREIGN / "float.onnx"))
    model = onnx.load(FOREIGN / f"{name}.onnx")
    found = constants(model)
    result = nibble.compare(FOREIGN / "float.onnx", FOREIGN / f"{name}.onnx")
    missing = [row.name for row in result.weights if not row.found]
    assert missing == MISSING.get(name, [])
    assert len(result.weights) == CHANGED[name] + len(missing)
    # The bias of a Gemm that became MatMulNBits is part of that.
    assert len(result.weights) + result.unchanged == 9 - name.startswith("nncf-int4")
    for row in result.weights:
        if not row.found:
            continue
        users = [
            node
            for node in model.graph.node
            if row.counterpart in node.input and node.op_type == row.form
        ]
        y = DECODERS[row.form](found, users[0]) if row.form else found[row.counterpart]
        x = floats[row.name]
        y = y if y.shape == x.shape else y.T
        assert abs(row.snr_db - snr(x, y)) < 0.01, row


def test_operator_of_a_tool(tmp_path):
    """What an unknown operator makes of a weight is unknown: so it is not "unchanged"."""
    plain = chain({"a": normal(64, 48), "b": normal(48, 64, seed=1)})
    hidden = onnx.ModelProto()
    hidden.CopyFrom(plain)
    hidden.opset_import.append(helper.make_opsetid("com.amd.quark", 1))
    rounding = helper.make_node("BFPQuantizeDequantize", ["a"], ["r"], domain="com.amd.quark")
    hidden.graph.node.insert(0, rounding)
    hidden.graph.node[1].input[1] = "r"
    result = nibble.compare(plain, hidden)
    assert [(row.name, row.found) for row in result.weights] == [("a", False)]
    assert result.unchanged == 1
