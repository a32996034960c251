"""--float16: what stays float32 is stored as float16 behind a Cast that runtimes fold. numpy's
float16 is the oracle of the values, and ONNX Runtime that of the folding."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import runtime

FLOAT = TensorProto.FLOAT
RNG = np.random.default_rng(5)


def info(name, shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, tensors, inputs, *, outputs=("Y",), opset=17, ir=8, functions=(), **graph):
    made = helper.make_graph(
        nodes, "g", inputs, [info(name, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()], **graph)
    imports = [helper.make_opsetid("", opset)] + [helper.make_opsetid("own", 1)] * bool(functions)
    return helper.make_model(made, opset_imports=imports, ir_version=ir, functions=functions)


def normal(*shape, scale=1.0):
    return (RNG.standard_normal(shape) * scale).astype(np.float32)


def fold(path, tmp_path):
    """The operators that ONNX Runtime runs, after folding at the basic level."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return onnx.load(options.optimized_model_filepath)


def operators(graph):
    """All operators, those of bodies included."""
    for node in graph.node:
        yield node.op_type
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from operators(attribute.g)


def decoded(path, name, tmp_path):
    """The value of a constant at run time."""
    made = onnx.load(path)
    made.graph.output.append(info(name, None))
    return runtime.session(made.SerializeToString(), False).run([name], {
        i.name: np.zeros([d.dim_value or 1 for d in i.type.tensor_type.shape.dim], np.float32)
        for i in made.graph.input})[0]


def check(path):
    """onnx.checker wants shapes of outputs, so it gets some."""
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(onnx.load(path), True, True),
                             full_check=True)


def layer(**tensors):
    """A normalized and scaled layer with a bias."""
    tensors = {"gain": normal(256), "shift": normal(256), "W": normal(256, 256, scale=0.05),
               "bias": normal(256), **tensors}
    nodes = [helper.make_node("LayerNormalization", ["X", "gain", "shift"], ["N"]),
             helper.make_node("MatMul", ["N", "W"], ["M"]),
             helper.make_node("Add", ["M", "bias"], ["Y"])]
    return model(nodes, tensors, [info("X", [3, 256])])


def types(result):
    return {w["name"]: w["type" if w["quantized"] else "stored_type"]
            for w in result.report["weights"]}


def reasons(result):
    return {w["name"]: w["float32_reason"] for w in result.report["weights"]
            if w.get("float32_reason")}


# ---- what is stored ------------------------------------------------------------


def test_values_are_those_of_numpy(quantize, tmp_path):
    source = layer()
    result = quantize(source, "--float16")
    assert types(result) == {"gain": "float16", "shift": "float16", "bias": "float16",
                             "W": "int4"}
    stored = {t.name: t for t in result.load().graph.initializer}
    for tensor in source.graph.initializer:
        if tensor.name == "W":
            continue
        half = numpy_helper.to_array(tensor).astype(np.float16)
        assert tensor.name not in stored
        np.testing.assert_array_equal(numpy_helper.to_array(stored[f"{tensor.name}_float16"]),
                                      half)
        np.testing.assert_array_equal(decoded(result.output, tensor.name, tmp_path),
                                      half.astype(np.float32))
    check(result.output)


def test_scales_are_float16_unless_said_otherwise(quantize):
    scales = [quantize(layer(), *words).report["weights"][2]["scale_type"]
              for words in ([], ["--float16"], ["--float16", "--scale-type", "float32"])]
    assert scales == ["float", "float16", "float"]


def test_the_report_has_the_bytes_of_the_file(quantize):
    plain, half = quantize(layer()), None
    before = plain.output.stat().st_size
    half = quantize(layer(), "--float16", "--scale-type", "float32")
    assert half.report["bytes"]["after"] == half.output.stat().st_size < before
    assert half.report["stored_float16"] == 3
    changed = [w["bytes"] for w in half.report["weights"] if w.get("stored_type") == "float16"]
    assert changed == [{"before": 1024, "after": 512}] * 3


def test_nothing_to_quantize_is_stored_smaller_all_the_same(quantize, run, tmp_path):
    nodes = [helper.make_node("Add", ["X", "bias"], ["Y"])]
    result = quantize(model(nodes, {"bias": normal(900)}, [info("X", [900])]), "--float16")
    assert result.output.stat().st_size < result.model.stat().st_size
    assert result.report["bytes"]["after"] == result.output.stat().st_size
    assert "unchanged" not in result.stderr
    dry = run("quantize", result.model, "--dry-run", "--float16").stdout.decode()
    assert "of these, 1 are stored as float16: 3.60 kB -> 1.80 kB" in dry


@pytest.mark.parametrize("words", [[], ["--external-data"]])
def test_the_written_values_are_verified(words, quantize):
    source = layer()
    plain = quantize(source, "--float16", *words).output.read_bytes()
    assert quantize(source, "--float16", "--verify", *words).output.read_bytes() == plain


def test_old_opsets_and_ir_versions(quantize):
    nodes = [helper.make_node("Mul", ["X", "gain"], ["Y"])]
    for opset, ir in [(7, 3), (9, 4), (13, 7), (21, 10)]:
        made = model(nodes, {"gain": normal(700)}, [info("X", [700])], opset=opset, ir=ir)
        if ir < 4:
            made.graph.input.append(info("gain", [700]))
        result = quantize(made, "--float16")
        assert types(result) == {"gain": "float16"}
        assert runtime.run_ort(result.output, [{"X": np.ones(700, np.float32)}])
        assert [i.name for i in result.load().graph.input] == ["X"]


# ---- folding ---------------------------------------------------------------------


def test_runtime_folds_every_cast(quantize, tmp_path):
    result = quantize(layer(), "--float16", "--decode", "load")
    assert [n.op_type for n in result.load().graph.node].count("Cast") >= 3
    assert "Cast" not in operators(fold(result.output, tmp_path).graph)


def branches(inner):
    """An If whose branches hold constants."""
    bodies = [helper.make_graph(
        [helper.make_node("Add", ["X", name], [f"{name}_out"])], name,
        [], [info(f"{name}_out", None)],
        [numpy_helper.from_array(normal(500), name)] if inner else []) for name in "ab"]
    node = helper.make_node("If", ["flag"], ["Y"], then_branch=bodies[0], else_branch=bodies[1])
    outer = {} if inner else {"a": normal(500), "b": normal(500)}
    return model([node], outer, [info("X", [500]), info("flag", [], TensorProto.BOOL)])


@pytest.mark.parametrize("inner", [True, False])
def test_constants_of_and_for_bodies(inner, quantize, tmp_path):
    source = branches(inner)
    result = quantize(source, "--float16")
    assert types(result) == {"a": "float16", "b": "float16"}
    assert "Cast" not in operators(fold(result.output, tmp_path).graph)
    x = normal(500)
    for flag in (True, False):
        feed = {"X": x, "flag": np.array(flag)}
        [[was]], [[now]] = (runtime.run_ort(m, [feed]) for m in (result.model, result.output))
        np.testing.assert_allclose(was, now, atol=4e-3)


def test_constants_of_functions(quantize, tmp_path):
    body = [helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(normal(400))),
            helper.make_node("Mul", ["x", "k"], ["y"])]
    function = helper.make_function("own", "Scale", ["x"], ["y"], body,
                                    [helper.make_opsetid("", 17)])
    source = model([helper.make_node("Scale", ["X"], ["Y"], domain="own")], {},
                   [info("X", [400])], functions=[function])
    result = quantize(source, "--float16")
    assert types(result) == {"k": "float16"}
    assert "Cast" not in operators(fold(result.output, tmp_path).graph)
    feed = {"X": normal(400)}
    assert runtime.worst(runtime.run_ort(result.model, [feed]),
                         runtime.run_ort(result.output, [feed])) < 1e-3


def test_constant_nodes_shared_constants_and_outputs(quantize, tmp_path):
    """One constant is a node, has two uses, one of them behind a Reshape, and is an output."""
    nodes = [helper.make_node("Add", ["X", "k"], ["A"]),
             helper.make_node("Constant", [], ["shape"],
                              value=numpy_helper.from_array(np.array([1, 300]))),
             helper.make_node("Reshape", ["k", "shape"], ["row"]),
             helper.make_node("Mul", ["A", "row"], ["Y"])]
    constant = helper.make_node("Constant", [], ["k"],
                                value=numpy_helper.from_array(normal(300)))
    source = model([constant, *nodes], {}, [info("X", [300])], outputs=("Y", "k"))
    result = quantize(source, "--float16")
    assert types(result) == {"k": "float16"}
    [[y, k]], [[now, half]] = (runtime.run_ort(m, [{"X": normal(300)}])
                               for m in (result.model, result.output))
    np.testing.assert_array_equal(half, k.astype(np.float16))
    check(result.output)


# ---- what is not stored so -----------------------------------------------------


TINY = np.full(512, 3e-7, np.float32) * (1 + np.arange(512, dtype=np.float32) % 7 / 7)
VALUES = {
    "nan": (np.where(np.arange(512) == 3, np.nan, normal(512)), "NaN"),
    "far": (np.where(np.arange(512) == 3, 1e5, normal(512)), "beyond 65504"),
    "mask": (np.where(np.arange(512) < 9, 0, np.finfo(np.float32).min), "beyond 65504"),
    "small": (TINY, "too coarse"),
    "whole": (RNG.integers(0, 30011, 512), "whole numbers"),
    "grid": ((np.arange(512) + 0.5) / 300, "not learned"),
    "waves": (np.sin(np.arange(512) * 0.1), "not learned"),
}


@pytest.mark.parametrize("case", VALUES)
def test_values_that_float16_does_not_suit(case, quantize):
    values, why = VALUES[case]
    nodes = [helper.make_node("Add", ["X", "k"], ["Y"])]
    result = quantize(model(nodes, {"k": values.astype(np.float32)}, [info("X", [512])]),
                      "--float16")
    assert types(result) == {"k": "float"} and why in reasons(result)["k"]
    assert result.output.read_bytes() == result.model.read_bytes()


@pytest.mark.parametrize("values", [
    np.where(np.arange(512) < 9, 0, -np.inf), np.arange(512) / 4, normal(512),
    np.where(np.arange(512) < 20, 1e-7, normal(512)), np.zeros(512), np.full(512, 0.1)],
    ids=["infinite", "exact grid", "learned", "some small", "zeros", "equal"])
def test_values_that_float16_suits(values, quantize):
    nodes = [helper.make_node("Add", ["X", "k"], ["Y"])]
    result = quantize(model(nodes, {"k": values.astype(np.float32)}, [info("X", [512])]),
                      "--float16")
    assert types(result) == {"k": "float16"}, reasons(result)


def test_small_divisors_stay(quantize):
    values = np.where(np.arange(512) < 5, 1e-6, normal(512)).astype(np.float32)
    for op, kind in [("Div", "float"), ("Mul", "float16")]:
        nodes = [helper.make_node(op, ["X", "k"], ["Y"])]
        assert types(quantize(model(nodes, {"k": values}, [info("X", [512])]),
                              "--float16")) == {"k": kind}


def phases(last):
    """Frequencies, times positions, in front of Cos, as rotary embeddings have it."""
    frequencies = (10000.0 ** -(np.arange(160) / 160)).astype(np.float32)
    nodes = [helper.make_node("Mul", ["X", "k"], ["P"]),
             helper.make_node("Concat", ["P", "P"], ["D"], axis=-1),
             helper.make_node(last, ["D"], ["Y"])]
    return model(nodes, {"k": frequencies}, [info("X", [7, 1])])


@pytest.mark.parametrize("last", ["Cos", "Floor", "Relu"])
def test_phases_and_places_stay(last, quantize):
    result = quantize(phases(last), "--float16")
    assert types(result) == {"k": "float16" if last == "Relu" else "float"}
    assert last == "Relu" or "positions or phases" in reasons(result)["k"]


def test_operators_that_want_constants(quantize):
    """Scales of QuantizeLinear, and an operator of somebody's own."""
    scales = np.abs(normal(300)) + 0.1
    zeros = np.zeros(300, np.int8)
    nodes = [helper.make_node("QuantizeLinear", ["X", "s", "z"], ["Q"], axis=1),
             helper.make_node("DequantizeLinear", ["Q", "s", "z"], ["D"], axis=1),
             helper.make_node("Upsample", ["D", "k"], ["Y"], domain="own")]
    made = model(nodes, {"s": scales, "z": zeros, "k": normal(300)}, [info("X", [2, 300])])
    made.opset_import.append(helper.make_opsetid("own", 1))
    found = reasons(quantize(made, "--float16"))
    assert "scale or zero point" in found["s"] and "Upsample" in found["k"]


def test_constants_that_a_caller_may_override(quantize):
    source = layer()
    source.graph.input.append(info("bias", [256]))
    assert "--freeze" in reasons(quantize(source, "--float16"))["bias"]
    frozen = quantize(source, "--float16", "--freeze")
    assert types(frozen)["bias"] == "float16"
    assert [i.name for i in frozen.load().graph.input] == ["X"]


def test_a_cast_that_does_not_pay(quantize):
    nodes = [helper.make_node("Add", ["X", "k" * 60], ["Y"])]
    made = model(nodes, {"k" * 60: normal(100)}, [info("X", [100])])
    result = quantize(made, "--float16")
    assert "more room than it saves" in reasons(result)["k" * 60]


def test_rules_decide(quantize):
    result = quantize(layer(), "--float16", "--rule", "gain: float32", "--rule", "W: keep")
    assert types(result) == {"gain": "float", "shift": "float16", "bias": "float16",
                             "W": "float16"}
    assert "--rule" in reasons(result)["gain"]


def test_models_in_other_types_stay(quantize):
    nodes = [helper.make_node("Add", ["X", "k"], ["Y"])]
    made = model(nodes, {"k": normal(500).astype(np.float64)},
                 [info("X", [500], TensorProto.DOUBLE)])
    made.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    result = quantize(made, "--float16")
    assert types(result) == {"k": "double"} and not reasons(result)


@pytest.mark.parametrize("name", ["fashion_cnn_ts17.onnx", "bible_lm_ts17.onnx"])
def test_real_models(name, quantize, real_model, tmp_path):
    """As near to float as without the option, smaller, and with the same operators at run time."""
    path = real_model(name)
    plain = quantize(path, "--decode", "auto", "--scale-type", "float16", output="plain.onnx")
    half = quantize(path, "--decode", "auto", "--float16", output="half.onnx")
    assert half.report["bytes"]["after"] == half.output.stat().st_size
    assert half.output.stat().st_size < plain.output.stat().st_size
    assert half.report["stored_float16"] > 2
    before, after = (sorted(operators(fold(r.output, tmp_path).graph)) for r in (plain, half))
    assert before == after
