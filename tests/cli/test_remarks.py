"""Warnings name options that have no effect on the model, and the work is done."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import models


@pytest.mark.parametrize("arguments, words", [
    ("--embedding-type int8", ["--embedding-type int8 has no effect", "embedding"]),
    ("--exclude ^layer.0.weigth$", ["--exclude '^layer.0.weigth$'", "'layers.0.weight'"]),
    ("--exclude XYZ", ["--exclude 'XYZ' matches", "nibble inspect -v"]),
    ("--include small", [])])
def test_no_effect(nibble, arguments, words):
    run = nibble("model.onnx", "-o", "out.onnx", "-q", *arguments.split())
    assert run.status == 0
    lines = [line for line in run.err.splitlines() if "nothing to quantize" not in line]
    assert len(lines) == (len(words) > 0)
    for word in words:
        assert word in lines[0]


def test_scales_that_nothing_took(nibble, folder):
    half = {"w": models.integers(64, 64).astype(np.float16)}
    model = models.chain(half)
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(model, folder / "half.onnx")
    run = nibble("half.onnx", "-o", "out.onnx", "-q", "--scale-type", "float16")
    assert run.status == 0 and "--scale-type float16 has no effect" in run.err
    assert nibble("model.onnx", "-o", "out.onnx", "-q", "--scale-type", "float16").err == ""


def test_embedding_that_took_it(nibble, folder):
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["y"])], "graph",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 64])],
        [numpy_helper.from_array(models.integers(512, 64), "table")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    onnx.save(model, folder / "table.onnx")
    run = nibble("table.onnx", "-o", "out.onnx", "-q", "--embedding-type", "int8")
    assert (run.status, run.err) == (0, "")
