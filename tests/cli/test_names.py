"""Names: nodes that replace others keep theirs, and weights of one name are told apart."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import models


def branch(weight, output):
    """A body with a weight W of its own."""
    return helper.make_graph(
        [helper.make_node("MatMul", ["x", "W"], [output])], "body", [],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", 64])],
        [numpy_helper.from_array(weight, "W")])


def two_ifs():
    """Two If nodes of the same name. A W of the first one has a NaN."""
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


def test_nodes_of_one_name_share_no_findings(nibble, folder):
    onnx.save(two_ifs(), folder / "ifs.onnx")
    run = nibble("ifs.onnx", "-o", "out.onnx", "--json", "report.json")
    assert run.status == 0 and run.err.count("NaN") == 1
    weights = json.loads((folder / "report.json").read_text())["weights"]
    assert sorted(w["quantized"] for w in weights) == [False, True, True, True]
    assert len({w["graph"] for w in weights}) == 4
