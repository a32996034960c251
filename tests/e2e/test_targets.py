"""--target: the forms that each runtime gets. What other runtimes do with them is tested in
test_openvino.py and by bench/runtimes.py."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import runtime

# name: (shape, what takes it). 200 and 1000 have no power of two as a divisor.
WEIGHTS = {"table": (300, 200), "short": (200, 256), "long": (256, 1000), "ragged": (1000, 64),
           "kernel": (32, 1, 3, 16)}
IDS = np.array([[3, 299, 7]])
FORMS = {  # of table, MatMuls, Conv
    "onnxruntime": ("Gather", "DequantizeLinear", "DequantizeLinear"),
    "onnxruntime-web": ("GatherBlockQuantized", "MatMulNBits", "load"),
    "openvino": ("Gather", "load", "load"),
    "generic": ("DequantizeLinear",) * 3,
    "portable": ("portable",) * 3,
}


def model():
    node = helper.make_node
    nodes = [node("Gather", ["table", "ids"], ["e"]), node("MatMul", ["e", "short"], ["a"]),
             node("MatMul", ["a", "long"], ["b"]), node("MatMul", ["b", "ragged"], ["c"]),
             node("Unsqueeze", ["c", "one"], ["d"]), node("Conv", ["d", "kernel"], ["y"])]
    rng = np.random.default_rng(0)
    tensors = [numpy_helper.from_array(
        np.float32(rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))), name)
        for name, shape in WEIGHTS.items()]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, "n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 32, None, None])],
        [*tensors, numpy_helper.from_array(np.array([1]), "one")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)


@pytest.mark.parametrize("target", FORMS)
def test_forms(target, quantize):
    result = quantize(model(), "--target", target)
    forms = {row["name"]: row["form"] for row in result.report["weights"] if row["quantized"]}
    table, matmul, conv = FORMS[target]
    assert forms == {"table": table, "short": matmul, "long": matmul, "ragged": matmul,
                     "kernel": conv}
    after = result.load()
    assert after.opset_import[0].version == (13 if target == "portable" else 21)
    domains = {node.domain for node in after.graph.node}
    assert ("com.microsoft" in domains) == (target == "onnxruntime-web")
    onnx.checker.check_model(str(result.output), full_check=True)


def test_values(quantize):
    """The same blocks give the same outputs, whatever decodes them."""
    answers = []
    for target in FORMS:
        result = quantize(model(), "--target", target, "--block-size", "40", "--method", "rtn",
                          "--type", "uint4", output=f"{target}.onnx")
        answers.append(runtime.run_ort(result.output, [{"ids": IDS}]))
    for target, got in zip(FORMS, answers):
        assert runtime.worst(answers[0], got) < 1e-5, target


def test_blocks_of_openvino_divide_the_axis(quantize):
    def granularity(target):
        rows = quantize(model(), "--target", target).report["weights"]
        return {row["name"]: row["granularity"] for row in rows if row["quantized"]}
    assert granularity("openvino")["long"] == "block 256, axis 0"
    assert granularity("openvino")["ragged"] == "channel, axis 1"
    assert granularity("onnxruntime")["ragged"] == "block 256, axis 0"
