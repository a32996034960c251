"""compare on what ONNX Runtime's own quantizers write: the error of each weight is that of
numpy, which is told here how each of them stores a weight."""

import logging

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import nibble
from conftest import ROOT

quantization = pytest.importorskip("onnxruntime.quantization")
nbits = pytest.importorskip("onnxruntime.quantization.matmul_nbits_quantizer")

MODELS = {"fashion_cnn_ts17": ("image", (2, 1, 28, 28)), "bible_lm_ts17": ("tokens", (2, 32))}


class Reader(quantization.CalibrationDataReader):
    def __init__(self, name):
        rng = np.random.default_rng(0)
        key, shape = MODELS[name]
        is_text = key == "tokens"
        value = rng.integers(32, 120, shape) if is_text else rng.random(shape, np.float32)
        self.left = [{key: value}]

    def get_next(self):
        return self.left.pop() if self.left else None


def snr(x, y):
    x, y = x.astype(np.float64), y.astype(np.float64)
    return 10 * np.log10(np.sum(x**2) / np.sum((x - y) ** 2))


def constants(path):
    model = onnx.load(path)
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def per_axis(parameter, codes, row):
    """A scale, or one for each channel: columns of a MatMul, the first axis elsewhere."""
    if parameter.size == 1:
        return parameter.reshape(())
    shape = [1] * codes.ndim
    shape[-1 if row.op_type == "MatMul" else 0] = parameter.size
    return parameter.reshape(shape)


def stored(found, row):
    """W_quantized, W_scale, W_zero_point: dynamic and static, QDQ and QOperator."""
    name = row.counterpart.removesuffix("_quantized")
    codes = found[row.counterpart].astype(np.float32)
    zero = per_axis(found[f"{name}_zero_point"].astype(np.float32), codes, row)
    return (codes - zero) * per_axis(found[f"{name}_scale"], codes, row)


def check(name, path, decode, least):
    floats = constants(ROOT / f"models/{name}.onnx")
    found = constants(path)
    result = nibble.compare(ROOT / f"models/{name}.onnx", path)
    checked = 0
    for row in result.weights:
        x = floats.get(row.name)
        if x is None or x.ndim < 2 or row.type not in ("int8", "uint8", "int4", "uint4"):
            continue
        y = decode(found, row)
        if y is None:
            continue
        y = y if y.shape == x.shape else np.swapaxes(y, -1, -2)
        assert abs(row.snr_db - snr(x, y)) < 0.01, row
        checked += 1
    assert checked >= least, [row.name for row in result.weights]
    assert not [row for row in result.weights if not row.counterpart]


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("kind", ["QInt8", "QUInt8"])
@pytest.mark.parametrize("name", MODELS)
def test_dynamic(name, kind, tmp_path):
    quantization.quantize_dynamic(
        ROOT / f"models/{name}.onnx",
        tmp_path / "q.onnx",
        weight_type=getattr(quantization.QuantType, kind),
    )
    check(name, tmp_path / "q.onnx", stored, 4)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("name", MODELS)
def test_static(name, form, per_channel, tmp_path):
    quantization.quantize_static(
        ROOT / f"models/{name}.onnx",
        tmp_path / "q.onnx",
        Reader(name),
        quant_format=getattr(quantization.QuantFormat, form),
        per_channel=per_channel,
    )
    check(name, tmp_path / "q.onnx", stored, 4)


def test_float_weights_behind_quantize_linear(tmp_path):
    """They stay in the file; what they become is computed when the model is loaded."""
    name = "bible_lm_ts17"
    quantization.quantize_static(
        ROOT / f"models/{name}.onnx",
        tmp_path / "q.onnx",
        Reader(name),
        extra_options={"AddQDQPairToWeight": True},
    )

    def decode(found, row):
        weight = row.name
        scale = found[f"{weight}_scale"]
        zero = found[f"{weight}_zero_point"].astype(np.float32)
        codes = np.rint(found[weight] / scale) + zero
        return (np.clip(codes, -128, 127) - zero) * scale

    check(name, tmp_path / "q.onnx", decode, 4)


def unpacked(found, row):
    """MatMulNBits [N, blocks, bytes]; nothing for GatherBlockQuantized."""
    weight, packed = row.name, found[row.counterpart]
    if row.form != "MatMulNBits":
        return None
    codes = np.stack([packed & 15, packed >> 4], -1).reshape(*packed.shape[:2], -1)
    scales = found[f"{weight}_scales"].reshape(*packed.shape[:2], 1)
    zeros = np.float32(8)
    if f"{weight}_zero_points" in found:
        raw = found[f"{weight}_zero_points"].reshape(packed.shape[0], -1)
        zeros = np.stack([raw & 15, raw >> 4], -1).reshape(packed.shape[0], -1)
        zeros = zeros[:, : packed.shape[1], None].astype(np.float32)
    return ((codes.astype(np.float32) - zeros) * scales).reshape(packed.shape[0], -1).T


@pytest.mark.parametrize("symmetric", [True, False])
def test_nbits(symmetric, tmp_path):
    name = "bible_lm_ts17"
    tool = nbits.MatMulNBitsQuantizer(
        onnx.load(ROOT / f"models/{name}.onnx"),
        block_size=32,
        is_symmetric=symmetric,
        quant_format=quantization.QuantFormat.QOperator,
        op_types_to_quantize=("MatMul", "Gather"),
        quant_axes=(("MatMul", 0), ("Gather", 1)),
    )
    tool.process()
    tool.model.save_model_to_file(str(tmp_path / "q.onnx"))
    check(name, tmp_path / "q.onnx", unpacked, 8)
    forms = {
        row.form
        for row in nibble.compare(ROOT / f"models/{name}.onnx", tmp_path / "q.onnx").weights
    }
    assert forms == {"MatMulNBits", "GatherBlockQuantized"}


def test_nbits_qdq(tmp_path):
    """ONNX Runtime unpacks the same weights: with codes in DequantizeLinear."""
    name = "bible_lm_ts17"
    tool = nbits.MatMulNBitsQuantizer(
        onnx.load(ROOT / f"models/{name}.onnx"),
        block_size=32,
        is_symmetric=True,
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=("MatMul",),
    )
    tool.process()
    tool.model.save_model_to_file(str(tmp_path / "q.onnx"))
    session_outputs = decoded_by_runtime(tmp_path / "q.onnx")
    result = nibble.compare(ROOT / f"models/{name}.onnx", tmp_path / "q.onnx")
    floats = constants(ROOT / f"models/{name}.onnx")
    assert len(result.weights) == len(session_outputs) >= 8
    for row in result.weights:
        assert row.form == "DequantizeLinear" and row.type in ("int4", "uint4")
        best = max(
            snr(floats[row.name], y)
            for y in session_outputs
            if y.shape == floats[row.name].shape
        )
        assert abs(row.snr_db - best) < 0.01


def decoded_by_runtime(path):
    """What DequantizeLinear gives, for all of its nodes."""
    import onnxruntime

    model = onnx.load(path)
    nodes = [node for node in model.graph.node if node.op_type == "DequantizeLinear"]
    del model.graph.node[:], model.graph.input[:], model.graph.output[:]
    model.graph.node.extend(nodes)
    model.graph.output.extend(onnx.ValueInfoProto(name=node.output[0]) for node in nodes)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {})
