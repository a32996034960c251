"""Shared parts of the tests of damaged files: a small model to damage, options to run with, and
a check of many cases at once."""

import numpy as np
from onnx import helper, numpy_helper

import build

SMALL = build.Layer("MatMul", (6, 5), (2, 6))
OPTIONS = [["--block-size", "4"], ["--type", "uint4", "--per-channel"],
           ["--type", "int8", "--per-tensor"], ["--type", "uint8", "--external-data"],
           ["--freeze"], ["--symmetric", "--type", "uint4"], ["--decode", "load"],
           ["--decode", "portable"], ["--format", "nbits"], ["--target", "generic"]]


def base():
    """A model with a bit of everything in some 2000 bytes. Few of them are values."""
    w = build.weight(SMALL)
    model = build.in_if(SMALL, w, "float")
    model.graph.node.extend([
        build.constant(build.weight(SMALL, name="C")), SMALL.node(weight="C", y="Z", name="m"),
        helper.make_node("Part", ["X"], ["P"], domain="f")])
    model.graph.initializer.append(build.weight(SMALL, "float16", "H"))
    model.graph.node.append(helper.make_node("Transpose", ["H"], ["T"], perm=[1, 0]))
    model.functions.append(helper.make_function(
        "f", "Part", ["a"], ["b"], [build.constant(build.weight(SMALL, name="F")),
                                    helper.make_node("MatMul", ["a", "F"], ["b"])],
        [helper.make_opsetid("", 17)]))
    model.opset_import.append(helper.make_opsetid("f", 1))
    build.typed(model.graph.initializer[0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(
        build.tensor(np.ones(2), "S"), numpy_helper.from_array(np.array([1, 3])), [5]))
    model.training_info.add().algorithm.name = "t"
    helper.set_model_props(model, {"key": "value"})
    return model.SerializeToString()


def check_all(survive, cases):
    """`cases` are pairs (name, bytes). Each gets one of OPTIONS."""
    problems = {}
    for i, (name, data) in enumerate(cases):
        problem = survive(data, OPTIONS[i % len(OPTIONS)])
        if problem:
            problems[name] = problem
    assert not problems
