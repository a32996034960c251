"""Operators, places, types and storage. Each combination has a small model, which is compared
with the oracle in every way that verify knows."""

import itertools

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import build
import oracle
import runtime
from build import LAYERS, PLACES
from oracle import Scheme
from verify import TOLERANCE, check_outputs, check_weights, verify

SCHEMES = [Scheme(t, g, min_elements=16) for g, t in zip(
    ["default", 32, "channel", 7, "tensor"] * 4, ["int4", "uint4", "int8", "uint8"] * 5)]

# ONNX Runtime runs these in float and float16 only, and the reference fails on them.
NOT_IN_REFERENCE = {"transpose-group", "transpose-depthwise-2"}


def spread(cases):
    """Gives each case one of the schemes, in turn."""
    schemes = itertools.cycle(SCHEMES)
    return [(*case, next(schemes)) for case in cases]


def check(model, layer, scheme, generic, dtype="float", storage="raw", path=None, run=True):
    if path:
        model = build.save(model, path, storage)
    feeds = build.all_feeds(onnx.load(path) if path else model, layer, dtype)
    result = generic(model, *scheme.options())
    tolerance = 2 * np.finfo(np.float16).eps if dtype == "float16" else TOLERANCE
    assert verify(result, scheme, feeds if run else None, tolerance)
    return result


@pytest.mark.parametrize("layer, place, scheme", spread(itertools.product(LAYERS, PLACES)),
                         ids=str)
def test_place(layer, place, scheme, generic):
    model = PLACES[place](LAYERS[layer], build.weight(LAYERS[layer]), "float")
    after = check(model, LAYERS[layer], scheme, generic).load()
    if place == "ir3":
        assert [i.name for i in after.graph.input] == ["X"]


@pytest.mark.parametrize("dtype, layer, scheme", spread(
    itertools.product(["float16", "double", "bfloat16"], LAYERS)), ids=str)
def test_type(dtype, layer, scheme, generic):
    blind = dtype in ("double", "bfloat16") and layer in NOT_IN_REFERENCE
    layer = LAYERS[layer]
    model = build.as_initializer(layer, build.weight(layer, dtype), dtype)
    check(model, layer, scheme, generic, dtype, run=not blind)


STORAGE = itertools.product(["raw", "typed", "external", "files"],
                            ["float", "float16", "double", "bfloat16"],
                            ["initializer", "constant", "if", "loop", "function"])


@pytest.mark.parametrize("storage, dtype, place, scheme", spread(STORAGE), ids=str)
def test_storage(storage, dtype, place, scheme, generic, tmp_path):
    layer = LAYERS["matmul-odd"]
    model = PLACES[place](layer, build.weight(layer, dtype), dtype)
    check(model, layer, scheme, generic, dtype, storage, tmp_path / "stored.onnx")


def check_unsound(model, layer, scheme, generic):
    """For a model with one weight that ONNX Runtime takes and the checker does not."""
    result = generic(model, *scheme.options())
    found = check_weights(model, result.load(), scheme)
    assert len(found) == 1
    check_outputs(result, model, found, build.all_feeds(model, layer), TOLERANCE)


# ---- inputs with defaults --------------------------------------------------

def test_overridable_input_stays_float(generic):
    """A caller may pass another value. --freeze says that none will."""
    layer = LAYERS["matmul"]
    model = build.as_input(layer, build.weight(layer), "float")
    other = build.weight(layer, name="V", seed=1)
    model.graph.initializer.append(other)
    model.graph.node.append(layer.node(weight="V", y="Z", name="other"))
    model.graph.output.append(build.info("Z", rank=2))
    result = check(model, layer, Scheme(), generic)
    assert result.names == {"V"}
    assert "--freeze" in result.reasons["W"]
    assert [i.name for i in result.load().graph.input] == ["X", "W"]


@pytest.mark.parametrize("scheme", [Scheme("int4", 32, freeze=True), Scheme("uint8", freeze=True)],
                         ids=str)
def test_freeze(scheme, generic):
    layer = LAYERS["gemm-transb"]
    model = build.as_input(layer, build.weight(layer), "float")
    after = check(model, layer, scheme, generic).load()
    assert [i.name for i in after.graph.input] == ["X"]


# ---- several consumers -----------------------------------------------------

def two_outputs(layer, w, second, **options):
    """Y comes from the layer, and Z from another node over the same weight."""
    rank = options.pop("rank", 2)
    model = build.layer_model(layer, w, [layer.node(weight=w.name), second], **options)
    model.graph.output.append(build.info("Z", rank=rank))
    return model


def test_two_operators_share_a_weight(generic):
    """Both have one decoder. The first consumer says which axis has the channels."""
    layer = LAYERS["matmul"]
    gemm = helper.make_node("Gemm", ["Y", "W"], ["Z"], transB=1)
    model = two_outputs(layer, build.weight(layer), gemm)
    result = check(model, layer, Scheme("int4", 32, min_elements=1000), generic)
    after = result.load()
    assert [n.op_type for n in after.graph.node].count("DequantizeLinear") == 1


def test_weight_on_both_sides(generic):
    """W @ W, and X @ (W @ W): the product is what counts."""
    layer = build.Layer("MatMul", (37, 37), (2, 37))
    nodes = [helper.make_node("MatMul", ["W", "W"], ["WW"]), layer.node(weight="WW")]
    model = build.layer_model(layer, build.weight(layer), nodes)
    assert generic(model, *Scheme("uint4", 7).options()).names == {"WW"}


def stays_float(model, name, reason, generic, *options):
    """The weight of that name stays float, and the reason contains that word. V, a weight that
    is added beside it, is quantized."""
    layer = LAYERS["matmul"]
    model.graph.initializer.append(build.weight(layer, name="V"))
    model.graph.input.append(build.info("X of V", shape=[2, 70]))
    model.graph.node.append(layer.node("X of V", "V", "Y of V", "of V"))
    model.graph.output.append(build.info("Y of V", rank=2))
    result = generic(model, *options)
    assert "V" in result.names and name not in result.names
    assert reason in result.reasons[name]
    onnx.checker.check_model(str(result.output), full_check=True)
    kept = oracle.constants(result.load())[(), name].tensor
    assert kept == oracle.constants(model)[(), name].tensor
    return result


OTHER_USES = {
    "gemm-c": (helper.make_node("Gemm", ["W", "W", "W"], ["Z"], transB=0), TensorProto.FLOAT,
               "an output of the model"),
    "foreign": (helper.make_node("MatMul", ["W", "W"], ["Z"], domain="com.example"),
                TensorProto.FLOAT, "MatMul"),
}


@pytest.mark.parametrize("case", OTHER_USES)
def test_other_uses_keep_a_weight_float(case, generic):
    node, kind, word = OTHER_USES[case]
    layer = build.Layer("MatMul", (40, 40), (3, 40))
    model = two_outputs(layer, build.weight(layer), node, domains=["com.example"])
    model.graph.output[1].CopyFrom(build.info("Z", kind, rank=1 if kind == 7 else 2))
    stays_float(model, "W", word, generic)


def test_graph_output_stays_float(generic):
    layer = LAYERS["matmul"]
    model = build.layer_model(layer, build.weight(layer))
    model.graph.output.append(build.info("W", shape=list(layer.weight)))
    stays_float(model, "W", "output", generic)


@pytest.mark.parametrize("second", ["initializer", "constant", "node"])
def test_name_with_two_meanings(second, quantize):
    """No runtime takes such a model, and nibble must not guess."""
    layer = LAYERS["matmul"]
    w, v = build.weight(layer), build.weight(layer, seed=1)
    model = build.layer_model(layer, w)
    if second == "initializer":
        model.graph.initializer.append(v)
    else:
        made = build.constant(v) if second == "constant" else helper.make_node("Relu", ["X"], ["W"])
        model.graph.node.append(made)
    other = build.weight(layer, name="V")
    model.graph.initializer.append(other)
    model.graph.node.append(layer.node(weight="V", y="Z", name="other"))
    result = quantize(model)
    assert result.names == {"V"} and "more than once" in result.reasons["W"]


def test_functions_of_one_name(quantize):
    """The functions are in two domains. A fault in the weight of one says nothing about the
    weight of the other."""
    layer = LAYERS["matmul"]
    model = build.in_function(layer, build.weight(layer), "float")
    other = onnx.FunctionProto()
    other.CopyFrom(model.functions[0])
    other.domain = "test.others"
    broken = oracle.attribute(other.node[0], "value")
    values = numpy_helper.to_array(broken).copy()
    values[2, 3] = np.nan
    broken.CopyFrom(numpy_helper.from_array(values, broken.name))
    model.functions.append(other)
    model.opset_import.append(helper.make_opsetid(other.domain, 1))
    model.graph.node[1].domain = other.domain
    report = quantize(model).report
    assert [row["quantized"] for row in report["weights"] if len(row["dims"]) == 2] == [True, False]


def test_use_deep_inside_counts(generic):
    """An operator that nobody knows is in a branch of an If in a branch of an If."""
    layer = LAYERS["matmul"]

    def choose(name, body):
        return helper.make_node("If", ["cond"], [name], then_branch=body, else_branch=body)

    def body(name, node):
        return helper.make_graph([node], name, [], [build.info(node.output[0], TensorProto.INT64,
                                                               rank=1)])
    inner = body("inner", helper.make_node("Strange", ["W"], ["shape"], domain="com.example"))
    model = build.layer_model(layer, build.weight(layer),
                              inputs=[build.info("cond", TensorProto.BOOL, [])])
    model.graph.node.append(choose("Z", body("outer", choose("middle", inner))))
    model.graph.output.append(build.info("Z", TensorProto.INT64, rank=1))
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    stays_float(model, "W", "Strange", generic)


def test_scales_that_cost_more_than_they_save(generic):
    """A block has one element, so scales would take as much as the weight."""
    layer = build.Layer("MatMul", (1, 1033), (3, 1))
    model = build.layer_model(layer, build.weight(layer))
    stays_float(model, "W", "room", generic)


def test_several_forms_that_save_nothing(quantize):
    """Rows are gathered and a matrix is multiplied. The float values are stored once."""
    table = build.tensor(oracle.array_of(build.weight(build.Layer("Gather", (64, 32), ()))),
                         "E", "float16")
    nodes = [helper.make_node("Gather", ["E", "I"], ["rows"]),
             helper.make_node("MatMul", ["rows", "E"], ["Y"])]
    model = build.model(nodes, [build.info("I", TensorProto.INT64, [32])],
                        [build.info("Y", "float16", rank=2)], [table], 21, 10)
    table.dims[:] = [32, 64]
    report = quantize(model, "--type", "int8", "--block-size", 2).report
    rows = [row for row in report["weights"] if row["name"] == "E"]
    assert [row["quantized"] for row in rows] == [False]
    assert report["weight_bytes"]["before"] == report["weight_bytes"]["after"] == 64 * 32 * 2


@pytest.mark.parametrize("domain", ["", "ai.onnx"])
@pytest.mark.parametrize("scheme", [Scheme(), Scheme("int8", "channel")], ids=str)
def test_long_name_of_the_standard_domain(domain, scheme, generic):
    """"ai.onnx" and "" are one domain, in imports and in nodes. The checker does not know the
    long name in nodes, but ONNX Runtime does."""
    layer = LAYERS["matmul"]
    model = build.layer_model(layer, build.weight(layer))
    model.opset_import[0].domain = "ai.onnx"
    model.graph.node[0].domain = domain
    check_unsound(model, layer, scheme, generic)


@pytest.mark.parametrize("scheme, least", [(Scheme(), 10), (Scheme("uint4", "channel"), 10),
                                           (Scheme("int8", "channel"), 4)], ids=str)
@pytest.mark.parametrize("ir", [3, 8, 9, 10, 11])
@pytest.mark.parametrize("opset", [13, 21, 22])
def test_ir_version(opset, ir, scheme, least, generic):
    """INT4 exists from IR 10, and initializers that are not inputs from IR 4. nibble never
    lowers the IR version, whether it raises the opset or not."""
    layer = LAYERS["matmul"]
    inputs = [build.info("W", shape=list(layer.weight))] * (ir < 4)
    model = build.layer_model(layer, build.weight(layer), inputs=inputs, opset=opset, ir=ir)
    after = check(model, layer, scheme, generic).load()
    assert after.ir_version >= max(ir, least)
    assert [i.name for i in after.graph.input] == ["X"]


def test_block_longer_than_the_axis(generic):
    layer = LAYERS["matmul"]
    model = build.layer_model(layer, build.weight(layer))
    check(model, layer, Scheme("uint4", 100_000), generic)


# ---- names -----------------------------------------------------------------

NAMES = ['layer "0"/it\'s', " w ", "権重·β", "tab\tnew\nline", "%s%n%d", "\\", "a" * 5000,
         "onnx::MatMul_1", "/layers.0/Constant_output_0", "\u202e", "{}"]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
@pytest.mark.parametrize("place", ["initializer", "if", "function"])
def test_names(name, place, generic):
    layer = build.Layer("MatMul", (300, 100), (3, 300))  # long names cost less than it saves
    model = PLACES[place](layer, build.weight(layer, name=name), "float")
    result = check(model, layer, Scheme("uint4"), generic)
    assert result.names == {name}


def test_fresh_names_avoid_those_in_use(generic):
    """Takes the names that nibble gives its tensors and nodes, uses them in the model, and
    tries again."""
    layer = LAYERS["matmul"]
    model = build.in_if(layer, build.weight(layer), "float")
    for _ in range(3):
        new = all_names(generic(model, "--type", "uint4").load()) - all_names(model)
        assert len(new) >= 8
        for name in sorted(new):
            model.graph.node.append(helper.make_node("Identity", ["X"], [name], name))
        check(model, layer, Scheme("uint4"), generic)


def all_names(model):
    """The names of tensors and nodes."""
    nodes = [n for place in oracle.places(model) for n in place.owner.node]
    return {t.name for t in build.every_tensor(model)} | {n.name for n in nodes} - {""}


@pytest.mark.parametrize("name", ["", "same"])
def test_node_names_mean_nothing(name, generic):
    """Many exporters write no names. ONNX Runtime wants the others to differ."""
    layer = LAYERS["conv2d"]
    w, v = build.weight(layer), build.weight(layer, name="V", seed=1)
    model = two_outputs(layer, w, layer.node(weight="V", y="Z", name=name), rank=4,
                        initializers=[w, v])
    model.graph.node[0].name = name
    check(model, layer, Scheme("int8"), generic, run=not name)


FORMS = {"run": [], "load": ["--decode", "load"], "portable": ["--decode", "portable"],
         "nbits": ["--format", "nbits"]}


@pytest.mark.parametrize("place", ["graph", "function"])
@pytest.mark.parametrize("form", FORMS)
def test_constants_with_one_name(place, form, quantize):
    """spox names each Constant "F0::anon". ONNX Runtime makes initializers of those, but wants
    the names of nodes to differ."""
    layer = LAYERS["matmul"]
    nodes = [build.constant(build.weight(layer, name=name), "anon") for name in ("W", "V")]
    nodes += [layer.node(weight="W", y="p", name="anon"), layer.node(weight="V", y="q", name="other"),
              helper.make_node("Add", ["p", "q"], ["Y"])]
    function = helper.make_function("test.layers", "F", ["X"], ["Y"], nodes,
                                    [helper.make_opsetid("", 17)])
    calls = [helper.make_node("F", ["X"], ["Y"], "call", domain="test.layers")]
    if place == "graph":
        calls, function = nodes, None
    model = build.layer_model(layer, build.weight(layer), calls, initializers=[],
                              functions=[function] if function else [], domains=["test.layers"])
    result = quantize(model, "--type", "int8", *FORMS[form])
    assert [w["quantized"] for w in result.report["weights"]] == [True, True]
    feeds = build.all_feeds(model, layer)
    assert runtime.worst(runtime.run_ort(result.model, feeds),
                         runtime.run_ort(result.output, feeds)) < .02



def test_unsorted_nodes(generic):
    """Weights come last and If comes first. ONNX Runtime sorts nodes, so nibble must, too. The
    checker wants sorted nodes, so only the numbers are checked."""
    layer = LAYERS["matmul"]
    w = build.weight(layer)
    nodes = [helper.make_node("Relu", ["T"], ["Y"]), layer.node(y="T"), build.constant(w)]
    model = build.layer_model(layer, w, nodes, initializers=[])
    check_unsound(model, layer, Scheme(), generic)


# ---- large -----------------------------------------------------------------

# Odd shapes of several hundred thousand elements: they are quantized in chunks of
# 65536, by several threads, and codes and zero points of two chunks share no byte.
LARGE = {
    "matmul": build.Layer("MatMul", (1027, 331), (2, 1027)),
    "wide": build.Layer("MatMul", (3, 100_003), (1, 3)),
    "column": build.Layer("MatMul", (300_001, 1), (1, 300_001)),
    "rank3": build.Layer("MatMul", (3, 401, 333), (3, 1, 401)),
    "gemm": build.Layer("Gemm", (331, 1027), (1, 1027), attributes={"transB": 1}),
    "conv": build.Layer("Conv", (301, 77, 3, 5), (1, 77, 3, 5)),
    "depthwise": build.Layer("Conv", (4099, 1, 7, 7), (1, 4099, 7, 7), attributes={"group": 4099}),
    "transpose": build.Layer("ConvTranspose", (77, 301, 3, 5), (1, 77, 1, 1)),
}
LARGE_SCHEMES = [Scheme(), Scheme("uint4", "channel"), Scheme("uint4", 7), Scheme("int4", "tensor"),
                 Scheme("int8", 32), Scheme("uint8", 131)]


@pytest.mark.parametrize("scheme", LARGE_SCHEMES, ids=str)
@pytest.mark.parametrize("layer", LARGE)
def test_large(layer, scheme, generic):
    layer = LARGE[layer]
    result = generic(build.layer_model(layer, build.weight(layer)), *scheme.options(),
                      "--threads", "3")
    assert verify(result, scheme)
