"""Nodes that replace others keep their names. Weights with the same name can be told apart."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import models


def branch(weight, output):
    """A body with a weight W of its own."""
    return helper.make_graph(
        [helper.make_node("MatMul", ["x", "W"], [output])], "body", [],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", 64])],
        [numpy_helper.from_array(weight, "W")])


def two_ifs():
    """Two If nodes with the same name. A W of the first one has a NaN."""
    bad = models.integers(64, 64)
    bad[5, 5] = np.nan
    nodes = []
    for i, weight in enumerate([bad, models.integers(64, 64)]):
        nodes.append(helper.make_node(
            "If", ["c"], [f"y{i}"], name="If", then_branch=branch(weight, f"t{i}"),
            else_branch=branch(models.integers(64, 64), f"e{i}")))
    graph = helper.make_graph(
        nodes, "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64]),
         helper.make_tensor_value_info("c", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, ["n", 64])
         for i in range(2)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    return model


# ---- nodes that replace others --------------------------------------------------


def labelled(node, name):
    node.name, node.doc_string = name, f"doc of {name}"
    node.metadata_props.add(key="namespace", value=f"scope of {name}")
    return node


def layers(opset, name="/model/{}"):
    """Two Gathers of a table, a MatMul, a Gemm with a bias, and a MatMul whose weight is a
    Constant node. All have names, doc strings and metadata."""
    weights = {name: models.integers(*shape) for name, shape in
               [("table", (512, 64)), ("w", (64, 64)), ("g", (64, 64))]}
    node = helper.make_node
    nodes = [
        labelled(node("Gather", ["table", "ids"], ["a"]), name.format("embed/Gather")),
        labelled(node("Gather", ["table", "ids"], ["b"]), name.format("again/Gather")),
        node("Add", ["a", "b"], ["h"]),
        labelled(node("MatMul", ["h", "w"], ["m"]), name.format("q/MatMul")),
        labelled(node("Gemm", ["m", "g", "bias"], ["k"]), name.format("fc/Gemm")),
        labelled(node("Constant", [], ["c"],
                      value=numpy_helper.from_array(models.integers(64, 64))),
                 name.format("Constant")),
        labelled(node("MatMul", ["k", "c"], ["y"]), name.format("o/MatMul"))]
    graph = helper.make_graph(
        nodes, "graph", [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 64])],
        [numpy_helper.from_array(array, key) for key, array in weights.items()] +
        [numpy_helper.from_array(np.ones(64, np.float32), "bias")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 10
    return model


FORMS = ["--decode=run", "--decode=load", "--decode=portable", "--format=nbits",
         "--format=nbits --block-size=24", "--decode=load --block-size=40",
         "--decode=portable --type=int8", "--asymmetric --block-size=32"]


@pytest.mark.parametrize("options", FORMS)
@pytest.mark.parametrize("opset", [9, 21])
def test_replaced_nodes_keep_theirs(nibble, folder, options, opset):
    before = layers(opset)
    onnx.save(before, folder / "layers.onnx")
    run = nibble("layers.onnx", "-o", "out.onnx", "-q", *options.split())
    assert (run.status, run.err) == (0, "")
    after = onnx.load(folder / "out.onnx")
    made = {node.output[0]: node for node in after.graph.node}
    for old in before.graph.node:
        if old.op_type == "Constant" and old.output[0] not in made:
            continue  # an initializer has taken its place
        new = made[old.output[0]]
        assert (new.name, new.doc_string) == (old.name, old.doc_string)
        assert list(new.metadata_props) == list(old.metadata_props)
    names = [node.name for node in after.graph.node if node.name]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("options", FORMS)
def test_added_nodes_are_named(nibble, folder, options):
    """They are named after the node that they serve, or after the weight."""
    before = layers(21)
    onnx.save(before, folder / "layers.onnx")
    assert nibble("layers.onnx", "-o", "out.onnx", "-q", *options.split()).status == 0
    stems = [n.name for n in before.graph.node if n.name] + ["table", "w", "g", "c"]
    for node in onnx.load(folder / "out.onnx").graph.node:
        assert node.op_type == "Add" or node.name.startswith(tuple(stems)), node.name


def test_unnamed_nodes_keep_doc_strings(nibble, folder):
    before = layers(21)
    for node in before.graph.node:
        node.name = ""
    onnx.save(before, folder / "layers.onnx")
    assert nibble("layers.onnx", "-o", "out.onnx", "-q", "--format=nbits").status == 0
    made = {n.output[0]: n for n in onnx.load(folder / "out.onnx").graph.node}
    assert made["m"].op_type == "MatMulNBits" and made["m"].name
    assert made["m"].doc_string == "doc of /model/q/MatMul"


def test_nodes_of_one_name_share_no_findings(nibble, folder):
    onnx.save(two_ifs(), folder / "ifs.onnx")
    run = nibble("ifs.onnx", "-o", "out.onnx", "--json", "report.json")
    assert run.status == 0 and run.err.count("NaN") == 1
    weights = json.loads((folder / "report.json").read_text())["weights"]
    assert sorted(w["quantized"] for w in weights) == [False, True, True, True]
    assert len({w["graph"] for w in weights}) == 4
