"""Values that can't be quantized or are hard to quantize, and everything that must not change."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import build
import oracle
import wire
from build import LAYERS
from oracle import Scheme
from verify import verify

LAYER = LAYERS["matmul"]  # [70, 40]


def two_weights(w, dtype="float"):
    """A model with the weights W, which has the given values, and V, which has others."""
    nodes = [LAYER.node(), LAYER.node(weight="V", y="Z", name="other")]
    model = build.layer_model(LAYER, None, nodes, dtype, initializers=[
        build.tensor(w, "W", dtype), build.weight(LAYER, dtype, "V", seed=1)])
    model.graph.output.append(build.info("Z", dtype, rank=2))
    return model


def noise(seed=0):
    return oracle.array_of(build.weight(LAYER, seed=seed)).astype(np.float64)


# ---- values ----------------------------------------------------------------

@pytest.mark.parametrize("scheme", [Scheme(), Scheme("uint8", "channel"),
                                    Scheme("uint4", "tensor")], ids=str)
@pytest.mark.parametrize("dtype", ["float", "float16", "bfloat16", "double"])
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [(0, 0), (69, 39), (33, 17)])
def test_not_finite(where, value, dtype, scheme, generic):
    """The weight stays float, and a warning names it. The other weight is quantized."""
    w = noise()
    w[where] = value
    result = generic(two_weights(w, dtype), *scheme.options())
    verify(result, scheme)
    assert result.names == {"V"}
    row, = [row for row in result.report["weights"] if row["name"] == "W"]
    assert row["warning"] and "NaN" in row["reason"]
    assert result.report["warnings"] == 1
    message, = result.stderr.splitlines()
    assert "warning" in message and "W" in message and "NaN" in message


SPECIAL = {
    "zero": np.zeros(LAYER.weight),
    "negative zero": np.full(LAYER.weight, -0.0),
    "one zero column": noise() * (np.arange(40) != 7),
    "one zero block": noise() * (np.arange(70)[:, None] >= 32),
    "positive": abs(noise()),
    "negative": -abs(noise()),
    "constant": np.full(LAYER.weight, 0.3),
    "huge": noise() * 1e37,
    "tiny": noise() * 1e-37,
    "denormal": noise() * 1e-43,
    "one denormal column": noise() * np.where(np.arange(40) == 7, 1e-42, 1),
    "mixed": noise() * np.logspace(-44, 37, 40),
    "halves": np.round(noise() * 20) / 2 + np.where(np.arange(70)[:, None] == 0, 7, 0),
    "ties": np.random.default_rng(4).permuted(np.resize(np.arange(-15, 16) / 2, LAYER.weight)),
    "one outlier": np.where(np.arange(2800).reshape(LAYER.weight) == 1234, 1e6, noise()),
}


@pytest.mark.parametrize("scheme", [Scheme(), Scheme("uint4", 32), Scheme("int8", "channel"),
                                    Scheme("uint8", "tensor"), Scheme("uint4", 7, symmetric=True)],
                         ids=str)
@pytest.mark.parametrize("values", SPECIAL)
def test_special_values(values, scheme, generic):
    x = SPECIAL[values]
    feeds = [build.feeds(LAYER)] if abs(x).max() < 1e15 else None
    verify(generic(two_weights(x), *scheme.options()), scheme, feeds)


@pytest.mark.parametrize("dtype, factor", [
    ("float16", 1e-7), ("float16", 1e-5), ("float16", 1), ("float16", 1e3), ("bfloat16", 1e-7),
    ("bfloat16", 1e30)])
@pytest.mark.parametrize("scheme", [Scheme(), Scheme("uint8", "channel")], ids=str)
def test_scales_of_halves(dtype, factor, scheme, generic):
    """float16 weights get float16 scales. If these would underflow, they are rounded up."""
    result = generic(two_weights(noise() * factor, dtype), *scheme.options())
    verify(result, scheme)
    assert result.names == {"V", "W"}


@pytest.mark.parametrize("method", ["rtn", "search", "exact"])
@pytest.mark.parametrize("scheme", [Scheme(granularity=32), Scheme("uint4", 32), Scheme("int8", 32)],
                         ids=str)
def test_dead_block_of_halves(scheme, method, generic):
    """A tiny block keeps no matrix float, and nothing of it is lost that float16 could hold."""
    x = np.float32(noise())
    x[32:64, 3] *= 1e-6
    found = generic(two_weights(x, "float16"), *scheme.options(), "--method", method)
    assert found.names == {"V", "W"}
    decoded = next(d for key, d in oracle.decoders(onnx.load(found.output)).items() if key[1] == "W")
    off = abs(decoded.values().astype(np.float32) - np.float32(np.float16(x)))
    assert off[32:64, 3].max() <= 2**-24


@pytest.mark.parametrize("scheme", [Scheme(), Scheme("int8", "tensor"), Scheme("uint8", "channel")],
                         ids=str)
@pytest.mark.parametrize("dtype, most", [("float", np.finfo(np.float32).max), ("float16", 65504)])
def test_decoded_values_stay_finite(dtype, most, scheme, generic):
    """A scale that is rounded up must not turn the largest float into infinity."""
    w = np.where(noise() > 0, most, -most)
    result = generic(two_weights(w, dtype), *scheme.options())
    for key, made in oracle.decoders(result.load()).items():
        overflow = int(np.isinf(made.values().astype(np.float32)).sum())
        assert overflow == 0, key
    verify(result, scheme)


@pytest.mark.parametrize("scheme", [Scheme("uint8"), Scheme("uint4", "channel"),
                                    Scheme("int8", 32, symmetric=False)], ids=str)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float"])
@pytest.mark.parametrize("seed", range(4))
def test_zero_points_at_the_end_of_the_range(seed, dtype, scheme, generic):
    """All values are negative. A scale that is rounded down then asks for more than the range
    has."""
    verify(generic(two_weights(-abs(noise(seed)) - 0.01, dtype), *scheme.options()), scheme)


@pytest.mark.parametrize("value, fits", [(1e300, False), (-3.5e38, False), (1e-300, True)])
def test_doubles_beyond_float(value, fits, generic):
    """Scales are float32. Weights that need larger ones stay double."""
    w = noise()
    w[3, 3] = value
    result = generic(two_weights(w, "double"))
    verify(result, Scheme())
    assert result.names == ({"V", "W"} if fits else {"V"})


def test_all_bad_goes_out_unchanged(run, tmp_path):
    """Nothing can be quantized. A warning says so, and the model is unchanged."""
    model = two_weights(np.full(LAYER.weight, np.nan))
    del model.graph.node[1], model.graph.output[1], model.graph.initializer[1]
    onnx.save(model, tmp_path / "in.onnx")
    done = run(tmp_path / "in.onnx", "-o", tmp_path / "out.onnx")
    assert done.returncode == 0 and b"warning" in done.stderr
    assert (tmp_path / "out.onnx").read_bytes() == (tmp_path / "in.onnx").read_bytes()


@pytest.mark.parametrize("shape", [(0, 40), (70, 0), (0, 0)])
def test_no_elements(shape, generic):
    model = two_weights(np.zeros(shape))
    model.graph.node[0].CopyFrom(helper.make_node("MatMul", ["E", "W"], ["Y"]))
    model.graph.input.append(build.info("E", shape=[3, shape[0]]))
    result = generic(model, "--min-elements", "0")
    verify(result, Scheme(min_elements=0))
    assert "elements" in result.reasons["W"]


# ---- selection -------------------------------------------------------------

def many(*names):
    """Layers in a row. Each has a weight of that name with the shape [70, 40]."""
    nodes = [LAYER.node(weight=n, y=f"Y{i}", name=f"n{i}") for i, n in enumerate(names)]
    model = build.layer_model(LAYER, None, nodes, initializers=[
        build.weight(LAYER, name=n, seed=i) for i, n in enumerate(names)])
    del model.graph.output[:]
    model.graph.output.extend(build.info(f"Y{i}", rank=2) for i in range(len(names)))
    return model


@pytest.mark.parametrize("options, names", [
    ([], {"enc.0.w", "enc.1.w", "dec.w", "Enc"}),
    (["--include", "enc"], {"enc.0.w", "enc.1.w"}),
    (["--include", "^enc\\.[1-9]"], {"enc.1.w"}),
    (["--exclude", "enc"], {"dec.w", "Enc"}),
    (["--exclude", "w$"], {"Enc"}),
    (["--include", "enc", "--exclude", "0"], {"enc.1.w"}),
    (["--include", "^(dec\\.w|Enc)$"], {"dec.w", "Enc"}),
    (["--min-elements", "2800"], {"enc.0.w", "enc.1.w", "dec.w", "Enc"}),
])
def test_include_and_exclude(options, names, generic):
    model = many("enc.0.w", "enc.1.w", "dec.w", "Enc")
    result = generic(model, *options)
    assert result.names == names == {name for _, name in oracle.decoders(result.load())}
    for name in {"enc.0.w", "enc.1.w", "dec.w", "Enc"} - names:
        assert "--include" in result.reasons[name] or "exclude" in result.reasons[name]


@pytest.mark.parametrize("least, count", [(0, 2), (100, 2), (101, 1)])
def test_min_elements(least, count, generic):
    model = two_weights(noise())
    model.graph.node[0].CopyFrom(helper.make_node("MatMul", ["E", "W"], ["Y"]))
    model.graph.input.append(build.info("E", shape=[3, 25]))
    model.graph.initializer[0].CopyFrom(build.tensor(noise()[:25, :4], "W"))
    result = generic(model, "--min-elements", str(least))
    verify(result, Scheme(min_elements=least))
    assert len(result.names) == count
    if count == 1:
        assert "--min-elements" in result.reasons["W"]


def test_every_float_constant_has_a_row(generic):
    """A row of a float weight has a reason."""
    model = many("W", "unused", "biased")
    del model.graph.node[1], model.graph.output[1]
    model.graph.initializer.append(build.tensor(np.ones(40), "vector"))
    model.graph.initializer.append(build.tensor(3.0, "scalar"))
    model.graph.initializer.append(numpy_helper.from_array(np.ones((99, 99), np.int64), "ints"))
    model.graph.node.append(helper.make_node("Constant", [], ["floats"], value_floats=[1.0] * 40))
    model.graph.node.append(helper.make_node("Add", ["vector", "floats"], ["sum"]))
    result = generic(model)
    verify(result, Scheme())
    assert result.names == {"W", "biased"}
    assert set(result.reasons) == {"unused", "vector", "scalar", "floats"}
    assert "use" in result.reasons["unused"]
    assert len(result.report["weights"]) == 6


# ---- what must not change --------------------------------------------------

UNKNOWN = wire.field(900, 77) + wire.field(901, b"unknown field") + \
    wire.fixed32(902, b"\1\2\3\4") + wire.fixed64(903, b"12345678")


def decorated():
    """A model with one of everything that nibble must leave alone."""
    model = many("W", "V")
    model.producer_name, model.producer_version = "maker", "1.2"
    model.domain, model.model_version, model.doc_string = "com.example", 7, "model's words"
    helper.set_model_props(model, {"key": "value", "": "empty key"})
    model.opset_import.append(helper.make_opsetid("com.example", 3))
    graph = model.graph
    graph.doc_string = "graph's words"
    graph.metadata_props.add(key="g", value="1")
    graph.input[0].doc_string = "input's words"
    graph.input[0].type.denotation = "TENSOR"
    graph.value_info.append(build.info("V", shape=list(LAYER.weight)))
    graph.value_info[0].doc_string = "V's words"
    graph.initializer.append(numpy_helper.from_array(np.arange(5000), "large ints"))
    graph.initializer.append(build.tensor(np.linspace(0, 1, 3000), "large vector"))
    graph.initializer[-1].doc_string = "vector's words"
    graph.initializer[-1].metadata_props.add(key="t", value="2")
    graph.initializer.append(helper.make_tensor("text", TensorProto.STRING, [2], [b"a", b"\xff"]))
    graph.initializer.append(helper.make_tensor("complex", TensorProto.COMPLEX64, [1], [1 + 2j]))
    graph.initializer.append(helper.make_tensor("u64", TensorProto.UINT64, [1], [2**64 - 1]))
    values = build.tensor(np.ones(3), "sparse")
    indices = numpy_helper.from_array(np.array([1, 5, 9]), "")
    graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [10]))
    graph.quantization_annotation.add(tensor_name="X").quant_parameter_tensor_names.add(
        key="SCALE_TENSOR", value="large vector")
    node = graph.node[1]
    node.doc_string = "node's words"
    node.metadata_props.add(key="n", value="3")
    node.overload = ""
    extra = graph.node.add(op_type="Anything", domain="com.example", name="extra")
    extra.output.append("anything")
    extra.attribute.extend([
        helper.make_attribute("ints", [3, 1, 2]), helper.make_attribute("f", -0.0),
        helper.make_attribute("strings", [b"x", b"\xfe"]), helper.make_attribute("floats", [.1, 2]),
        helper.make_attribute("tensor", build.tensor(np.ones((40, 40)), "own")),
        helper.make_attribute("type", helper.make_tensor_type_proto(1, [1, "n"]))])
    extra.attribute[0].doc_string = "attribute's words"
    model.functions.append(helper.make_function(
        "com.example", "Unused", ["a"], ["b"], [helper.make_node("Identity", ["a"], ["b"])],
        [helper.make_opsetid("", 17)], ["alpha"]))
    model.functions[0].doc_string = "function's words"
    algorithm = helper.make_graph([helper.make_node("Identity", ["lr"], ["lr2"])], "algorithm", [],
                                  [build.info("lr2", shape=[])], [build.tensor(0.1, "lr")])
    model.training_info.add().algorithm.CopyFrom(algorithm)
    model.training_info[0].update_binding.add(key="lr", value="lr2")
    for message in (model, graph, node, extra.attribute[0], graph.initializer[2],
                    graph.input[0], model.functions[0], model.training_info[0]):
        message.MergeFromString(UNKNOWN)
    return model


def without_unknown(message):
    copy = type(message)()
    copy.CopyFrom(message)
    copy.DiscardUnknownFields()
    return copy


# name -> the part of a model that must be the same before and after
KEPT = {
    "model": lambda m: (m.producer_name, m.producer_version, m.domain, m.model_version,
                        m.doc_string),
    "metadata": lambda m: list(m.metadata_props),
    "opsets": lambda m: {o.domain: o.version for o in m.opset_import if o.domain},
    "training": lambda m: [t.SerializeToString() for t in m.training_info],
    "functions": lambda m: [(f.name, f.domain, f.doc_string, list(f.attribute), list(f.input),
                             list(f.output), list(f.node), UNKNOWN in f.SerializeToString())
                            for f in m.functions],
    "graph": lambda m: (m.graph.name, m.graph.doc_string, list(m.graph.metadata_props)),
    "inputs": lambda m: [i.SerializeToString() for i in m.graph.input],
    "outputs": lambda m: [i.SerializeToString() for i in m.graph.output],
    "value_info": lambda m: [i.SerializeToString() for i in m.graph.value_info],
    "sparse": lambda m: [t.SerializeToString() for t in m.graph.sparse_initializer],
    "annotation": lambda m: [t.SerializeToString() for t in m.graph.quantization_annotation],
    "nodes": lambda m: [n.SerializeToString() for n in m.graph.node
                        if n.op_type != "DequantizeLinear"],
    "initializers": lambda m: {t.name: t.SerializeToString() for t in m.graph.initializer
                               if not t.name.startswith(("W", "V"))},
    "unknown in the model": lambda m: m.SerializeToString().count(b"unknown field"),
    "unknown in the graph": lambda m: sum(
        x.SerializeToString() != without_unknown(x).SerializeToString()
        for x in (m, m.graph, m.graph.input[0], m.training_info[0])),
}


@pytest.mark.parametrize("external", [False, True], ids=["inside", "external"])
@pytest.mark.parametrize("what", KEPT)
def test_untouched(what, external, generic):
    """Everything except the weights is unchanged, byte by byte if nothing is added."""
    before = decorated()
    options = ["--external-data"] * external
    after = onnx.load(generic(before, *options).output)
    for tensor in build.every_tensor(after):  # what onnx.load leaves behind
        tensor.ClearField("data_location")
        tensor.ClearField("external_data")
    if external and what in ("initializers", "nodes", "training", "sparse"):
        for tensor in build.every_tensor(before):
            build.raw(tensor)
        for tensor in build.every_tensor(after):
            build.raw(tensor)
    assert KEPT[what](after) == KEPT[what](before)


def test_what_a_weight_keeps(generic):
    """The codes take over the words and the place of the weight. Its value_info stays."""
    before = decorated()
    before.graph.initializer[0].doc_string = "W's words"
    after = generic(before).load()
    decoder = next(n for n in after.graph.node if n.output[:1] == ["W"])
    codes, = [t for t in after.graph.initializer if t.name == decoder.input[0]]
    assert codes.doc_string == "W's words"


def test_trained_weight_stays_float(generic):
    """A training step would write floats to it."""
    model = many("W", "V")
    training = model.training_info.add()
    training.algorithm.name = "step"
    training.algorithm.node.add(op_type="Neg", input=["V"], output=["new V"])
    training.algorithm.output.append(build.info("new V", rank=2))
    training.update_binding.add(key="V", value="new V")
    result = generic(model)
    assert result.names == {"W"} and "train" in result.reasons["V"]


def test_report_is_json(run, tmp_path):
    """The report is JSON, also on standard output without anything else."""
    onnx.save(many("W"), tmp_path / "in.onnx")
    done = run(tmp_path / "in.onnx", "-o", tmp_path / "out.onnx", "--json", "-")
    assert json.loads(done.stdout)["quantized"] == 1 and done.returncode == 0
