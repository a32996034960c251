"""Every operator that carries weights, in every form, place, type and granularity. Each is
compared with the float model with weights that numpy has rounded."""

import itertools
import random

import onnx
import pytest
from onnx import helper

import build
import forms_check
import forms_models as models
import oracle
import runtime
from build import info
from forms_check import FORMS, check
from forms_models import GEMMS, OPERATORS, PLACES, Operator, node
from oracle import Scheme

TYPES = ["int4", "uint4", "int8", "uint8"]
GROUPS = ["default", "channel", "tensor", 32, 20, 16, "default", 7]


def mixed(seed, count, *lists):
    """`count` rows with an entry of each list. Every entry occurs equally often."""
    rng = random.Random(seed)
    columns = []
    for values in lists:
        column = list(itertools.islice(itertools.cycle(values), count))
        rng.shuffle(column)
        columns.append(column)
    return list(zip(*columns))


def scheme_of(kind, group):
    return Scheme(kind, group, min_elements=16)


def check_operator(operator, place, scheme, form, quantize, dtype="float", **options):
    model = PLACES[place](operator, models.weight(operator, dtype), dtype)
    expected, fused = forms_check.plan(model, operator, scheme, form, place, dtype)
    copies = ["--copy-below", 10**6] if place == "shared" else []
    result, left = check(model, models.all_feeds(model, operator, dtype), scheme, form,
                         quantize, copies, dtype=dtype, expected=expected, **options)
    if fused:
        assert left["MatMulNBits"] and not left["DequantizeLinear"]
    return result


# ---- operator x form, and everything else in turn ----------------------------

EACH = [(operator, form) for operator in OPERATORS for form in FORMS]
EACH = [(*case, *rest) for case, rest in
        zip(EACH, mixed(1, len(EACH), PLACES, TYPES, GROUPS), strict=True)]


@pytest.mark.parametrize("operator, form, place, kind, group", EACH)
def test_operator(operator, form, place, kind, group, quantize):
    check_operator(OPERATORS[operator], place, scheme_of(kind, group), form, quantize)


SOME = ["matmul", "matmul-whole", "gather", "conv2d", "lstm"]
PLACED = [(place, form) for place in PLACES for form in FORMS]
PLACED = [(*case, *rest) for case, rest in
          zip(PLACED * 2, mixed(2, 2 * len(PLACED), SOME, TYPES, GROUPS), strict=True)]


@pytest.mark.parametrize("place, form, operator, kind, group", PLACED)
def test_place(place, form, operator, kind, group, quantize):
    check_operator(OPERATORS[operator], place, scheme_of(kind, group), form, quantize)


GROUPED = [(kind, group, form) for kind in TYPES for group in dict.fromkeys(GROUPS)
           for form in FORMS]
GROUPED = [(*case, *rest) for case, rest in
           zip(GROUPED, mixed(3, len(GROUPED), ["matmul-whole", "matmul-odd", "gather-wide",
                                                "gather-odd", "conv-group", "gru-2"]),
               strict=True)]


@pytest.mark.parametrize("kind, group, form, operator", GROUPED)
def test_group(kind, group, form, operator, quantize):
    check_operator(OPERATORS[operator], "initializer", scheme_of(kind, group), form, quantize)


GEMM_CASES = [(name, form, *rest) for (name, form), rest in zip(
    itertools.product(GEMMS, ["run", "nbits", "portable"]),
    mixed(4, 3 * len(GEMMS), TYPES, GROUPS), strict=True)]


@pytest.mark.parametrize("gemm, form, kind, group", GEMM_CASES)
def test_gemm(gemm, form, kind, group, quantize):
    check_operator(GEMMS[gemm], "initializer", scheme_of(kind, group), form, quantize)


NOT_IN_ORT = {("float16", "lstm"), ("double", "lstm"), ("double", "conv2d")}


# ---- float16 scales -----------------------------------------------------------

HALVES = [(operator, form) for form in FORMS
          for operator in ("matmul", "matmul-whole", "gemm-bias", "gather", "gather-wide",
                           "conv2d", "lstm", "gru-2")]
HALVES = [(*case, *rest) for case, rest in
          zip(HALVES, mixed(8, len(HALVES), ["initializer", "function", "if", "captured"], TYPES, GROUPS,
                            ["float", "float", "double", "float16"]), strict=True)]


@pytest.mark.parametrize("operator, form, place, kind, group, dtype", HALVES)
def test_half_scales(operator, form, place, kind, group, dtype, quantize):
    """Scales in float16 give the same numbers and are as fast."""
    if (dtype, operator) in NOT_IN_ORT or operator == "gru-2":
        dtype = "float"
    scheme = Scheme(kind, group, min_elements=16, half=True)
    result = check_operator(OPERATORS[operator], place, scheme, form, quantize, dtype,
                            reference=True)
    kinds = {row["scale_type"] for row in result.report["weights"] if row["quantized"]}
    assert kinds == {"float16"}


@pytest.mark.parametrize("size", [1e-12, 1e9])
def test_scales_beyond_float16(size, quantize):
    """Such scales stay float32, and the report says so."""
    operator = OPERATORS["matmul"]
    weight = build.tensor(oracle.array_of(models.weight(operator)) * size)
    model = models.as_initializer(operator, weight, "float")
    result = quantize(model, "--method", "rtn", "--scale-type", "float16")
    row, = [row for row in result.report["weights"] if row["quantized"]]
    assert row["scale_type"] == "float" and "float16 can't hold" in row["why"]
    plain = quantize(model, "--method", "rtn", output="plain.onnx")
    assert result.output.read_bytes() == plain.output.read_bytes()


# ---- other float types, the reference ----------------------------------------

TYPED = [(dtype, operator, form) for dtype in ("float16", "double")
         for operator in ("matmul", "matmul-whole", "gemm-bias", "matmul-transpose", "gather",
                          "gather-odd", "gather-wide", "gather-rank3", "conv2d", "lstm")
         for form in FORMS if (dtype, operator) not in NOT_IN_ORT]
TYPED = [(*case, *rest) for case, rest in
         zip(TYPED, mixed(5, len(TYPED), TYPES, ["default", "channel", 32]), strict=True)]


@pytest.mark.parametrize("dtype, operator, form, kind, group", TYPED)
def test_float_type(dtype, operator, form, kind, group, quantize):
    check_operator(OPERATORS[operator], "initializer", scheme_of(kind, group), form,
                   quantize, dtype)


# The reference fails on grouped ConvTranspose, and its recurrent operators know one
# direction.
NOT_IN_REFERENCE = {"transpose-group", "transpose-depthwise-2", "lstm-2", "gru-2", "rnn-2"}
REFERENCE = [(name, form) for name, operator in OPERATORS.items()
             if not operator.domains and name not in NOT_IN_REFERENCE
             for form in ("run", "load", "portable", "generic")]
REFERENCE = [(*case, *rest) for case, rest in
             zip(REFERENCE, mixed(6, len(REFERENCE), TYPES, GROUPS), strict=True)]


@pytest.mark.parametrize("operator, form, kind, group", REFERENCE)
def test_reference(operator, form, kind, group, quantize):
    check_operator(OPERATORS[operator], "initializer", scheme_of(kind, group), form,
                   quantize, reference=True)


# ---- a weight of several consumers -------------------------------------------

def tied(op_type):
    """A table that is looked up at the start and is the projection at the end."""
    nodes = [node("Gather", ["W", "X"], "E")]
    if op_type == "Gemm":
        nodes.append(node("Gemm", ["E", "W"], "Y", transB=1))
    else:
        nodes += [node("Transpose", ["W"], "T", perm=[1, 0]),
                  node("MatMul", ["E", "T"], "Y")]
    return Operator(lambda x, w, y: nodes, (70, 240), (5,), 2, rows=70)


ROWS = ("channel, axis 0", "Gather")
LOOKUP = ("block 256, axis 1", "GatherBlockQuantized")
NBITS = ("block 256, axis 1", "MatMulNBits")
FUSED = ("channel, axis 0", "DequantizeLinear")
TIED = {"run": [ROWS, FUSED], "auto": [ROWS, FUSED], "nbits": [LOOKUP, NBITS],
        "load": [("channel, axis 0", "load")],
        "portable": [("channel, axis 0", "portable")],
        "generic": [("channel, axis 0", "DequantizeLinear")]}


@pytest.mark.parametrize("wide", [False, True], ids=["", "wide"])
@pytest.mark.parametrize("kind", ["int4", "uint4"])
@pytest.mark.parametrize("form", TIED)
@pytest.mark.parametrize("op_type", ["Gemm", "MatMul"])
def test_tied(op_type, form, kind, wide, quantize):
    operator = tied(op_type)
    model = models.as_initializer(operator, models.weight(operator), "float")
    options = ["--embedding-type", "int8"] * wide
    result, left = check(model, models.all_feeds(model, operator), scheme_of(kind, "default"),
                         form, quantize, options)
    rows = [row for row in result.report["weights"] if row["name"] == "W"]
    found = [(row["granularity"], row["form"]) for row in rows]
    if wide and form == "nbits":
        assert {ROWS, LOOKUP} & set(found) and NBITS in found
    else:
        assert sorted(found) == sorted(TIED[form])
    assert sum(row["bytes"]["before"] for row in rows) == 70 * 240 * 4
    for row in rows:
        assert oracle.BITS[row["type"]] == (8 if wide and row["form"] == "Gather" else 4)
    assert left["MatMulNBits"] == (form in ("run", "auto", "nbits"))


def two_matmuls():
    def nodes(x, w, y):
        return [node("MatMul", [x, w], "A"), node("Tanh", ["A"], "B"),
                node("MatMul", ["B", w], y)]
    return Operator(nodes, (256, 256), (3, 256), 2, axes=(1, 0, True))


@pytest.mark.parametrize("format, level", [("nbits", None), ("nbits-int8", 4)])
def test_activations(format, level, quantize):
    """Results are as exact as float32, or close to it with activations that are rounded to
    int8."""
    operator = OPERATORS["matmul-whole"]
    model = models.as_initializer(operator, models.weight(operator), "float")
    feeds = models.all_feeds(model, operator)
    exact, _ = check(model, feeds, Scheme(), "nbits", quantize)
    wanted = runtime.run_ort(exact.output, feeds)
    result = quantize(model, *Scheme().options(), "--format", format, output="other.onnx")
    made, = result.load().graph.node
    assert oracle.attribute(made, "accuracy_level") == level
    difference = runtime.worst(wanted, runtime.run_ort(result.output, feeds))
    assert difference <= 0.02 and (difference > 0) == (level is not None)


@pytest.mark.parametrize("k, own", [
    (192, "load"), (207, "load"), (208, "DequantizeLinear"), (256, "DequantizeLinear"),
    (257, "load"), (330, "load"), (331, "DequantizeLinear"), (513, "DequantizeLinear")])
def test_auto_takes_the_faster(k, own, quantize):
    """Fused operators are slow on short axes, and if half of the last block is padding."""
    operator = models.matmul(k, 9)
    model = models.as_initializer(operator, models.weight(operator), "float")
    result, left = check(model, models.all_feeds(model, operator), Scheme(), "auto", quantize)
    row, = [row for row in result.report["weights"] if row["quantized"]]
    assert row["form"] == own and left["MatMulNBits"] == (own != "load")


# ---- what can't be asked for --------------------------------------------------

@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("operator", ["matmul-whole", "gemm-wide", "conv"])
def test_blocks_that_old_versions_compute_wrongly(operator, form, run, tmp_path, quantize):
    """Powers of two above 256, if ONNX Runtime fuses them."""
    operator = {"matmul-whole": OPERATORS["matmul-whole"],
                "gemm-wide": Operator(lambda x, w, y: [node("Gemm", [x, w], y, transB=1)],
                                      (5, 600), (2, 600), 2, kind="fused"),
                "conv": Operator(lambda x, w, y: [node("Conv", [x, w], y)], (4, 600, 1, 1),
                                 (1, 600, 2, 2), 4)}[operator]
    model = models.as_initializer(operator, models.weight(operator), "float")
    if operator.kind == "fused" and form in ("run", "auto", "nbits"):
        onnx.save(model, tmp_path / "in.onnx")
        done = run("quantize", tmp_path / "in.onnx", "-o", tmp_path / "out.onnx",
                   "--block-size", 512, *FORMS[form])
        assert done.returncode != 0 and not (tmp_path / "out.onnx").exists()
        assert b"512" in done.stderr and b"wrong" in done.stderr
    else:
        scheme = Scheme("int4", 512)
        expected, _ = forms_check.plan(model, operator, scheme, form, "initializer")
        check(model, models.all_feeds(model, operator), scheme, form, quantize,
              expected=expected)


# ---- portable needs no upgrade -------------------------------------------------

OLD = ["matmul", "matmul-odd", "gemm-bias", "conv2d", "conv-depthwise", "gather", "gather-odd",
       "lstm", "gru-2", "transpose2d"]


@pytest.mark.parametrize("opset", [9, 10, 11, 12, 13, 17, 20])
@pytest.mark.parametrize("operator", OLD)
def test_portable_keeps_the_opset(operator, opset, quantize):
    operator = OPERATORS[operator]
    scheme = scheme_of(TYPES[opset % 4], GROUPS[(opset + len(operator.weight)) % len(GROUPS)])
    model = models.finish(operator, "float", operator.nodes("X", "W", "Y"),
                          [models.weight(operator)], opset=opset, ir=4 if opset < 11 else 7)
    expected, _ = forms_check.plan(model, operator, scheme, "portable", "initializer")
    result, _ = check(model, models.all_feeds(model, operator), scheme, "portable", quantize,
                      expected=expected)
    after = result.load()
    assert [o.version for o in after.opset_import] == [opset]
    assert after.ir_version == model.ir_version
    kinds = {t.data_type for t in build.every_tensor(after)}
    assert not kinds & {onnx.TensorProto.INT4, onnx.TensorProto.UINT4}


def unraisable():
    """A model whose Dropout's mask is in use. Opset 12 gives the mask another type."""
    nodes = [node("MatMul", ["X", "W"], "M"),
             helper.make_node("Dropout", ["M"], ["Y", "mask"], ratio=0.0)]
    operator = Operator(lambda x, w, y: nodes, (40, 40), (3, 40), 2, axes=(1, 0, True))
    model = models.finish(operator, "float", nodes, [models.weight(operator)], opset=9, ir=4)
    model.graph.output.append(info("mask", onnx.TensorProto.FLOAT, rank=2))
    return operator, model


@pytest.mark.parametrize("why", ["refused", "forbidden"])
def test_hint_where_the_opset_stays(why, run, tmp_path):
    """The error names the form that needs no upgrade."""
    if why == "refused":
        model, options = unraisable()[1], []
    else:
        model = models.as_initializer(OPERATORS["matmul"], models.weight(OPERATORS["matmul"]),
                                      "float")
        options = ["--no-upgrade"]
    onnx.save(model, tmp_path / "in.onnx")
    words = [tmp_path / "in.onnx", "-o", tmp_path / "out.onnx", *options]
    done = run("quantize", *words)
    assert done.returncode == 1 and b"--decode portable" in done.stderr
    assert run("quantize", *words, "--decode", "portable").returncode == 0


# ---- what a user is told ---------------------------------------------------------

@pytest.mark.parametrize("operator, form, slow", [
    ("conv2d", "run", 1), ("conv2d", "auto", 0), ("conv2d", "load", 0),
    ("conv2d", "portable", 0), ("conv2d", "nbits", 1), ("matmul", "run", 0),
    ("matmul", "generic", 1), ("lstm", "run", 2), ("gather", "run", 0),
    ("gather-column", "run", 1)])
def test_slow_weights_are_counted(operator, form, slow, run, tmp_path, quantize):
    operator = OPERATORS[operator]
    model = models.as_initializer(operator, models.weight(operator), "float")
    result = quantize(model, *FORMS[form], "--min-elements", 16)
    assert result.report["slow"] == slow
    done = run("quantize", result.model, "-o", tmp_path / "again.onnx", *FORMS[form],
               "--min-elements", 16)
    said = done.stdout + done.stderr
    if form != "generic":
        assert (b"--decode auto" in said) == (slow > 0)


@pytest.mark.parametrize("form", ["run", "load", "portable"])
def test_operator_of_opset_19(form, quantize):
    """DeformConv is newer than the opset of the other models."""
    operator = models.deform_conv()
    model = models.finish(operator, "float", operator.nodes("X", "W", "Y"),
                          [models.weight(operator)], opset=19, ir=9)
    result, _ = check(model, models.all_feeds(model, operator),
                      Scheme(granularity="channel", min_elements=1000), form, quantize)
    assert result.names == {"W"}


# ---- what decides whether a weight is fused, and gaps ------------------------------

def test_captured_weight_is_fused(quantize):
    operator = OPERATORS["matmul"]
    model = models.captured(operator, models.weight(operator), "float")
    _, left = check(model, models.all_feeds(model, operator), Scheme(), "run", quantize)
    assert left["MatMulNBits"] == 2


@pytest.mark.parametrize("op_type", ["MatMul", "Gemm"])
def test_relu_behind(op_type, quantize):
    operator = Operator(lambda x, w, y: [node(op_type, [x, w], "A"), node("Relu", ["A"], "B"),
                                         node("Exp", ["B"], y)], (64, 40), (3, 64), 2)
    model = models.as_initializer(operator, models.weight(operator), "float")
    _, left = check(model, models.all_feeds(model, operator), Scheme(), "auto", quantize)
    assert not left["DequantizeLinear"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", sorted(models.HANDED))
@pytest.mark.parametrize("group", ["default", "channel", 16])
def test_handed_in_and_transposed(group, place, form, quantize):
    """Zero points must be written in front of the Transpose: ONNX Runtime up to 1.27 computes
    wrongly without them."""
    operator = OPERATORS["matmul-transpose"]
    model = PLACES[place](operator, models.weight(operator), "float")
    scheme = Scheme(granularity=group, min_elements=16)
    result, _ = check(model, models.all_feeds(model, operator), scheme, form, quantize)
    assert len(result.names) == 1
    decoder = [made for made in result.load().graph.node if made.op_type == "DequantizeLinear"]
    assert all(len(made.input) == 3 for made in decoder)
