"""--rule, and patterns of weights: what they mean, which one counts, and what is said of those
that mean nothing."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import models


EMBED, FIRST, SECOND, HEAD = ("/embed/Gather", "/layers.0/MatMul", "/layers.1/MatMul",
                              "/lm_head/MatMul")
EVERY = {EMBED, FIRST, SECOND, HEAD}
USED_BY = {"table": EMBED, "onnx::MatMul_1": FIRST, "onnx::MatMul_2": SECOND, "half": HEAD,
           "wide": HEAD}  # once the Cast is folded


def language_model():
    """An embedding, two layers and a head, with the names that PyTorch's exporter gives."""
    nodes = [helper.make_node("Gather", ["table", "ids"], ["h0"], name="/embed/Gather"),
             helper.make_node("MatMul", ["h0", "onnx::MatMul_1"], ["h1"], name="/layers.0/MatMul"),
             helper.make_node("Relu", ["h1"], ["h2"], name="/layers.0/Relu"),
             helper.make_node("MatMul", ["h2", "onnx::MatMul_2"], ["h3"], name="/layers.1/MatMul"),
             helper.make_node("Tanh", ["h3"], ["h4"]),
             helper.make_node("Cast", ["half"], ["wide"], to=TensorProto.FLOAT, name="/widen"),
             helper.make_node("MatMul", ["h4", "wide"], ["h5"], name="/lm_head/MatMul"),
             helper.make_node("Add", ["h5", "bias"], ["y"], name="/lm_head/Add")]
    random = np.random.default_rng(1)
    floats = {name: random.standard_normal(shape).astype(np.float32)
              for name, shape in [("table", (128, 64)), ("onnx::MatMul_1", (64, 64)),
                                  ("onnx::MatMul_2", (64, 64)), ("half", (64, 128)),
                                  ("bias", (128,))]}
    floats["half"] = floats["half"].astype(np.float16)
    graph = helper.make_graph(
        nodes, "graph", [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 128])],
        [numpy_helper.from_array(array, name) for name, array in floats.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.fixture
def types(nibble, folder):
    """Runs inspect with options, and gives what became of the four weights."""
    onnx.save(language_model(), folder / "language.onnx")

    def run(*options, status=0):
        done = nibble("inspect", "language.onnx", "--json", "-", *options)
        assert done.status == status, done.err
        weights = json.loads(done.text)["weights"]
        run.err = done.err
        return {USED_BY[weight["name"]]: weight for weight in weights
                if len(weight["dims"]) == 2}

    return run


def names(weights, **wanted):
    return {name for name, weight in weights.items()
            if all(weight.get(key) == value for key, value in wanted.items())}


@pytest.mark.parametrize("pattern, meant", [
    ("/lm_head/", {HEAD}), ("^/layers", {FIRST, SECOND}), ("onnx::MatMul_2$", {SECOND}),
    ("op=Gather", {EMBED}), ("op=MatMul", {FIRST, SECOND, HEAD}), ("op=Mat", set()),
    ("op=Gather|MatMul", EVERY), ("graph=^$", EVERY), ("graph=body", set()),
    ("role=head", {HEAD}), ("^wide$", {HEAD})])
def test_what_patterns_mean(types, pattern, meant):
    assert names(types("--rule", f"{pattern}: keep"), quantized=False) == meant
    assert ("matches no weight" in types.err) == (not meant)
    assert names(types("--exclude", pattern), quantized=False) == meant
    assert names(types("--include", pattern), quantized=True) == meant


def test_first_match_wins(types):
    weights = types("--rule", "op=Gather: type=int8", "--rule", "/layers.1/: block-size=16",
                    "--rule", "/layers: type=uint8, per-channel", "--rule", ".*: keep")
    assert weights[EMBED]["type"] == "uint8" and weights[EMBED]["form"] == "Gather"
    assert (weights[SECOND]["type"], weights[SECOND]["granularity"]) == ("int4",
                                                                         "block 16, axis 0")
    assert (weights[FIRST]["type"], weights[FIRST]["granularity"]) == ("uint8",
                                                                       "channel, axis 1")
    assert "(--rule '.*: keep')" in weights[HEAD]["reason"] and not weights[HEAD]["asked"]
    assert weights[SECOND]["rule"] == "/layers.1/: block-size=16"


@pytest.mark.parametrize("setting, key, value", [
    ("type=int8", "type", "int8"), ("per-tensor", "granularity", "tensor"),
    ("scale-type=float16", "scale_type", "float16"), ("decode=load", "form", "load"),
    ("decode=portable", "form", "portable"), ("default", "type", "int4"),
    ("block-size=32", "granularity", "block 32, axis 0")])
def test_settings(types, setting, key, value):
    """A rule sets what it says, for its weights alone."""
    plain, weights = types(), types("--rule", f"/layers.0/ : {setting}")
    assert weights[FIRST][key] == value
    assert weights[SECOND] == plain[SECOND] and weights[EMBED] == plain[EMBED]


def test_method_and_symmetry(nibble, types, folder):
    """The bytes of a weight are those of a run with these options for all."""
    types()
    for option, setting in [("--method=rtn", "method=rtn"), ("--asymmetric", "asymmetric")]:
        assert nibble("language.onnx", "-qo", "all.onnx", option).status == 0
        assert nibble("language.onnx", "-qo", "one.onnx", "--rule", f"/layers.0/: {setting}"
                      ).status == 0
        codes = [{tensor.name: tensor.raw_data for tensor in onnx.load(folder / name
                  ).graph.initializer if "onnx::MatMul_1" in tensor.name}
                 for name in ("all.onnx", "one.onnx")]
        assert codes[0] == codes[1] and len(codes[0]) >= 2


def test_rules_win_over_the_budget(types):
    for choice in ("--bits-per-weight=4.6", "--min-snr=20"):
        weights = types(choice, "--rule", "op=Gather: type=int8", "--rule", "role=head: keep",
                        "--rule", "/layers.1/: method=rtn")
        assert weights[EMBED]["type"] == "uint8"
        assert not weights[HEAD]["quantized"]
        assert weights[SECOND]["type"] == "int4"
    report = types("--bits-per-weight=4.6", "--rule", "op=Gather|MatMul: type=int8")
    assert names(report, type="int4") == set()


def test_warnings(nibble, types):
    weights = types("--rule", "/lm_haed/: type=int8", "--rule", "? op=Conv: keep")
    assert names(weights, type="int4") | {EMBED} == EVERY
    assert types.err == (
        "nibble: warning: --rule '/lm_haed/: type=int8' matches no weight; the nearest names "
        "are '/lm_head/Add', '/lm_head/MatMul', '/embed/Gather'\n")
    assert types.err.count("\n") == 1
    types("--rule", "/lm_haed/: type=int8", "--strict", status=3)
    types("--rule", "/lm_head/: type=int8", "--strict", status=0)
    assert "'Gather'" in nibble("inspect", "language.onnx", "--exclude", "op=Gathr").err


@pytest.mark.parametrize("rule, words", [
    ("/lm_head/", ["no settings", "PATTERN: keep"]), ("a: type=int5", ["int4, uint4", "'int5'"]),
    ("a: bits=8", ["'bits' is no setting", "block-size="]), (": keep", ["no pattern"]),
    ("(: keep", ["'('", "regular expression"]), ("a: keep, type=int8", ["'keep' stands alone"]),
    ("a: type=int8, type=int4", ["contradicts"]), ("a: per-channel, block-size=2", ["contradicts"]),
    ("a: block-size=1", ["from 2 on"]), ("a: block-size", ["needs a value"]),
    ("a: symmetric=1", ["takes no value"]), ("a:", ["'' is no setting"]),
    ("role=tail: keep", ["role=head only"]), ("op=(: keep", ["regular expression"])])
def test_wrong_rules(nibble, rule, words):
    run = nibble("inspect", "model.onnx", "--rule", rule)
    assert run.status == 2 and run.text == "" and run.err.count("\n") == 1
    for word in ["--rule", *words]:
        assert word in run.err


def test_decoding_that_the_target_lacks(nibble):
    run = nibble("inspect", "model.onnx", "--target", "generic", "--rule", "a: decode=load")
    assert run.status == 2 and "--target generic" in run.err


def test_colons_in_names(types):
    assert names(types("--rule", "onnx::MatMul_1$:type=int8"), type="int8") == {FIRST}


def test_nodes_are_listed(nibble, types):
    types()
    table = nibble("inspect", "language.onnx").text
    assert "  NODE\n" in table and "  /lm_head/MatMul\n" in table
    assert "NODE" not in nibble("language.onnx", "-o", "out.onnx").text
    assert "/lm_head/MatMul" in nibble("language.onnx", "-o", "out.onnx", "-v").text
