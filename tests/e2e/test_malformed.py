"""Models that can be parsed but make no sense: tensors that contradict themselves, and graphs
that no runtime would take. nibble refuses them with a message or leaves them as they are."""

import pytest
from onnx import helper

import build
import wire
from damage import OPTIONS, SMALL

RAW = build.weight(SMALL).raw_data  # 30 floats


def with_weight(tensor, node=None):
    node = node or helper.make_node("MatMul", ["X", "W"], ["Y"]).SerializeToString()
    return wire.model(wire.field(1, node) + wire.field(5, tensor) +
                      wire.field(11, wire.value_info("X", [2, 6])) +
                      wire.field(12, wire.value_info("Y", [2, 5])))


def tensor(dims=(6, 5), kind=1, raw=RAW, more=b""):
    head = b"".join(wire.field(1, d) for d in dims) + wire.field(2, kind) + wire.field(8, "W")
    return head + (wire.field(9, raw) if raw is not None else b"") + more


def external(**entries):
    return wire.field(14, 1) + b"".join(
        wire.field(13, wire.field(1, k) + wire.field(2, str(v))) for k, v in entries.items())


# Tensors that contradict themselves: refused, naming the tensor.
BROKEN_TENSORS = {
    "raw too short": tensor(raw=RAW[:-1]), "raw too long": tensor(raw=RAW + b"\0"),
    "raw empty": tensor(raw=b""), "no values": tensor(raw=None),
    "half as many": tensor(raw=RAW[:60]), "double": tensor(kind=11), "float16": tensor(kind=10),
    "float_data too short": tensor(raw=None, more=wire.field(4, RAW[:-4])),
    "int32_data for float": tensor(raw=None, more=wire.field(5, b"\1" * 30)),
    "float_data for float16": tensor(kind=10, raw=None, more=wire.field(4, RAW)),
    "int32_data too short": tensor(kind=10, raw=None, more=wire.field(5, b"\1" * 29)),
    "negative": tensor((6, -5)), "both negative": tensor((-6, -5)), "huge": tensor((6, 2**62)),
    "overflow": tensor((2**32, 2**32)), "overflow to 30": tensor((2**63, 2, 30)),
    "overflow in bytes": tensor((2**31, 2**31)), "largest": tensor((2**63 - 1, 1)),
}

# Odd ones, that may be refused or left alone.
ODD_TENSORS = {
    "no dims": tensor(()), "one": tensor((30,)), "zero": tensor((0, 2**40), raw=b""),
    "zero and overflow": tensor((0, 2**40, 2**40), raw=b""), "zero, negative": tensor((0, -1)),
    "ones": tensor((1,) * 1000 + (6, 5)), "many dims": tensor((1,) * 100_000 + (6, 5)),
    "undefined type": tensor(kind=0), "unknown type": tensor(kind=99),
    "negative type": tensor(kind=-1), "huge type": tensor(kind=2**31 - 1),
    "string type": tensor(kind=8), "int4 type": tensor(kind=22),
    "both fields": tensor(more=wire.field(4, RAW)), "no name": tensor()[:-len(RAW) - 6],
    "segment": tensor(more=wire.field(3, wire.field(1, 5) + wire.field(2, 2**62))),
    "external and raw": tensor(more=external(location="in.onnx", offset=0, length=120)),
    "external is the model": tensor(raw=None, more=external(location="in.onnx")),
    "external, no entries": tensor(raw=None, more=external()),
    "external, odd location": tensor(raw=None, more=external(location="\n\x1b[31m")),
    "external twice": tensor(raw=None, more=external(location="a") + external(location="in.onnx")),
}


@pytest.mark.parametrize("case", BROKEN_TENSORS)
def test_broken_tensor(case, survive):
    assert survive(with_weight(BROKEN_TENSORS[case]), status=(1,)) is None


@pytest.mark.parametrize("case", ODD_TENSORS)
def test_odd_tensor(case, survive):
    assert survive(with_weight(ODD_TENSORS[case])) is None


# ---- graphs ----------------------------------------------------------------

def edited(change, **parts):
    """A sound model with a change."""
    model = build.layer_model(SMALL, build.weight(SMALL), **parts)
    change(model)
    return model.SerializeToString()


def function(name, *calls, domain="f"):
    nodes = [helper.make_node(call, ["a"], [f"b{i}"], domain=domain)
             for i, call in enumerate(calls)]
    return helper.make_function(domain, name, ["a"], ["b0"], nodes, [helper.make_opsetid("f", 1)])


def functions(*made):
    def change(model):
        model.functions.extend(made)
        model.opset_import.append(helper.make_opsetid("f", 1))
        model.graph.node.append(helper.make_node("A", ["X"], ["Z"], domain="f"))
    return edited(change)


def node(*args, **attributes):
    return edited(lambda m: m.graph.node.append(helper.make_node(*args, **attributes)))


def attribute(**fields):
    made = helper.make_node("Gemm", ["X", "W"], ["Z"])
    made.attribute.add(name="transB", **fields)
    return edited(lambda m: m.graph.node.append(made))


def constant_with(**fields):
    def change(model):
        made = model.graph.node.add(op_type="Constant", output=["K"])
        made.attribute.add(**fields)
        model.graph.node.append(helper.make_node("MatMul", ["X", "K"], ["Z"]))
    return edited(change)


ODD_GRAPHS = {
    "no graph": wire.opset(), "empty graph": wire.model(b""), "no opset": edited(
        lambda m: m.ClearField("opset_import")),
    "opset 0": edited(lambda m: None, opset=0), "opset -1": edited(lambda m: None, opset=-1),
    "opset 2^62": edited(lambda m: None, opset=2**62), "opset 1": edited(lambda m: None, opset=1),
    "opset 99": edited(lambda m: None, opset=99),
    "two opsets": edited(lambda m: m.opset_import.add(domain="", version=13)),
    "two names of a domain": edited(lambda m: m.opset_import.add(domain="ai.onnx", version=13)),
    "no ir": edited(lambda m: m.ClearField("ir_version")), "ir -1": edited(lambda m: None, ir=-1),
    "ir 2^62": edited(lambda m: None, ir=2**62), "ir 0": edited(lambda m: None, ir=0),
    "weight twice": edited(lambda m: m.graph.initializer.append(m.graph.initializer[0])),
    "weight is an output too": node("Relu", ["X"], ["W"]),
    "weight is X": edited(lambda m: m.graph.input.append(build.info("W", shape=[1]))),
    "output twice": node("Relu", ["X"], ["Y"]), "own output": node("Add", ["Z", "X"], ["Z"]),
    "circle": edited(lambda m: m.graph.node.extend([helper.make_node("Relu", ["A"], ["B"]),
                                                    helper.make_node("Relu", ["B"], ["A"])])),
    "undefined": node("MatMul", ["nothing", "W"], ["Z"]), "no inputs": node("MatMul", [], ["Z"]),
    "one input": node("MatMul", ["W"], ["Z"]),
    "weight in a far input": node("MatMul", [""] * 9 + ["W"], ["Z"]),
    "no outputs": node("MatMul", ["X", "W"], []), "empty output": node("MatMul", ["X", "W"], [""]),
    "no op": node("", ["X", "W"], ["Z"]), "if without branches": node("If", ["X"], ["Z"]),
    "if with a tensor": node("If", ["X"], ["Z"], then_branch=build.weight(SMALL)),
    "string transB": attribute(type=3, s=b"1"), "transB without value": attribute(type=2),
    "huge transB": attribute(type=2, i=2**63 - 1), "transB twice": node(
        "Gemm", ["X", "W"], ["Z"], transB=1),
    "untyped transB": attribute(i=1), "transB of all": attribute(
        type=2, i=1, f=2.0, s=b"x", t=build.weight(SMALL), ints=[1]),
    "transB by reference": attribute(type=2, ref_attr_name="outer"),
    "constant without attribute": node("Constant", [], ["K"]),
    "constant of type float": constant_with(name="value", type=1, f=1.0),
    "constant without tensor": constant_with(name="value", type=4),
    "constant by reference": constant_with(name="value", type=4, ref_attr_name="v"),
    "constant of sparse": constant_with(name="sparse_value", type=11),
    "constant of empty floats": constant_with(name="value_floats", type=6),
    "constant with two outputs": edited(lambda m: m.graph.node.append(
        helper.make_node("Constant", [], ["K", "L"], value=build.weight(SMALL)))),
    "constant with inputs": node("Constant", ["X"], ["K"], value=build.weight(SMALL)),
    "decoder already": node("DequantizeLinear", ["W", "W"], ["Z"]),
    "function calls itself": functions(function("A", "A")),
    "functions call each other": functions(function("A", "B"), function("B", "C"),
                                           function("C", "A")),
    "function twice": functions(function("A", "B"), function("A", "C")),
    "function without opset": edited(lambda m: m.functions.add(name="A", domain="f")),
    "function of the standard": functions(function("MatMul", "MatMul", domain="")),
    "functions that double": functions(*(function(chr(65 + i), *[chr(66 + i)] * 2)
                                         for i in range(25))),
    "empty sparse": edited(lambda m: m.graph.sparse_initializer.add()),
    "empty training": edited(lambda m: m.training_info.add()),
    "empty names": edited(lambda m: m.graph.initializer.extend(
        [build.weight(SMALL, name=""), build.weight(SMALL, name="")])),
    "conv of rank 2": node("Conv", ["X", "W"], ["Z"]),
    "convtranspose of 1": edited(lambda m: m.graph.node.append(
        helper.make_node("ConvTranspose", ["X", "W"], ["Z"], group=-1))),
    "invalid text": edited(lambda m: None).replace(b"layer", b"\xff\xfe\x80aa"),
    "control characters": edited(lambda m: None).replace(b"layer", b"\x1b[2J\n"),
}


@pytest.mark.parametrize("case", ODD_GRAPHS)
def test_odd_graph(case, survive):
    for options in OPTIONS[:2]:
        assert survive(ODD_GRAPHS[case], options) is None


@pytest.mark.parametrize("case", ["no graph", "opset -1"])
def test_refused(case, survive):
    assert survive(ODD_GRAPHS[case], status=(1,)) is None


def test_names_with_zero_bytes(run, tmp_path):
    """C strings end at a zero byte. Such names must come out whole or not at all."""
    data = edited(lambda m: m.graph.initializer.append(build.weight(SMALL, name="W\0b", seed=1)))
    (tmp_path / "in.onnx").write_bytes(data)
    done = run(tmp_path / "in.onnx", "-o", tmp_path / "out.onnx", "--min-elements", 4)
    assert done.returncode in (0, 1)
    if done.returncode == 0:
        assert b"W\0b" in (tmp_path / "out.onnx").read_bytes()
