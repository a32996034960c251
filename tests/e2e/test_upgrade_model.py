"""How the upgrade changes the model around the nodes: imports, IR version, scopes, functions,
names. Also what it refuses."""

import itertools
import re
import resource

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import upgrade_cases as cases
from upgrade_cases import (
    DOUBLE, FLOAT, FLOAT16, INT32, INT64, check, constant, make, upgrade, value)

NODE = helper.make_node
X = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 7


def softmax(opset=11, **more):
    return make([NODE("Softmax", ["x"], ["y"], axis=1, name="s")], opset,
                [value("x", FLOAT, [2, 3, 4])], [value("y", FLOAT, [2, 3, 4])], **more)


def refusal(model, folder, target=21):
    with pytest.raises(cases.Refused) as caught:
        upgrade(model, target, folder)
    return str(caught.value)


# ---- imports and versions ---------------------------------------------------------------


@pytest.mark.parametrize("target", range(21, 29))
def test_every_target(target, tmp_path):
    result = upgrade(softmax(), target, tmp_path)
    assert cases.opset_of(result) == target
    assert result.ir_version == cases.ir_of(target)
    onnx.checker.check_model(result, full_check=True)


@pytest.mark.parametrize("source", range(7, 21))
def test_every_source(source, tmp_path):
    check(make([NODE("Add", ["x", "x"], ["y"])], source, [value("x", FLOAT, [3])],
               [value("y", FLOAT, [3])]), {"x": X[0, 0, :3]}, tmp_path)


@pytest.mark.parametrize("target", [20, 29, 0, -1])
def test_impossible_targets(target, tmp_path):
    model = tmp_path / "m.onnx"
    model.write_bytes(softmax().SerializeToString())
    done = cases.subprocess.run(
        [cases.PROGRAM, "upgrade", str(model), "-o", str(tmp_path / "o"), "--opset", str(target)],
        capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2) and done.stderr
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("source, words", [(6, "opset 6"), (29, "opset 29"), (1, "opset 1")])
def test_impossible_sources(source, words, tmp_path):
    assert words in refusal(softmax(source, ir=8), tmp_path)


def test_never_lowers(tmp_path):
    model = make([NODE("Relu", ["x"], ["y"])], 23, [value("x", FLOAT, [3])],
                 [value("y", FLOAT, [3])], ir=13)
    result = upgrade(model, 21, tmp_path)
    assert result == model


def test_raises_ir_version_alone(tmp_path):
    model = make([NODE("Relu", ["x"], ["y"])], 23, [value("x", FLOAT, [3])],
                 [value("y", FLOAT, [3])], ir=8)
    result = upgrade(model, 21, tmp_path)
    assert result.ir_version == 11
    assert cases.opset_of(result) == 23


def test_ai_onnx_is_the_standard_domain(tmp_path):
    model = softmax()
    model.opset_import[0].domain = "ai.onnx"
    model.graph.node[0].domain = "ai.onnx"
    result, *_ = check(model, {"x": X}, tmp_path)
    assert [(i.domain, i.version) for i in result.opset_import] == [("ai.onnx", 21)]


def test_two_equal_imports_become_one(tmp_path):
    model = softmax(imports=[helper.make_opsetid("ai.onnx", 11), helper.make_opsetid("other", 3)])
    result, *_ = check(model, {"x": X}, tmp_path)
    assert [(i.domain, i.version) for i in result.opset_import] == [("", 21), ("other", 3)]


def test_two_different_imports(tmp_path):
    model = softmax(imports=[helper.make_opsetid("ai.onnx", 13)])
    assert "twice" in refusal(model, tmp_path)


def test_no_import(tmp_path):
    model = softmax()
    del model.opset_import[:]
    assert "import" in refusal(model, tmp_path)


def test_no_import_and_no_need_of_one(tmp_path):
    model = make([NODE("Foo", ["x"], ["y"], domain="other")], 11, [value("x", FLOAT, [3])],
                 [value("y", FLOAT, [3])], imports=[helper.make_opsetid("other", 2)])
    del model.opset_import[0]
    result = upgrade(model, 22, tmp_path)
    assert {(i.domain, i.version) for i in result.opset_import} == {("", 22), ("other", 2)}
    assert result.graph == model.graph


def test_other_domains_pass(tmp_path):
    nodes = [NODE("Softmax", ["x"], ["a"], domain="other", axis=1),
             NODE("Scaler", ["a"], ["y"], domain="ai.onnx.ml", scale=[1.0], offset=[0.0])]
    model = make(nodes, 9, [value("x", FLOAT, [3])], [value("y", FLOAT, [3])],
                 imports=[helper.make_opsetid("other", 1), helper.make_opsetid("ai.onnx.ml", 2)])
    result = upgrade(model, 21, tmp_path)
    assert result.graph == model.graph
    assert [(i.domain, i.version) for i in result.opset_import] == [
        ("", 21), ("other", 1), ("ai.onnx.ml", 2)]


def test_initializers_of_ir_3_stay_constant(tmp_path):
    model = make([NODE("Add", ["x", "w"], ["y"])], 8, [value("x", FLOAT, [4])],
                 [value("y", FLOAT, [4])], [constant("w", X[0, 0])])
    assert [i.name for i in model.graph.input] == ["x", "w"]
    result, *_ = check(model, {"x": X[0, 1]}, tmp_path)
    assert [i.name for i in result.graph.input] == ["x"]


def test_initializers_of_ir_4_stay_inputs(tmp_path):
    model = make([NODE("Add", ["x", "w"], ["y"])], 9,
                 [value("x", FLOAT, [4]), value("w", FLOAT, [4])],
                 [value("y", FLOAT, [4])], [constant("w", X[0, 0])])
    result, *_ = check(model, {"x": X[0, 1], "w": X[1, 0]}, tmp_path)
    assert [i.name for i in result.graph.input] == ["x", "w"]


# ---- what stays -------------------------------------------------------------------------


def test_words_stay(tmp_path):
    model = softmax(13)
    model.doc_string, model.producer_name, model.model_version = "doc", "someone", 7
    model.graph.doc_string, model.graph.node[0].doc_string = "graph", "node"
    model.domain = "com.example"
    helper.set_model_props(model, {"key": "value"})
    entry = model.graph.node[0].metadata_props.add()
    entry.key, entry.value = "scope", "here"
    note = model.graph.quantization_annotation.add()
    note.tensor_name = "y"
    note.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="x")
    model.graph.value_info.append(value("t", FLOAT, [1]))
    result = upgrade(model, 21, tmp_path)
    result.opset_import[0].version, result.ir_version = 13, model.ir_version
    assert result == model


def test_words_of_rewritten_nodes_stay(tmp_path):
    model = softmax(11)
    node = model.graph.node[0]
    node.doc_string = "doc"
    node.metadata_props.add(key="k", value="v")
    result = upgrade(model, 21, tmp_path)
    kept = next(n for n in result.graph.node if n.op_type == "Softmax")
    assert (kept.name, kept.doc_string, kept.metadata_props[0].key) == ("s", "doc", "k")


def test_training_graphs_are_raised(tmp_path):
    model = softmax(11)
    info = model.training_info.add()
    graph = helper.make_graph([NODE("Unsqueeze", ["a"], ["b"], axes=[0])], "t", [],
                              [value("b", FLOAT, [1, 3])], [constant("a", X[0, 0])])
    info.algorithm.CopyFrom(graph)
    info.initialization.CopyFrom(graph)
    info.update_binding.add(key="w", value="b")
    result = upgrade(model, 21, tmp_path)
    for raised in (result.training_info[0].algorithm, result.training_info[0].initialization):
        node = raised.node[0]
        assert not node.attribute and len(node.input) == 2
        assert node.input[1] in [i.name for i in raised.initializer]
    assert result.training_info[0].update_binding == info.update_binding


def test_nothing_is_said_of_what_is_gone(tmp_path):
    nodes = [NODE("Dropout", ["x"], ["y", "mask"])]
    model = make(nodes, 8, [value("x", FLOAT, [3])], [value("y", FLOAT, [3])],
                 value_info=[value("mask", FLOAT, [3])])
    result, *_ = check(model, {"x": X[0, 0, :3]}, tmp_path)
    assert not result.graph.value_info
    assert list(result.graph.node[0].output) == ["y"]


# ---- scopes and names ----------------------------------------------------------------------


def condition():
    return constant("c", np.array(True))


def branches(*, opset):
    then = helper.make_graph(
        [NODE("Softmax", ["x"], ["t0"], axis=1), NODE("Squeeze", ["t0"], ["t"], axes=[0])],
        "then", [], [value("t", FLOAT, [3, 4])])
    inner = helper.make_graph([NODE("Unsqueeze", ["row"], ["i"], axes=[0])], "inner", [],
                              [value("i", FLOAT, None)])
    other = helper.make_graph([NODE("Unsqueeze", ["row"], ["j"], axes=[1])], "other", [],
                              [value("j", FLOAT, None)])
    deep = [NODE("Slice", ["x"], ["row"], axes=[0], starts=[0], ends=[1]),
            NODE("If", ["c"], ["k"], then_branch=inner, else_branch=other),
            NODE("Squeeze", ["row"], ["e"], axes=[0])]
    if opset >= 10:
        deep[0] = NODE("Identity", ["x"], ["row"])
    els = helper.make_graph(deep, "else", [], [value("e", FLOAT, [3, 4])])
    return then, els


@pytest.mark.parametrize("opset", [8, 9, 11, 12])
@pytest.mark.parametrize("taken", [True, False])
def test_bodies(opset, taken, tmp_path):
    then, els = branches(opset=opset)
    node = NODE("If", ["c"], ["y"], then_branch=then, else_branch=els)
    model = make([node], opset, [value("x", FLOAT, [1, 3, 4])], [value("y", FLOAT, [3, 4])],
                 [constant("c", np.array(taken))])
    result, *_ = check(model, {"x": X[:1]}, tmp_path)
    text = onnx.printer.to_text(result)
    assert text.count("Squeeze <") == 0 and "Flatten" in text


@pytest.mark.parametrize("opset", [7, 9, 11, 12])
def test_loop_bodies(opset, tmp_path):
    body = helper.make_graph(
        [NODE("Softmax", ["a"], ["b"], axis=1), NODE("Clip", ["b"], ["b2"], max=0.4)
         if opset < 11 else NODE("Identity", ["b"], ["b2"]),
         NODE("ReduceSum", ["b2"], ["s"], axes=[0, 1, 2], keepdims=0),
         NODE("Identity", ["go"], ["go2"])],
        "body", [value("n", INT64, []), value("go", TensorProto.BOOL, []),
                 value("a", FLOAT, [2, 3, 4])],
        [value("go2", TensorProto.BOOL, []), value("b2", FLOAT, [2, 3, 4]), value("s", FLOAT, [])])
    model = make([NODE("Loop", ["n0", "c", "x"], ["y", "all"], body=body)], opset,
                 [value("x", FLOAT, [2, 3, 4])], [value("y", FLOAT, [2, 3, 4]),
                                                  value("all", FLOAT, [3])],
                 [constant("n0", np.array(3)), condition()])
    check(model, {"x": X}, tmp_path)


@pytest.mark.parametrize("opset", [9, 12])
def test_scan_bodies(opset, tmp_path):
    body = helper.make_graph(
        [NODE("Add", ["s", "e"], ["t"]), NODE("Unsqueeze", ["t"], ["u"], axes=[0]),
         NODE("Hardmax", ["u"], ["o"])],
        "body", [value("s", FLOAT, [4]), value("e", FLOAT, [4])],
        [value("t", FLOAT, [4]), value("o", FLOAT, [1, 4])])
    model = make([NODE("Scan", ["i", "x"], ["y", "all"], body=body, num_scan_inputs=1)], opset,
                 [value("i", FLOAT, [4]), value("x", FLOAT, [3, 4])],
                 [value("y", FLOAT, [4]), value("all", FLOAT, [3, 1, 4])])
    check(model, {"i": X[0, 0], "x": X[1]}, tmp_path)


def test_fresh_names_collide_with_nothing(tmp_path):
    taken = ["y_Flatten", "y_Shape", "y_raw", "y_axes", "z_axes", "y_Flatten_1"]
    nodes = [NODE("Softmax", ["x"], ["y"], axis=1)]
    nodes += [NODE("Identity", ["y"], [name], name=f"n{i}") for i, name in enumerate(taken)]
    nodes += [NODE("Unsqueeze", ["y"], ["z"], axes=[0])]
    model = make(nodes, 11, [value("x", FLOAT, [2, 3, 4])],
                 [value(n, FLOAT, None) for n in taken + ["z"]])
    check(model, {"x": X}, tmp_path)


def test_names_of_inner_scopes_are_taken_too(tmp_path):
    bodies = [helper.make_graph([NODE("Identity", ["x"], [name])], name, [],
                                [value(name, FLOAT, [2, 3, 4])])
              for name in ("y_Flatten", "y_Shape")]
    nodes = [NODE("Softmax", ["x"], ["y"], axis=1),
             NODE("If", ["c"], ["z"], then_branch=bodies[0], else_branch=bodies[1])]
    model = make(nodes, 11, [value("x", FLOAT, [2, 3, 4])],
                 [value("y", FLOAT, None), value("z", FLOAT, None)], [condition()])
    check(model, {"x": X}, tmp_path)


def test_equal_constants_are_kept_once(tmp_path):
    nodes = [NODE("Unsqueeze", [f"v{i}"], [f"v{i + 1}"], axes=[0]) for i in range(5)]
    nodes += [NODE("Squeeze", ["v5"], ["y"], axes=[1])]
    model = make(nodes, 11, [value("v0", FLOAT, [3])], [value("y", FLOAT, None)])
    result, *_ = check(model, {"v0": X[0, 0, :3]}, tmp_path)
    assert len(result.graph.initializer) == 2


def test_order_of_nodes_does_not_matter_to_types(tmp_path):
    nodes = [NODE("Clip", ["a"], ["y"], min=0.1), NODE("Neg", ["x"], ["a"])]
    model = make(nodes[::-1], 9, [value("x", FLOAT16, [3])], [value("y", FLOAT16, [3])])
    result = upgrade(model, 21, tmp_path)
    assert result.graph.initializer[0].data_type == FLOAT16
    assert "CastLike" not in cases.ops(result)


@pytest.mark.parametrize("element, dtype", [(FLOAT16, np.float16), (DOUBLE, np.float64)])
def test_unknown_types_are_cast_like_the_data(element, dtype, tmp_path):
    """The output of a sequence's element has no type that nibble knows."""
    nodes = [NODE("SplitToSequence", ["x"], ["s"], axis=0, keepdims=0),
             NODE("SequenceAt", ["s", "i"], ["a"])]
    inner = [NODE("Clip", ["p"], ["q"], min=0.1), NODE("Pad", ["q"], ["r"], pads=[1, 1], value=0.3)]
    function = helper.make_function("local", "F", ["p"], ["r"], inner,
                                    [helper.make_opsetid("", 10)])
    nodes += [NODE("F", ["a"], ["y"], domain="local")]
    model = make(nodes, 12, [value("x", element, [2, 3])], [value("y", element, [5])],
                 [constant("i", np.array(1))], [function], imports=[helper.make_opsetid("local",
                                                                                        1)], ir=8)
    result = upgrade(model, 21, tmp_path)
    x = np.array([[1, 2, 3], [-1, 0.25, 7]], dtype)
    expected = np.pad(np.clip(x[1], dtype(np.float32(0.1)), None), 1,
                      constant_values=dtype(np.float32(0.3)))
    cases.same([expected], cases.run(result, {"x": x}))
    assert "CastLike" in [n.op_type for n in result.functions[0].node]


# ---- local functions ----------------------------------------------------------------------


def with_function(function, node, opset=11, shape=(2, 3, 4)):
    domain = function.domain
    return make([node], opset, [value("x", FLOAT, list(shape))], [value("y", FLOAT, None)],
                functions=[function], imports=[helper.make_opsetid(domain, 1)], ir=8)


def test_functions_are_raised_from_their_own_opset(tmp_path):
    """ONNX Runtime runs bodies under the model's opset, so the outputs before are not an
    oracle."""
    function = helper.make_function("local", "F", ["a"], ["b"],
                                    [NODE("Softmax", ["a"], ["b"], axis=1)],
                                    [helper.make_opsetid("", 11)])
    model = with_function(function, NODE("F", ["x"], ["y"], domain="local"), opset=13)
    result = upgrade(model, 21, tmp_path)
    assert result.functions[0].opset_import[0].version == 21
    before = cases.run(softmax(11), {"x": X})
    cases.same(before, cases.run(result, {"x": X}))


def test_a_newer_function_stays(tmp_path):
    function = helper.make_function("local", "F", ["a"], ["b"],
                                    [NODE("Softmax", ["a"], ["b"], axis=1)],
                                    [helper.make_opsetid("", 23)])
    model = with_function(function, NODE("F", ["x"], ["y"], domain="local"), opset=13)
    result = upgrade(model, 21, tmp_path)
    assert result.functions[0] == function


def test_functions_of_a_new_model_are_raised_to_its_opset(tmp_path):
    function = helper.make_function("local", "F", ["a"], ["b"],
                                    [NODE("Softmax", ["a"], ["b"], axis=1)],
                                    [helper.make_opsetid("", 11)])
    model = with_function(function, NODE("F", ["x"], ["y"], domain="local"), opset=22)
    result = upgrade(model, 21, tmp_path)
    assert result.functions[0].opset_import[0].version == 22
    cases.same(cases.run(softmax(11), {"x": X}), cases.run(result, {"x": X}))


def test_constants_of_functions_are_nodes(tmp_path):
    inner = [NODE("Unsqueeze", ["a"], ["u"], axes=[0]),
             NODE("Slice", ["u"], ["s"], starts=[0, 1], ends=[1, 2]),
             NODE("TopK", ["s"], ["v", "i"], k=2), NODE("Unsqueeze", ["v"], ["b"], axes=[0])]
    function = helper.make_function("local", "F", ["a"], ["b"], inner, [helper.make_opsetid("", 9)])
    model = with_function(function, NODE("F", ["x"], ["y"], domain="local"), opset=9)
    check(model, {"x": X}, tmp_path)


def reference(node, attribute, name, kind):
    one = onnx.AttributeProto(name=attribute, ref_attr_name=name, type=kind)
    node.attribute.append(one)
    return node


KINDS = onnx.AttributeProto
REFERENCES = {
    "Unsqueeze": (11, [("axes", KINDS.INTS, [0, 2])]),
    "ReduceSum": (12, [("axes", KINDS.INTS, [1])]),
    "ReduceMax": (13, [("axes", KINDS.INTS, [0, 1])]),
    "Slice": (9, [("starts", KINDS.INTS, [1, 0]), ("ends", KINDS.INTS, [2, 2]), ("axes", KINDS.INTS,
                                                                                 [0, 2])]),
    "TopK": (9, [("k", KINDS.INT, 2)]),
    "Clip": (10, [("min", KINDS.FLOAT, 0.5), ("max", KINDS.FLOAT, 1.5)]),
    "Pad": (10, [("pads", KINDS.INTS, [0, 1, 0, 0, 1, 2]), ("value", KINDS.FLOAT, 2.0)]),
    "Softmax": (11, [("axis", KINDS.INT, 1)]),
    "Hardmax": (12, [("axis", KINDS.INT, -2)]),
    "Upsample": (8, [("scales", KINDS.FLOATS, [1.0, 2.0, 1.5]), ("mode", KINDS.STRING, "nearest")]),
    "Dropout": (9, [("ratio", KINDS.FLOAT, 0.25)]),
    "Split": (12, [("split", KINDS.INTS, [1, 2]), ("axis", KINDS.INT, 1)]),
}


@pytest.mark.parametrize("op_type", REFERENCES)
def test_attributes_that_callers_give(op_type, tmp_path):
    opset, attributes = REFERENCES[op_type]
    outputs = ["b", "b2"] if op_type in ("TopK", "Split") else ["b"]
    inner = NODE(op_type, ["a"], outputs)
    for name, kind, _ in attributes:
        reference(inner, name, f"my_{name}", kind)
    function = helper.make_function("local", "F", ["a"], ["b"], [inner],
                                    [helper.make_opsetid("", opset)],
                                    attributes=[f"my_{name}" for name, *_ in attributes])
    call = NODE("F", ["x"], ["y"], domain="local",
                **{f"my_{name}": given for name, _, given in attributes})
    check(with_function(function, call, opset), {"x": X}, tmp_path)


def test_attributes_that_not_all_callers_give(tmp_path):
    inner = reference(NODE("ReduceSum", ["a"], ["b"], name="r"), "axes", "my_axes", KINDS.INTS)
    function = helper.make_function("local", "F", ["a"], ["b"], [inner],
                                    [helper.make_opsetid("", 11)], attributes=["my_axes"])
    model = with_function(function, NODE("F", ["x"], ["y"], domain="local"))
    message = refusal(model, tmp_path)
    assert "r (ReduceSum)" in message and "in function F" in message and "axes" in message


def test_attributes_that_one_caller_leaves_out(tmp_path):
    inner = reference(NODE("ReduceSum", ["a"], ["b"], name="r"), "axes", "my_axes", KINDS.INTS)
    function = helper.make_function("local", "F", ["a"], ["b"], [inner],
                                    [helper.make_opsetid("", 11)], attributes=["my_axes"])
    model = with_function(function, NODE("F", ["x"], ["y"], domain="local", my_axes=[0]))
    upgrade(model, 21, tmp_path)
    model.graph.node.append(NODE("F", ["x"], ["z"], domain="local"))
    assert "not all callers" in refusal(model, tmp_path)


def test_attributes_in_bodies_of_functions(tmp_path):
    then = helper.make_graph([reference(NODE("Unsqueeze", ["a"], ["t"]), "axes", "my_axes",
                                        KINDS.INTS)],
                             "then", [], [value("t", FLOAT, None)])
    other = helper.make_graph([NODE("Unsqueeze", ["a"], ["e"], axes=[1])], "else", [],
                              [value("e", FLOAT, None)])
    inner = [NODE("Constant", [], ["c"], value=constant("c", np.array(True))),
             NODE("If", ["c"], ["b"], then_branch=then, else_branch=other)]
    function = helper.make_function("local", "F", ["a"], ["b"], inner,
                                    [helper.make_opsetid("", 11)], attributes=["my_axes"])
    model = with_function(function, NODE("F", ["x"], ["y"], domain="local", my_axes=[2]))
    check(model, {"x": X}, tmp_path)


def test_attributes_with_a_default(tmp_path):
    inner = reference(NODE("ReduceSum", ["a"], ["b"]), "axes", "my_axes", KINDS.INTS)
    function = helper.make_function("local", "F", ["a"], ["b"], [inner],
                                    [helper.make_opsetid("", 11)],
                                    attribute_protos=[helper.make_attribute("my_axes", [0, 2])])
    check(with_function(function, NODE("F", ["x"], ["y"], domain="local")), {"x": X}, tmp_path)


@pytest.mark.parametrize("op_type, opset, attribute, kind", [
    ("GridSample", 16, "mode", KINDS.STRING), ("Resize", 10, "mode", KINDS.STRING),
    ("Resize", 11, "coordinate_transformation_mode", KINDS.STRING),
    ("BatchNormalization", 8, "spatial", KINDS.INT)])
def test_attributes_that_must_be_known(op_type, opset, attribute, kind, tmp_path):
    inputs = {"GridSample": 2, "Resize": 2 if opset == 10 else 3, "BatchNormalization": 5}[op_type]
    inner = reference(NODE(op_type, ["a"] * inputs, ["b"]), attribute, "given", kind)
    function = helper.make_function("local", "F", ["a"], ["b"], [inner],
                                    [helper.make_opsetid("", opset)], attributes=["given"])
    model = with_function(function, NODE("F", ["x"], ["y"], domain="local", given="x"), opset)
    assert op_type in refusal(model, tmp_path)


def test_calls_pass_whatever_they_are_named(tmp_path):
    """A function named like an operator, and one in a domain that nobody imports."""
    body = [NODE("Add", ["a", "a"], ["b"])]
    functions = [helper.make_function(domain, name, ["a"], ["b"], body,
                                      [helper.make_opsetid("", 11)])
                 for domain, name in (("", "Softmax"), ("strange", "Scan"), ("ai.onnx", "ATen"))]
    nodes = [NODE("Softmax", ["x"], ["p"], axis=1), NODE("Scan", ["p"], ["q"], domain="strange"),
             NODE("ATen", ["q"], ["y"])]
    model = make(nodes, 11, [value("x", FLOAT, [3])], [value("y", FLOAT, [3])], functions=functions,
                 ir=8)
    assert upgrade(model, 21, tmp_path).graph == model.graph


@pytest.mark.parametrize("scale", [np.float32, np.float16])
def test_operators_of_the_runtime_pass(scale, tmp_path):
    """Operators of ONNX Runtime in the standard domain. The type of what they make is known to
    what follows: here to Clip, whose bounds become inputs of that type."""
    nodes = [NODE("SimplifiedLayerNormalization", ["x", "g"], ["n"], axis=-1),
             NODE("ThresholdedRelu", ["n"], ["r"], alpha=0.25),
             NODE("Clip", ["r"], ["y"], min=0.5, max=1.5)]
    model = make(nodes, 9, [value("x", FLOAT, [2, 3, 4])],
                 [value("y", FLOAT if scale == np.float32 else FLOAT16, [2, 3, 4])],
                 [constant("g", np.ones(4, scale))])
    for result in check(model, {"x": X}, tmp_path):
        assert cases.ops(result) == ["SimplifiedLayerNormalization", "ThresholdedRelu", "Clip"]


def test_functions_without_an_import(tmp_path):
    body = [NODE("Add", ["a", "a"], ["b"])]
    function = helper.make_function("local", "F", ["a"], ["b"], body, [])
    message = refusal(with_function(function, NODE("F", ["x"], ["y"], domain="local")), tmp_path)
    assert "function 'F'" in message


def test_functions_of_impossible_opsets(tmp_path):
    body = [NODE("Add", ["a", "a"], ["b"])]
    function = helper.make_function("local", "F", ["a"], ["b"], body, [helper.make_opsetid("", 6)])
    message = refusal(with_function(function, NODE("F", ["x"], ["y"], domain="local")), tmp_path)
    assert "function 'F'" in message and "opset 6" in message


# ---- refusals -----------------------------------------------------------------------------


def test_all_nodes_are_named_in_one_message(tmp_path):
    body = helper.make_graph([NODE("Celu", ["x"], ["e"], name="inside")], "b", [],
                             [value("e", FLOAT, [3])])
    nodes = [NODE("ATen", ["x"], ["a"], name="first"),
             NODE("HardSwish", ["a"], ["b"], name="second"),
             NODE("Dropout", ["b"], ["d", "mask"], name="third"), NODE("Not", ["mask"], ["n"]),
             NODE("Softmax", ["b"], ["fine"], name="fine"), NODE("Mish", ["b"], ["unnamed"]),
             NODE("If", ["c"], ["y"], then_branch=body, else_branch=body)]
    model = make(nodes, 9, [value("x", FLOAT, [3])], [value("y", FLOAT, [3])], [condition()])
    message = refusal(model, tmp_path)
    assert "6 nodes" in message
    for words in ("first (ATen): no operator of the standard domain",
                  "second (HardSwish): no operator of opset 9: it came with 14",
                  "third (Dropout)", "makes 'unnamed'", "inside (Celu)"):
        assert words in message
    assert "fine" not in message


def test_long_lists_are_cut(tmp_path):
    nodes = [NODE("ATen", ["x"], [f"a{i}"], name=f"node_{i}") for i in range(1000)]
    model = make(nodes, 9, [value("x", FLOAT, [3])], [value("a0", FLOAT, [3])])
    message = refusal(model, tmp_path)
    assert "1000 nodes" in message and len(message) < 4300
    listed = len(re.findall(r"node_\d+ \(ATen\)", message))
    more = int(re.search(r"and (\d+) more", message).group(1))
    assert listed > 20 and listed + more == 1000


@pytest.mark.parametrize("nodes, opset, words", [
    ([NODE("Scan", ["", "x", "x"], ["y", "z"], num_scan_inputs=1)], 8, "batch axis"),
    ([NODE("Dropout", ["x"], ["q", "y"])], 8, "mask"),
    ([NODE("Dropout", ["x"], ["q", "y"])], 11, "mask"),
    ([NODE("Upsample", ["x", "x"], ["y"])], 10, "went with 10"),
    ([NODE("Scatter", ["x", "x", "x"], ["y"])], 11, "went with 11"),
    ([NODE("BatchNormalization", list("xxxxx"), ["y", "a", "b", "c", "d"], spatial=0)], 7,
     "spatial"),
    ([NODE("BatchNormalization", list("xxxxx"), ["q", "a", "b", "c", "y"])], 9, "saved"),
    ([NODE("Resize", ["x", "", "x"], ["y"], mode="linear",
           coordinate_transformation_mode="tf_half_pixel_for_nn")], 11, "tf_half_pixel_for_nn"),
    ([NODE("Resize", ["x", "", "x"], ["y"], nearest_mode="ceil",
           coordinate_transformation_mode="tf_half_pixel_for_nn")], 12, "tf_half_pixel_for_nn"),
    ([NODE("Affine", ["x"], ["y"])], 9, "no operator"),
    ([NODE("", ["x"], ["y"])], 9, "no operator"),
])
def test_what_is_refused(nodes, opset, words, tmp_path):
    model = make(nodes, opset, [value("x", FLOAT, [3])], [value("y", FLOAT, [3])])
    message = refusal(model, tmp_path)
    assert "1 node can't be raised" in message and words in message


def test_masks_used_in_bodies_count(tmp_path):
    body = helper.make_graph([NODE("Cast", ["mask"], ["e"], to=1)], "b", [],
                             [value("e", FLOAT, [3])])
    nodes = [NODE("Dropout", ["x"], ["d", "mask"]),
             NODE("If", ["c"], ["y"], then_branch=body, else_branch=body)]
    model = make(nodes, 10, [value("x", FLOAT, [3])], [value("y", FLOAT, [3])], [condition()])
    assert "mask" in refusal(model, tmp_path)


def test_a_failure_leaves_the_old_output(tmp_path):
    model, old = tmp_path / "m.onnx", tmp_path / "o.onnx"
    model.write_bytes(make([NODE("ATen", ["x"], ["y"])], 9, [value("x", FLOAT, [3])],
                           [value("y", FLOAT, [3])]).SerializeToString())
    old.write_bytes(b"old")
    done = cases.subprocess.run([cases.PROGRAM, "upgrade", str(model), "-o", str(old)],
                                capture_output=True, check=False)
    assert done.returncode == 1 and old.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx", "o.onnx"]


# ---- nodes in the new form -------------------------------------------------------------


NEW_FORMS = [
    (10, "Slice", "x s s", {}, 21), (10, "TopK", "x s", {}, 21),
    (11, "Clip", "x s", {}, 21), (11, "Pad", "x s", {}, 21), (11, "ScatterElements", "x s x", {},
                                                              21),
    (12, "Dropout", "x s", {}, 21), (13, "Softmax", "x", {"axis": 0}, 21), (13, "Hardmax", "x", {},
                                                                            21),
    (13, "LogSoftmax", "x", {"axis": 1}, 21), (13, "ReduceSum", "x s", {}, 21),
    (13, "Squeeze", "x", {}, 21), (13, "Unsqueeze", "x s", {}, 21), (13, "Erf", "s", {}, 21),
    (13, "Resize", "x _ _ s", {}, 21), (14, "BatchNormalization", "x x x x x", {"training_mode": 1},
                                        21),
    (16, "RoiAlign", "x x s", {}, 21), (18, "ReduceMax", "x s", {}, 21),
    (18, "Split", "x", {"num_outputs": 1}, 21), (20, "DFT", "x _ s", {}, 21), (20, "DFT", "x", {},
                                                                               21),
    (20, "GridSample", "x x", {}, 21), (21, "GroupNormalization", "x x x", {"num_groups": 2}, 28),
]


@pytest.mark.parametrize("opset, op_type, inputs, attributes, target", NEW_FORMS)
def test_new_forms_pass(opset, op_type, inputs, attributes, target, tmp_path):
    """Rows apply below their opset and not at it."""
    names = ["" if name == "_" else name for name in inputs.split()]
    model = make([NODE(op_type, names, ["y"], **attributes)], opset,
                 [value("x", FLOAT, [2, 3]), value("s", INT64, [1])], [value("y", FLOAT, None)])
    assert upgrade(model, target, tmp_path).graph == model.graph


def test_pad_keeps_no_idle_value(tmp_path):
    for given in ({"mode": "edge", "value": 2.0}, {"mode": "reflect", "value": 1.0},
                  {"value": 0.0}):
        model = make([NODE("Pad", ["x"], ["y"], pads=[1, 1], **given)], 9, [value("x", FLOAT, [4])],
                     [value("y", FLOAT, [6])])
        result, *_ = check(model, {"x": X[0, 0]}, tmp_path)
        assert len(result.graph.node[0].input) == 2


def test_scales_that_callers_may_override(tmp_path):
    scales = constant("s", np.array([1, 2], np.float32))
    model = make([NODE("Resize", ["x", "s"], ["y"])], 10,
                 [value("x", FLOAT, [4, 6]), value("s", FLOAT, [2])],
                 [value("y", FLOAT, None)], [scales])
    for given in ([1, 2], [0.5, 3], [0.7, 0.7]):
        check(model, {"x": X.reshape(4, 6), "s": np.array(given, np.float32)}, tmp_path)


# ---- training mode --------------------------------------------------------------------------


def test_running_statistics_of_training(tmp_path):
    """ONNX Runtime updates them twice at opset 9. Opset 7 follows the specification."""
    given = {n: np.array(v, np.float32) for n, v in
             (("s", [1, 2]), ("b", [0, 1]), ("m", [0.5, 0.25]), ("v", [2, 3]))}
    node = NODE("BatchNormalization", list("xsbmv"), ["y", "rm", "rv", "sm", "sv"], momentum=0.75)
    x = X.reshape(3, 2, 4)
    expected = [0.75 * given["m"] + 0.25 * x.mean((0, 2)), 0.75 * given["v"] + 0.25 * x.var((0, 2))]
    for opset in (7, 9, 13):
        model = make([node], opset, [value("x", FLOAT, [3, 2, 4])],
                     [value("rm", FLOAT, [2]), value("rv", FLOAT, [2])],
                     [constant(n, a) for n, a in given.items()])
        result = upgrade(model, 21, tmp_path)
        cases.same(expected, cases.run(result, {"x": x}), 1e-5)


# ---- size and speed -----------------------------------------------------------------------


@pytest.mark.parametrize("op_type, attributes, opset", [
    ("Unsqueeze", {"axes": [0]}, 11), ("Clip", {"min": 0.0, "max": 6.0}, 9),
    ("Softmax", {"axis": 0}, 11), ("Dropout", {}, 7), ("Slice", {"starts": [0], "ends": [1]}, 9)])
def test_many_nodes(op_type, attributes, opset, tmp_path):
    """A square of the count would take minutes, and 16 times as long for 4 times as many."""
    def took(count):
        outputs = [[f"y{i}"] + [f"m{i}"] * (op_type == "Dropout") for i in range(count)]
        model = make([NODE(op_type, ["x"], names, **attributes) for names in outputs], opset,
                     [value("x", FLOAT, [2, 3])], [value("y0", FLOAT, None)])
        source, result = tmp_path / "many.onnx", tmp_path / "out.onnx"
        source.write_bytes(model.SerializeToString())
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = cases.subprocess.run([cases.PROGRAM, "upgrade", str(source), "-o", str(result)],
                                    capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert took(100_000) < 9 * took(25_000)


def test_attributes_values_come_in_all_forms(tmp_path):
    """Scales are in float_data, in raw_data and in a Constant node."""
    scales = [1.0, 1.0, 0.5, 0.5]
    x = np.arange(30, dtype=np.float32).reshape(1, 1, 5, 6)
    typed = helper.make_tensor("s", FLOAT, [4], scales)
    raw = helper.make_tensor("s", FLOAT, [4], np.array(scales, np.float32).tobytes(), raw=True)
    for tensor, as_node in itertools.product((typed, raw), (False, True)):
        nodes = [NODE("Resize", ["x", "s"], ["y"])]
        if as_node:
            nodes = [NODE("Constant", [], ["s"], value=tensor), *nodes]
        model = make(nodes, 10, [value("x", FLOAT, [1, 1, 5, 6])],
                     [value("y", FLOAT, [1, 1, 2, 3])],
                     [] if as_node else [tensor])
        result, *_ = check(model, {"x": x}, tmp_path)
        assert cases.ops(result).count("Resize") == 1


def test_integers_of_unknown_reductions(tmp_path):
    """ReduceLogSum lost integers with opset 28. The type comes through other nodes here."""
    nodes = [NODE("Abs", ["x"], ["a"]), NODE("Max", ["a", "one"], ["b"]),
             NODE("ReduceLogSum", ["b"], ["y"])]
    model = make(nodes, 18, [value("x", INT32, [2, 3])], [value("y", INT32, [1, 1])],
                 [constant("one", np.array(1, np.int32))])
    result, *_ = check(model, {"x": np.array([[3, -7, 9], [0, 4, 20]], np.int32)}, tmp_path,
                       targets=(28,))
    assert cases.ops(result) == ["Abs", "Max", "Cast", "ReduceLogSum", "Cast"]
