"""The oracle itself is compared with worked examples and with the DequantizeLinear of onnx and
ONNX Runtime. It is also given small errors, which its checks must notice."""

import dataclasses

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import build
import oracle
import runtime
import verify
from build import LAYERS
from oracle import Scheme

X = np.array([0.1, 0.2, 1.2, 3, 2.1, -2.1, -3.5], np.float32)


def test_worked_example_symmetric():
    codes, scale, zero = oracle.rtn(X, Scheme("int4"), None, 0)
    assert scale == 0.5 and zero == 0
    assert codes.tolist() == [0, 0, 2, 6, 4, -4, -7]
    back = oracle.dequantize(codes, scale, zero, None, 0)
    assert back.tolist() == [0, 0, 1, 3, 2, -2, -3.5]


def test_worked_example_asymmetric():
    codes, scale, zero = oracle.rtn(X, Scheme("uint4"), None, 0)
    assert np.isclose(scale, 6.5 / 15) and zero == 8
    assert codes.tolist() == [8, 8, 11, 15, 13, 3, 0]
    back = oracle.dequantize(codes, scale, zero, None, 0)
    assert np.allclose(back, [0, 0, 1.3, 3.033, 2.167, -2.167, -3.467], atol=1e-3)


@pytest.mark.parametrize("x, codes", [
    ([7, 0.5, 1.5, 2.5, -0.5, -1.5], [7, 0, 2, 2, 0, -2]),  # half to even
    ([0, 0, 0], [0, 0, 0]), ([1e-40, -1e-40], [0, 0]), ([-8, 8], [-7, 7])])
def test_rounding(x, codes):
    assert oracle.rtn(np.float32(x), Scheme("int4"), None, 0)[0].tolist() == codes


@pytest.mark.parametrize("x", [[1, np.nan], [np.inf, 1], [3.4e38, -3.4e38]])
def test_unfit(x):
    with pytest.raises(oracle.Unfit):
        oracle.rtn(np.float32(x), Scheme("uint8"), None, 0)


@pytest.mark.parametrize("axis, block", [(None, 0), (0, 0), (1, 0), (2, 0), (0, 4), (1, 3), (2, 2)])
@pytest.mark.parametrize("kind", oracle.CODE_TYPE)
def test_dequantize(kind, axis, block):
    """Both implementations of DequantizeLinear agree, and so do the hand unpacking and onnx's."""
    name = oracle.CODE_TYPE[kind]
    x = np.random.default_rng(3).standard_normal((5, 7, 3)).astype(np.float32)
    codes, scales, zeros = oracle.rtn(x, Scheme(name, symmetric=False), axis, block)
    like = helper.tensor_dtype_to_np_dtype(kind)
    tensors = [numpy_helper.from_array(a, n) for a, n in zip(
        (codes.astype(like), np.asarray(scales), zeros.astype(like)), ("q", "s", "z"))]
    assert np.array_equal(oracle.read_codes(tensors[0]), codes)
    attributes = {} if axis is None else {"axis": axis, "block_size": block}
    node = helper.make_node("DequantizeLinear", ["q", "s", "z"], ["Y"], **attributes)
    model = build.model([node], [], [build.info("Y", shape=x.shape)], tensors, opset=21, ir=10)
    ours = oracle.dequantize(codes, scales, zeros, axis, block)
    assert np.array_equal(ReferenceEvaluator(model).run(None, {})[0], ours)
    session = runtime.session(model.SerializeToString())
    assert np.array_equal(session.run(None, {})[0], ours)
    assert oracle.snr_db(x, ours) > (15 if "4" in name else 40)


# ---- lies ------------------------------------------------------------------

def initializer(model, part):
    """The initializer of codes, scales or zero points."""
    decoder = next(n for n in model.graph.node if n.op_type == "DequantizeLinear")
    name = decoder.input[("codes", "scales", "zeros").index(part)]
    return next(t for t in model.graph.initializer if t.name == name)


def change_byte(tensor, at, bits):
    raw = bytearray(tensor.raw_data)
    raw[at] ^= bits
    tensor.raw_data = bytes(raw)


def other_axis(model):
    decoder = next(n for n in model.graph.node if n.op_type == "DequantizeLinear")
    decoder.attribute[0].i ^= 1


def second_weight_lost(model):
    """The model as if nibble had left the weight float."""
    decoder = [n for n in model.graph.node if n.op_type == "DequantizeLinear"][1]
    model.graph.node.remove(decoder)
    model.graph.initializer.append(build.tensor(np.zeros((1, 1)), decoder.output[0]))


LIES = {
    "code": lambda m: change_byte(initializer(m, "codes"), 123, 1),
    "high code": lambda m: change_byte(initializer(m, "codes"), 1, 16),
    "last code": lambda m: change_byte(initializer(m, "codes"), -1, 1),
    "scale": lambda m: change_byte(initializer(m, "scales"), 0, 1),
    "last scale": lambda m: change_byte(initializer(m, "scales"), -4, 1),
    "zero point": lambda m: change_byte(initializer(m, "zeros"), 0, 1),
    "axis": other_axis, "weight": second_weight_lost,
    "shape": lambda m: initializer(m, "codes").dims.reverse(),
}


@pytest.fixture
def sound(generic):
    layer = LAYERS["matmul"]
    w, v = build.weight(layer), build.weight(layer, name="V", seed=1)
    nodes = [layer.node(), layer.node(weight="V", y="Z", name="other")]
    model = build.layer_model(layer, w, nodes, initializers=[w, v])
    model.graph.output.append(build.info("Z", rank=2))
    return generic(model, *Scheme("uint4", 32).options())


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_noticed(lie, sound):
    feeds = [build.feeds(LAYERS["matmul"])]
    verify.verify(sound, Scheme("uint4", 32), feeds)
    after = sound.load()
    LIES[lie](after)
    with pytest.raises((AssertionError, ValueError, IndexError)):
        verify.check_weights(onnx.load(sound.model), after, Scheme("uint4", 32))


def test_wrong_outputs_are_noticed(sound):
    """A runtime that decodes one code wrongly is noticed."""
    before, found = onnx.load(sound.model), oracle.decoders(sound.load())
    next(iter(found.values())).codes[3, 3] ^= 1
    with pytest.raises(AssertionError, match="outputs differ"):
        verify.check_outputs(sound, before, found, [build.feeds(LAYERS["matmul"])],
                             verify.TOLERANCE)


@pytest.mark.parametrize("field, value", [
    ("quantized", 1), ("left", 1), ("elements", 1), ("elements_quantized", 5599),
    ("bits_per_weight", 4.0), ("bytes", {"before": 1, "after": 1}),
    ("weight_bytes", {"before": 1, "after": 1}), ("weights", [])])
def test_wrong_reports_are_noticed(field, value, sound):
    before, found = onnx.load(sound.model), oracle.decoders(sound.load())
    verify.check_report(sound, before, found)
    wrong = dataclasses.replace(sound, report=sound.report | {field: value})
    with pytest.raises(AssertionError):
        verify.check_report(wrong, before, found)


@pytest.mark.parametrize("field, value", [
    ("snr_db", 3.0), ("name", "U"), ("dims", [40, 70]), ("type", "int4"),
    ("granularity", "block 32, axis 1"), ("bytes", {"before": 11200, "after": 1400}),
    ("element_type", "double"), ("elements", 2799), ("form", "MatMulNBits")])
def test_wrong_rows_are_noticed(field, value, sound):
    before, found = onnx.load(sound.model), oracle.decoders(sound.load())
    rows = sound.report["weights"]
    wrong = dataclasses.replace(
        sound, report=sound.report | {"weights": [rows[0] | {field: value}, *rows[1:]]})
    with pytest.raises(AssertionError):
        verify.check_report(wrong, before, found)
