"""Bases of transforms, filter banks and tables of coordinates stay float. Learned weights do
not."""

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import runtime
from fixed_models import FIXED, LEARNED, feeds_of, hann, mel, normal, waves

FLOAT = TensorProto.FLOAT
TYPES = {"float": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16,
         "double": np.float64}
NODES = {"conv1d": ("Conv", ["X", "W"], {}), "conv2d": ("Conv", ["X", "W"], {}),
         "image": ("Conv", ["X", "W"], {}),
         "conv-transpose": ("ConvTranspose", ["X", "W"], {}),
         "matmul": ("MatMul", ["X", "W"], {}), "gemm": ("Gemm", ["X", "W"], {"transB": 1}),
         "matmul-left": ("MatMul", ["W", "X"], {}), "gather": ("Gather", ["W", "ids"], {}),
         "columns": ("Gather", ["W", "one"], {"axis": -1})}


def model(nodes, tensors, inputs, opset=17):
    graph = helper.make_graph(
        nodes, "g", inputs, [helper.make_tensor_value_info("Y", FLOAT, None)],
        [numpy_helper.from_array(np.array(v, order="C"), k) for k, v in tensors.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def info(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def one(array, layer, kind="float"):
    op_type, names, attributes = NODES[layer]
    array = array.astype(TYPES[kind])
    proto = numpy_helper.from_array(np.zeros(1, TYPES[kind])).data_type
    tensors = {"W": array}
    inputs = [info("ids", TensorProto.INT64, [1, 5])]
    if feeds_of(array, layer):
        inputs = [info("X", proto, feeds_of(array, layer))]
    nodes = [helper.make_node(op_type, names, ["Y"], **attributes)]
    if "one" in names:  # what depends on no input stays float for another reason
        tensors["one"], inputs = np.array(1), [info("X", proto, [1])]
        nodes[0].output[0] = "column"
        nodes.append(helper.make_node("Add", ["column", "X"], ["Y"]))
    made = model(nodes, tensors, inputs)
    made.graph.output[0].type.tensor_type.elem_type = proto
    return made


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", FIXED)
def test_fixed_stays_float(name, kind, quantize):
    result = quantize(one(*FIXED[name], kind), "--min-elements", 1)
    assert not result.names
    assert "--include" in result.reasons["W"]
    assert not result.report["missed"]  # --strict does not mind


@pytest.mark.parametrize("name", FIXED)
def test_fixed_is_quantized_by_name(name, quantize):
    result = quantize(one(*FIXED[name]), "--min-elements", 1, "--include", "^W$")
    assert result.names == {"W"}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", LEARNED)
def test_learned_is_quantized(name, kind, quantize):
    result = quantize(one(*LEARNED[name], kind), "--min-elements", 1)
    assert result.names == {"W"}, result.reasons


@pytest.mark.parametrize("seed", range(20))
def test_small_random_weights_are_quantized(seed, quantize):
    """If there are few values, they can obey a rule by chance."""
    rng = np.random.default_rng(seed)
    for i in range(5):
        shape = [int(n) for n in rng.integers(9, 40, 2)]
        result = quantize(one(rng.standard_normal(shape), ["matmul", "gemm", "gather"][i % 3]),
                          "--min-elements", 1)
        assert "--include" not in result.reasons.get("W", ""), shape


# ---- what it is for ------------------------------------------------------------

def front_end(n=512, hop=128, count=80):
    """The log mel of raw audio, then two learned layers."""
    def node(op_type, inputs, *outputs, **attributes):
        return helper.make_node(op_type, inputs, list(outputs), **attributes)
    nodes = [node("Conv", ["X", "basis"], "s", strides=[hop]),
             node("Split", ["s"], "re", "im", axis=1), node("Mul", ["re", "re"], "r2"),
             node("Mul", ["im", "im"], "i2"), node("Add", ["r2", "i2"], "p"),
             node("Transpose", ["p"], "pt", perm=[0, 2, 1]), node("MatMul", ["pt", "mel"], "me"),
             node("Max", ["me", "tiny"], "mx"), node("Log", ["mx"], "features"),
             node("MatMul", ["features", "first"], "h"), node("Relu", ["h"], "hr"),
             node("MatMul", ["hr", "second"], "Y")]
    tensors = {"basis": waves(n, hann(n))[:, None], "mel": mel(n // 2 + 1, count),
               "first": normal("1", count, 64) / 9, "second": normal("2", 64, 32) / 8}
    made = model(nodes, {k: v.astype("f4") for k, v in tensors.items()} |
                 {"tiny": np.float32(1e-5)}, [info("X", FLOAT, [1, 1, 16000])])
    made.graph.output.append(info("features", FLOAT, None))
    return made


@pytest.mark.parametrize("options", [[], ["--type", "int8"], ["--decode", "load"]],
                         ids=["int4", "int8", "load"])
def test_features_are_exact(options, quantize):
    time = np.arange(16000) / 16000
    x = np.sin(2 * np.pi * (200 + 100 * time) * time) * .5 + normal("x", 16000) * 1e-3
    feed = {"X": x.astype("f4")[None, None]}
    result = quantize(front_end(), *options)
    assert result.names == {"first", "second"}
    wanted, got = (runtime.run_ort(path, [feed])[0][1] for path in (result.model, result.output))
    assert abs(wanted - got).max() < 1e-4


def test_boxes_are_exact(quantize):
    """Coordinates of up to 640 pixels, gathered by columns."""
    table = FIXED["columns"][0].astype("f4")
    nodes = [helper.make_node("Gather", ["table", f"i{i}"], [f"c{i}"], axis=1) for i in range(4)]
    nodes += [helper.make_node("Sum", ["X"] + [f"c{i}" for i in range(4)], ["Y"])]
    made = model(nodes, {"table": table} | {f"i{i}": np.array(i) for i in range(4)},
                 [info("X", FLOAT, [len(table)])])
    result = quantize(made)
    assert not result.names
    feed = {"X": np.zeros(len(table), "f4")}
    got = runtime.run_ort(result.output, [feed])[0][0]
    assert np.allclose(got, table.sum(1), rtol=1e-6)


@pytest.mark.parametrize("name, fixed", [
    ("silero_vad", {"model.stft.forward_basis_buffer", "model_8k.stft.forward_basis_buffer"}),
    ("minilm", set()), ("ppocr_rec", set())])
def test_real_models(name, fixed, quantize, real_model):
    result = quantize(real_model(f"{name}.onnx"))
    reasons = {k for k, v in result.reasons.items() if "--include" in v and "learned" in v}
    assert reasons == fixed
