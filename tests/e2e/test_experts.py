"""MoE of com.microsoft. With --format nbits it becomes QMoE, which takes codes of all its banks
or of none. Otherwise the banks are decoded. The float operator with rounded weights is the
oracle, and numpy for the operator itself."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import build
import forms_check
import oracle
import runtime
from build import info
from forms_models import node, noise
from oracle import Scheme

E, H, I = 4, 64, 96
BANKS = {"up": (E, I, H), "down": (E, H, I)}
FORMS = forms_check.FORMS
SCHEME = Scheme("int4", min_elements=16)
GATED = {"activation_type": "swiglu", "swiglu_fusion": 1, "activation_alpha": 1.702,
         "activation_beta": 1.0, "swiglu_limit": 0.5}


def moe(banks=None, biases=True, rows=7, dtype="float", k=2, normalize_routing_weights=1, **more):
    """The operator, and inputs for it. Weights are far from symmetric."""
    banks = {**BANKS, **(banks or {})}
    kind, made = build.TYPES[dtype][0], {}
    for seed, (name, shape) in enumerate(banks.items()):
        made[name] = (noise(shape, seed) / 8 + 0.05).astype(kind)
        if biases:
            made[f"{name}_bias"] = noise(shape[:2], seed + 9).astype(kind)
    names = [name if name in made else "" for bank in banks for name in (bank, f"{bank}_bias")]
    operator = node("MoE", ["X", "R", *names], "Y", "com.microsoft", k=k,
                    normalize_routing_weights=normalize_routing_weights, **more)
    operator.name = "experts"
    hidden = banks["up"][2]
    float_type = build.TYPES[dtype][1]
    model = build.model([operator], [info("X", float_type, [rows, hidden]),
                                     info("R", float_type, [rows, E])],
                        [info("Y", float_type, [rows, hidden])],
                        [numpy_helper.from_array(array, name) for name, array in made.items()],
                        17, ir=8)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    rng = np.random.default_rng(5)
    feeds = [{"X": rng.standard_normal((rows, hidden)).astype(kind),
              "R": rng.standard_normal((rows, E)).astype(kind)}]
    return model, feeds


def rounded(model, result, scheme=SCHEME):
    """The float model with weights that numpy rounded in the reported groups."""
    groups = {row["name"]: row["granularity"] for row in result.report["weights"]
              if row["quantized"]}
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for key, constant in oracle.constants(model).items():
        if key[1] in groups:
            values = forms_check.rounded(constant, scheme, groups[key[1]])
            tensor, = (t for t in copy.graph.initializer if t.name == key[1])
            kind = oracle.NUMPY_TYPE[oracle.FLOAT_TYPE[tensor.data_type]]
            tensor.CopyFrom(numpy_helper.from_array(values.astype(kind), key[1]))
    return copy


def check(model, feeds, form, quantize, scheme=SCHEME, tolerance=2e-6):
    """Returns the result and the operators of the output."""
    result = quantize(model, *scheme.options(), *FORMS[form])
    onnx.checker.check_model(str(result.output))
    wanted = runtime.run_ort(rounded(model, result, scheme).SerializeToString(), feeds)
    for optimize in (False, True):
        got = runtime.run_ort(result.output, feeds, optimize)
        assert runtime.worst(wanted, got) < tolerance
    return result, [n.op_type for n in result.load().graph.node]


CASES = {
    "relu": ({}, 32), "silu": ({"activation_type": "silu"}, 32),
    "gelu": ({"activation_type": "gelu", "k": 1}, 32),
    "identity": ({"activation_type": "identity", "k": 4}, 32),
    "gated": ({"banks": {"up": (E, 2 * I, H)}, "biases": False, **GATED}, 32),
    "one block": ({"banks": {"up": (E, 128, 128), "down": (E, 128, 128)}}, 128),
    "rows": ({"banks": {"up": (E, 70, 50), "down": (E, 50, 70)}}, 0),
    "shares": ({"normalize_routing_weights": 0}, 32),
    "share of one": ({"normalize_routing_weights": 0, "k": 1, "activation_type": "gelu"}, 32),
    "half": ({"dtype": "float16"}, 32),
}


@pytest.mark.parametrize("form", ["run", "load", "portable", "nbits"])
@pytest.mark.parametrize("case", CASES)
def test_forms(case, form, quantize):
    options, block = CASES[case]
    model, feeds = moe(**options)
    tolerance = 2e-3 if case == "half" else 2e-6
    result, left = check(model, feeds, form, quantize, tolerance=tolerance)
    assert result.names == {"up", "down"}
    assert ("QMoE" in left) == (form == "nbits") == ("MoE" not in left)
    if form == "nbits":
        made, = (n for n in result.load().graph.node if n.op_type == "QMoE")
        kept = {a.name: helper.get_attribute_value(a) for a in made.attribute}
        assert kept.pop("expert_weight_bits") == 4 and kept.pop("block_size", 0) == block
        old = {a.name: helper.get_attribute_value(a) for a in model.graph.node[0].attribute}
        assert kept == old and made.name == "experts"


@pytest.mark.parametrize("scheme", [
    Scheme("int8", min_elements=16), Scheme("uint4", symmetric=True, min_elements=16),
    Scheme("int4", 16, min_elements=16), Scheme("int4", "channel", min_elements=16),
    Scheme("int4", half=True, min_elements=16)], ids=str)
def test_schemes(scheme, quantize):
    """ONNX Runtime rounds activations to int8 if codes have 8 bits."""
    model, feeds = moe()
    result, left = check(model, feeds, "nbits", quantize, scheme,
                         tolerance=2e-2 if scheme.type == "int8" else 2e-6)
    assert "QMoE" in left
    assert {row["form"] for row in result.report["weights"] if row["quantized"]} == {"QMoE"}


@pytest.mark.parametrize("options, more", [
    (["--exclude", "^down$"], {}), (["--rule", "^up$: type=int8"], {}),
    (["--rule", "^up$: block-size=16"], {}), (["--type", "uint4"], {}),
    (["--type", "int4"], {"use_sparse_mixer": 1}),
    (["--type", "int4"], {"biases": False})])  # dims may be those of old exporters
def test_what_stays_the_float_operator(options, more, quantize):
    model, feeds = moe(**more)
    result = quantize(model, "--method", "rtn", "--format", "nbits", *options)
    left = [n.op_type for n in result.load().graph.node]
    assert "MoE" in left and "QMoE" not in left and result.names >= {"up"}
    got, wanted = (runtime.run_ort(path, feeds)[0][0] for path in (result.output, result.model))
    assert abs(got - wanted).max() < 0.2 * abs(wanted).max()


def test_third_bank(quantize):
    """CPUs have no such operator: its inputs are looked at."""
    model, _ = moe({"gate": (E, I, H)}, activation_type="silu")
    result = quantize(model, *SCHEME.options(), *FORMS["nbits"])
    graph = result.load().graph
    made, = (n for n in graph.node if n.op_type == "QMoE")
    tensors = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    assert [made.input[i] for i in (4, 7, 10)] == ["up_bias", "down_bias", "gate_bias"]
    for at, name in ((2, "up"), (5, "down"), (8, "gate")):
        codes, scales = (tensors[made.input[i]] for i in (at, at + 1))
        codes = np.stack([codes & 15, codes >> 4], -1).reshape(*codes.shape[:2], -1).astype(int)
        decoded = (codes - 8) * scales.repeat(32, 2)
        wanted = numpy_helper.to_array(next(
            t for t in rounded(model, result).graph.initializer if t.name == name))
        np.testing.assert_allclose(decoded, wanted, rtol=1e-6)


def test_the_operator_itself(quantize):
    """Softmax of the best routers, and two layers for each expert."""
    model, feeds = moe(activation_type="silu")
    result = quantize(model, *SCHEME.options(), *FORMS["nbits"])
    w = {t.name: numpy_helper.to_array(t).astype(np.float64)
         for t in rounded(model, result).graph.initializer}
    wanted = np.zeros((7, H))
    for x, router, y in zip(feeds[0]["X"], feeds[0]["R"], wanted):
        best = np.argsort(-router)[:2]
        shares = np.exp(router[best]) / np.exp(router[best]).sum()
        for share, i in zip(shares, best):
            up = w["up"][i] @ x + w["up_bias"][i]
            y += share * (w["down"][i] @ (up / (1 + np.exp(-up))) + w["down_bias"][i])
    got, = runtime.run_ort(result.output, feeds)[0]
    assert runtime.difference(wanted.astype(np.float32), got) < 1e-5


def test_in_a_body_and_compared(quantize, run):
    """A bank is outside of the body that uses it. `compare` finds the weights again."""
    model, feeds = moe()
    inner = helper.make_graph(model.graph.node, "then", [], [info("Y", shape=[7, H])])
    other = helper.make_graph([node("Identity", ["X"], "Z")], "else", [], [info("Z", shape=[7, H])])
    branch = helper.make_node("If", ["c"], ["out"], then_branch=inner, else_branch=other)
    del model.graph.node[:], model.graph.output[:]
    model.graph.node.append(branch)
    model.graph.input.append(info("c", onnx.TensorProto.BOOL, []))
    model.graph.output.append(info("out", shape=[7, H]))
    feeds[0]["c"] = np.array(True)
    result = quantize(model, *SCHEME.options(), *FORMS["nbits"])
    wanted = runtime.run_ort(rounded(model, result).SerializeToString(), feeds)
    assert runtime.worst(wanted, runtime.run_ort(result.output, feeds)) < 2e-6
    said = run("compare", result.model, result.output).stdout.decode()
    assert "2 compared, 0 not found" in said and said.count(" dB") == 2
    assert "biases of experts" in result.reasons["up_bias"]
    again = run("inspect", result.output).stdout.decode()
    assert "int4: 2 of 2 weights (QMoE)" in again
