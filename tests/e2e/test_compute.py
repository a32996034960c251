"""--compute float16: the graph computes in float16 where it can. ONNX Runtime runs both models on
the same inputs: what they give may differ by as much as float16 rounds, and no more. The full check
of onnx infers the types of all values again."""

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import feeds as model_feeds
import runtime
from test_upgrade_testdata import MODELS as NODE_TESTS
from test_upgrade_testdata import read_feeds, standard_opset

ROOT = Path(__file__).resolve().parents[2]
FLOAT, HALF, INT64, BOOL = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64,
                            TensorProto.BOOL)
RNG = np.random.default_rng(7)
ROUNDING = 4e-3  # of the largest output: some roundings of 2^-11
LOWEST = float(np.finfo(np.float32).min)


def normal(*shape, scale=1.0):
    return (RNG.standard_normal(shape) * scale).astype(np.float32)


def info(name, shape=None, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, inputs, outputs, tensors=None, *, opset=17, ir=8, functions=(), **graph):
    outputs = [info(o) if isinstance(o, str) else o for o in outputs]
    made = helper.make_graph(nodes, "g", inputs, outputs,
                             [numpy_helper.from_array(np.asarray(value), name)
                              for name, value in (tensors or {}).items()], **graph)
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    imports += [helper.make_opsetid("own", 1)] * bool(functions)
    return helper.make_model(made, opset_imports=imports, ir_version=ir, functions=functions)


def node(op_type, inputs, outputs, **attributes):
    return helper.make_node(op_type, inputs.split(), outputs.split(), **attributes)


def branch(name, nodes, outputs, inputs=(), tensors=None):
    return helper.make_graph(nodes, name, list(inputs), outputs,
                             [numpy_helper.from_array(v, n) for n, v in (tensors or {}).items()])


def value_types(path):
    """{value: element type}, as shape inference finds them."""
    made = onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True)
    graph = made.graph
    found = {t.name: t.data_type for t in graph.initializer}
    for one in (*graph.input, *graph.output, *graph.value_info):
        found[one.name] = one.type.tensor_type.elem_type
    return found


def computed_in(path, op_type):
    """The types that the nodes of this operator have at their first output."""
    types = value_types(path)
    return [types[n.output[0]] for n in onnx.load(path).graph.node if n.op_type == op_type]


def check(path):
    """The checker wants shapes of outputs, which these small models do not state."""
    made = onnx.shape_inference.infer_shapes(onnx.load(path), check_type=True, strict_mode=True)
    onnx.checker.check_model(made)


def casts(path):
    return sum(n.op_type == "Cast" for n in onnx.load(path).graph.node)


@pytest.fixture
def convert(quantize):
    """convert(MODEL, feeds, *options, tolerance=...) -> Result, after all checks. Nothing is
    quantized."""
    def convert(made, fed, *options, tolerance=ROUNDING, quantized=False):
        keep = () if quantized else ("--exclude", ".")
        result = quantize(made, "--compute", "float16", *keep, *options)
        check(result.output)
        wanted = runtime.session(made.SerializeToString() if isinstance(made, onnx.ModelProto)
                                 else made).run(None, fed)
        for optimize in (False, True):
            got = runtime.session(result.output, optimize).run(None, fed)
            for a, b in zip(wanted, got):
                check_close(a, b, tolerance)
        return result

    return convert


def check_close(wanted, got, tolerance):
    if isinstance(wanted, list):
        for a, b in zip(wanted, got, strict=True):
            check_close(a, b, tolerance)
        return
    assert got.dtype == wanted.dtype and got.shape == wanted.shape
    if wanted.dtype.kind != "f":
        assert np.array_equal(wanted, got)
        return
    wanted, got = wanted.astype(float), got.astype(float)
    finite = np.isfinite(wanted)
    assert np.array_equal(np.isfinite(got), finite)
    assert np.array_equal(wanted[~finite], got[~finite], equal_nan=True)
    largest = np.abs(wanted[finite]).max(initial=1e-3)
    assert np.abs(wanted[finite] - got[finite]).max(initial=0) <= tolerance * largest


# ---- every operator ----------------------------------------------------------------

# Random numbers of another type are other numbers.
RANDOM = re.compile("bernoulli|dropout|random|multinomial")


@pytest.mark.skipif(not NODE_TESTS, reason="libonnx-testdata isn't installed")
@pytest.mark.parametrize("part", range(8))
def test_node_tests(part, quantize):
    """The node tests of onnx, each with its own inputs."""
    converted, faults = 0, []
    for path in NODE_TESTS[part::8]:
        data, name = path.read_bytes(), path.parent.name
        made = onnx.load_from_string(data)
        if not 7 <= standard_opset(made) or RANDOM.search(name):
            continue
        try:
            fed = read_feeds(made, path.parent / "test_data_set_0")
            wanted = runtime.session(data).run(None, fed)
        except Exception:  # pylint: disable=broad-except
            continue
        try:
            result = quantize(path, "--compute", "float16", "--exclude", ".")
            if result.report["float16_nodes"]:
                converted += 1
                got = runtime.session(result.output).run(None, fed)
                for a, b in zip(wanted, got, strict=True):
                    check_close(a, b, ROUNDING)
        except Exception as error:  # pylint: disable=broad-except
            faults.append(f"{name}: {error}")
    assert not faults, "\n".join(faults)
    assert converted > 40


def test_rows_match_schemas():
    """Each row names an operator whose schema takes float16 from that opset on."""
    text = (ROOT / "src/compute/compute_operators.c").read_text()
    table = text[text.index("standard[]"):text.index("microsoft[]")]
    rows = re.findall(r'\{"(\w+)", .kind = COMPUTE_(\w+)(.*?)\}', table)
    assert len(rows) > 100 and [r[0] for r in rows] == sorted(r[0] for r in rows)
    for name, kind, rest in rows:
        if kind == "WIDENS" or name == "SimplifiedLayerNormalization":
            continue
        since = int((re.search(r"since = (\d+)", rest) or [0, 7])[1])
        versions = [s for s in onnx.defs.get_all_schemas_with_history()
                    if s.name == name and s.domain == ""]
        first = min(s.since_version for s in versions)
        for opset in range(max(since, first), onnx.defs.onnx_opset_version() + 1):
            schema = onnx.defs.get_schema(name, opset, "")
            if schema.deprecated:
                continue
            for i, one in enumerate(schema.inputs):
                stays = re.search(r"stays = (.*?)[,}]?$", rest)
                if stays and f"1 << {i}" in stays[1]:
                    continue
                types = one.types
                assert "tensor(float)" not in types or "tensor(float16)" in types, (
                    name, opset, one.name)


# ---- real models -------------------------------------------------------------------

def snr(wanted, got):
    wanted, got = (np.asarray(x, np.float64) for x in (wanted, got))
    return 10 * np.log10((wanted ** 2).sum() / ((wanted - got) ** 2).sum())


@pytest.mark.parametrize("name, least, most_casts", [
    ("fashion_cnn_ts17.onnx", 55, 2), ("fashion_cnn_dynamo18.onnx", 55, 2),
    ("bible_lm_ts17.onnx", 60, 6), ("bible_lm_dynamo18.onnx", 60, 6),
    ("minilm.onnx", 50, 14), ("ppocr_rec.onnx", 35, 28), ("silero_vad.onnx", 45, 4)])
def test_real_models(name, least, most_casts, real_model, need, quantize):
    path = real_model(name)
    fed = need(lambda: model_feeds.inputs(path, 2))
    result = quantize(path, "--compute", "float16", "--exclude", ".")
    onnx.checker.check_model(onnx.load(result.output), full_check=True)
    wanted = runtime.session(path).run(None, fed)
    got = runtime.session(result.output).run(None, fed)
    for a, b in zip(wanted, got, strict=True):
        if a.dtype.kind == "f":
            assert snr(a, b) >= least
    assert casts(result.output) - casts(path) <= most_casts
    assert result.report["bytes"]["after"] < result.report["bytes"]["before"] * 0.7


@pytest.mark.parametrize("options", [(), ("--format", "nbits"), ("--decode", "load"),
                                     ("--decode", "portable"), ("--per-channel",),
                                     ("--preset", "transformers.js-q4")])
def test_quantized(options, real_model, need, quantize):
    """Scales are float16, and what decodes gives float16. The errors are those of the codes."""
    path = real_model("bible_lm_ts17.onnx")
    fed = need(lambda: model_feeds.inputs(path, 2))
    single = quantize(path, *options, output="single.onnx")
    half = quantize(path, "--compute", "float16", *options)
    onnx.checker.check_model(onnx.load(half.output))
    wanted = runtime.session(path).run(None, fed)[0]
    snrs = [snr(wanted, runtime.session(r.output).run(None, fed)[0]) for r in (single, half)]
    assert snrs[1] > snrs[0] - 0.7
    assert half.names == single.names
    assert half.report["bytes"]["after"] < single.report["bytes"]["after"]
    for tensor in half.load().graph.initializer:
        assert not tensor.name.endswith("_scale") or tensor.data_type == HALF


# ---- ranges ------------------------------------------------------------------------

def test_small_constants(convert):
    """A layer norm of single operators. Rows of zeros would be divided by zero in float16."""
    made = model(
        [node("ReduceMean", "X", "mean", axes=[-1]), node("Sub", "X mean", "d"),
         node("Pow", "d two", "p"), node("ReduceMean", "p", "v", axes=[-1]),
         node("Add", "v eps", "ve"), node("Sqrt", "ve", "s"), node("Div", "d s", "n"),
         node("Mul", "n g", "Y0"), node("MatMul", "Y0 W", "Y")],
        [info("X", ["N", 8])], ["Y"],
        {"two": np.float32(2), "eps": np.float32(1e-12), "g": normal(8), "W": normal(8, 4)})
    fed = {"X": np.concatenate([np.zeros((1, 8), np.float32), normal(3, 8, scale=300)])}
    result = convert(made, fed)
    assert computed_in(result.output, "MatMul") == [HALF]
    assert computed_in(result.output, "Pow") == [FLOAT]
    assert casts(result.output) == 4  # X, d, n and Y


@pytest.mark.parametrize("lowest", [LOWEST, -1e9, -np.inf])
def test_masks(lowest, convert):
    """Rows that are masked as a whole stay finite."""
    made = model(
        [node("MatMul", "Q K", "s"), node("Where", "M zero low", "m"), node("Add", "s m", "a"),
         node("Softmax", "a", "p"), node("MatMul", "p V", "Y")],
        [info("Q", [4, 8]), info("M", [4, 5], BOOL)], ["Y"],
        {"K": normal(8, 5), "V": normal(5, 8), "zero": np.float32(0), "low": np.float32(lowest)})
    mask = np.tri(4, 5, dtype=bool)
    mask[2] = np.isinf(lowest)
    result = convert(made, {"Q": normal(4, 8), "M": mask})
    assert computed_in(result.output, "MatMul") == [HALF, HALF]
    assert computed_in(result.output, "Softmax") == [HALF if np.isinf(lowest) else FLOAT]


def test_masks_of_integers(convert):
    """(1 - mask) * lowest, as BERT has it."""
    made = model(
        [node("Cast", "M", "f", to=FLOAT), node("Sub", "one f", "i"), node("Mul", "i low", "m"),
         node("MatMul", "Q K", "s"), node("Add", "s m", "a"), node("Softmax", "a", "p"),
         node("MatMul", "p V", "Y")],
        [info("Q", [4, 8]), info("M", [1, 5], INT64)], ["Y"],
        {"K": normal(8, 5), "V": normal(5, 8), "one": np.float32(1), "low": np.float32(LOWEST)})
    convert(made, {"Q": normal(4, 8), "M": np.array([[1, 1, 0, 1, 0]])})


def test_positions(convert):
    """Angles of large positions."""
    made = model(
        [node("Range", "zero n one", "r"), node("Cast", "r", "f", to=FLOAT),
         node("Unsqueeze", "f axis", "c"), node("MatMul", "c inv", "e"),
         node("Concat", "e e", "a", axis=-1), node("Sin", "a", "s"), node("Cos", "a", "k"),
         node("Mul", "X s", "xs"), node("Add", "xs k", "z"), node("MatMul", "z W", "Y")],
        [info("X", [3000, 8]), info("n", [], INT64)], ["Y"],
        {"zero": np.int64(0), "one": np.int64(1), "axis": np.array([1]),
         "inv": (1 / 10 ** np.linspace(0, 2, 4)).astype(np.float32)[None], "W": normal(8, 4)})
    convert(made, {"X": normal(3000, 8), "n": np.array(3000)})


def test_indices(convert):
    """Whole numbers that become indices."""
    made = model(
        [node("Mul", "X k", "a"), node("Add", "a one", "b"), node("Floor", "b", "c"),
         node("Cast", "c", "i", to=INT64), node("Gather", "T i", "Y")],
        [info("X", [5])], ["Y"],
        {"k": np.float32(3), "one": np.float32(1), "T": normal(4001)})
    convert(made, {"X": np.array([0, 1, 3, 999, 1333], np.float32)})


@pytest.mark.parametrize("value, kind", [(70000.0, FLOAT), (1e-9, FLOAT), (0.5, HALF),
                                         (np.nan, FLOAT), (np.inf, HALF)])
def test_constants(value, kind, convert):
    made = model([node("Mul", "X c", "Y0"), node("Tanh", "Y0", "Y")], [info("X", [3])], ["Y"],
                 {"c": np.float32(value)})
    result = convert(made, {"X": np.array([1e-4, 0.5, -2], np.float32)})
    assert computed_in(result.output, "Mul") == [kind]


def test_weights_beyond(convert):
    """A weight that float16 can't hold, and what is computed from its products."""
    w = normal(8, 8)
    w[0, 0] = 1e6
    made = model([node("MatMul", "X W", "a"), node("Relu", "a", "b"), node("MatMul", "b V", "c"),
                  node("LayerNormalization", "c g", "d"), node("MatMul", "d V", "Y")],
                 [info("X", [3, 8])], ["Y"], {"W": w, "V": normal(8, 8), "g": normal(8)})
    result = convert(made, {"X": normal(3, 8)})
    assert computed_in(result.output, "MatMul") == [FLOAT, FLOAT, HALF]


def test_limits(convert):
    """Bounds of Clip, Min and Max may be infinite in float16."""
    made = model([node("Clip", "X zero top", "a"), node("Max", "a low", "b"),
                  node("MatMul", "b W", "Y")], [info("X", [3, 8])], ["Y"],
                 {"zero": np.float32(0), "top": np.float32(-LOWEST), "low": np.float32(LOWEST),
                  "W": normal(8, 8)})
    result = convert(made, {"X": normal(3, 8)})
    assert result.report["float32_nodes"] == 0 and casts(result.output) == 2


# ---- types -------------------------------------------------------------------------

def test_attributes(convert):
    made = model(
        [node("Shape", "X", "s"), node("ConstantOfShape", "s", "z"),
         node("ConstantOfShape", "s", "h",
              value=numpy_helper.from_array(np.array([0.5], np.float32))),
         node("Cast", "B", "b", to=FLOAT), node("EyeLike", "X", "e", dtype=FLOAT),
         node("Constant", "", "k", value_float=0.25),
         node("Constant", "", "v", value_floats=[1.0, 2.0, 3.0, 4.0]),
         node("Sum", "X z h b e k v", "Y")],
        [info("X", [4, 4]), info("B", [4, 4], BOOL)], ["Y"])
    made.graph.node[5].input[:] = made.graph.node[6].input[:] = []
    fed = {"X": normal(4, 4), "B": RNG.integers(0, 2, (4, 4)).astype(bool)}
    result = convert(made, fed)
    assert computed_in(result.output, "Sum") == [HALF]
    assert computed_in(result.output, "ConstantOfShape") == [HALF, HALF]


def test_fixed_types(convert):
    """Inputs of a type of their own: scales of Resize, counts and indices."""
    made = model(
        [node("Resize", "X  scales", "a", mode="linear"), node("BatchNormalization", "a g b m v",
                                                               "c"),
         node("GlobalAveragePool", "c", "d"), node("Flatten", "d", "e"),
         node("TopK", "e k", "t i"), node("Concat", "t t", "Y", axis=1)],
        [info("X", [1, 3, 8, 8])], ["Y", info("i", None, INT64)],
        {"scales": np.array([1, 1, 2.5, 2.5], np.float32), "k": np.array([2]),
         "g": normal(3), "b": normal(3), "m": normal(3), "v": np.abs(normal(3)) + 1})
    made.graph.node[0].input[:] = ["X", "", "scales"]
    convert(made, {"X": normal(1, 3, 8, 8)})


@pytest.mark.parametrize("op_type, gates", [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_recurrent(op_type, gates, convert):
    made = model([node(op_type, "X W R B", "a h", hidden_size=6), node("Squeeze", "h axes", "Y")],
                 [info("X", [5, 2, 4])], ["Y"],
                 {"W": normal(1, 6 * gates, 4), "R": normal(1, 6 * gates, 6, scale=0.3),
                  "B": normal(1, 12 * gates), "axes": np.array([0])})
    result = convert(made, {"X": normal(5, 2, 4)})
    assert casts(result.output) == 2


def test_shared_constants(convert):
    """A constant for both types, an input that is an output, a value inside that is an output, and
    a constant that is an output."""
    made = model(
        [node("Mul", "X c", "a"), node("Exp", "a", "b"), node("Mul", "b c", "d"),
         node("Relu", "a", "e"), node("Identity", "c", "f")],
        [info("X", [4])], ["d", "a", "e", "f", info("X", [4])], {"c": normal(4)})
    convert(made, {"X": normal(4)})


@pytest.mark.parametrize("flag", [True, False])
def test_if(flag, convert):
    then = branch("t", [node("MatMul", "x W", "u"), node("Relu", "u", "r")], [info("r", None)],
                  tensors={"W": normal(8, 8)})
    other = branch("e", [node("Exp", "x", "q")], [info("q", None)])
    made = model([node("Relu", "X", "x"),
                  node("If", "C", "z", then_branch=then, else_branch=other),
                  node("MatMul", "z V", "Y")],
                 [info("X", [2, 8]), info("C", [], BOOL)], ["Y"], {"V": normal(8, 4)})
    convert(made, {"X": normal(2, 8), "C": np.array(flag)})


def test_loop_and_scan(convert):
    body = branch("b", [node("MatMul", "s W", "t"), node("Tanh", "t", "o"),
                        node("Identity", "c", "d"), node("Identity", "o", "p")],
                  [info("d", [], BOOL), info("o", [2, 8]), info("p", [2, 8])],
                  [info("i", [], INT64), info("c", [], BOOL), info("s", [2, 8])])
    scan = branch("s", [node("Add", "h e", "g"), node("Mul", "g k", "y")],
                  [info("g", [2, 8]), info("y", [2, 8])], [info("h", [2, 8]), info("e", [2, 8])])
    made = model([node("Loop", "n true X", "last all", body=body),
                  node("Scan", "X all", "g ys", body=scan, num_scan_inputs=1),
                  node("Add", "g last", "Y")],
                 [info("X", [2, 8])], [info("Y", [2, 8]), info("ys", ["steps", 2, 8])],
                 {"n": np.int64(3), "true": np.array(True), "W": normal(8, 8, scale=0.3),
                  "k": normal(8)})
    convert(made, {"X": normal(2, 8)})


def test_functions(convert):
    """Local functions stay as they are."""
    function = helper.make_function("own", "F", ["x"], ["y"],
                                    [node("Relu", "x", "r"), node("Mul", "r r", "y")],
                                    [helper.make_opsetid("", 17)])
    call = node("F", "a", "b", domain="own")
    made = model([node("MatMul", "X W", "a"), call, node("MatMul", "b W", "Y")],
                 [info("X", [2, 8])], ["Y"], {"W": normal(8, 8)}, functions=[function],
                 value_info=[info("b", [2, 8])])
    convert(made, {"X": normal(2, 8)})


def test_unknown_types(quantize):
    """Behind an operator that nobody knows all stays float32, unless the model says the type."""
    made = model([node("MatMul", "X W", "a"), node("Own", "a", "b", domain="own"),
                  node("Add", "b c", "d"), node("MatMul", "d W", "Y")],
                 [info("X", [2, 8])], ["Y"], {"W": normal(8, 8), "c": normal(8)})
    made.opset_import.append(helper.make_opsetid("own", 1))
    result = quantize(made, "--compute", "float16", "--exclude", ".")
    tensors = {t.name: t.data_type for t in result.load().graph.initializer}
    assert tensors["c"] == FLOAT and result.report["float16_nodes"] == 1


def test_old_inputs(convert):
    """Below IR 4 all initializers are inputs. From 4 on such an input may be overridden."""
    for ir, kind in ((3, HALF), (8, FLOAT)):
        made = model([node("MatMul", "X W", "Y")], [info("X", [2, 8]), info("W", [8, 8])], ["Y"],
                     {"W": normal(8, 8)}, ir=ir)
        result = convert(made, {"X": normal(2, 8)})
        assert value_types(result.output)["W"] == kind
        assert computed_in(result.output, "MatMul") == [HALF]


def test_io(quantize):
    made = model([node("MatMul", "X W", "a"), node("Exp", "a", "Y"), node("Relu", "a", "Z")],
                 [info("X", [2, 8]), info("I", [2], INT64)], ["Y", "Z", "a", info("I", [2], INT64)],
                 {"W": normal(8, 8, scale=0.1)})
    result = quantize(made, "--compute", "float16", "--io", "float16", "--exclude", ".")
    check(result.output)
    graph = result.load().graph
    assert [i.type.tensor_type.elem_type for i in graph.input] == [HALF, INT64]
    assert [o.type.tensor_type.elem_type for o in graph.output] == [HALF, HALF, HALF, INT64]
    x, i = normal(2, 8), np.array([3, 4])
    wanted = runtime.session(made.SerializeToString()).run(None, {"X": x, "I": i})
    got = runtime.session(result.output).run(None, {"X": x.astype(np.float16), "I": i})
    for a, b in zip(wanted, got):
        assert np.allclose(a, b, rtol=5e-3, atol=5e-3)


def test_float16_models(quantize):
    """A model of float16 stays as it is, Casts to float32 included."""
    made = model([node("MatMul", "X W", "a"), node("Cast", "a", "b", to=FLOAT),
                  node("Softmax", "b", "c"), node("Cast", "c", "Y", to=HALF)],
                 [info("X", [2, 8], HALF)], [info("Y", [2, 8], HALF)],
                 {"W": normal(8, 8).astype(np.float16)})
    result = quantize(made, "--compute", "float16", "--exclude", ".")
    assert computed_in(result.output, "Softmax") == [FLOAT]
    assert casts(result.output) == 2


def test_fields_and_files(quantize, tmp_path):
    """Values in float_data, and in a file beside the model."""
    made = model([node("MatMul", "X W", "a"), node("Add", "a b", "Y")], [info("X", [2, 8])],
                 ["Y"])
    b = normal(8)
    made.graph.initializer.append(numpy_helper.from_array(normal(8, 8), "W"))
    made.graph.initializer.append(helper.make_tensor("b", FLOAT, [8], b))
    path = tmp_path / "outside.onnx"
    onnx.save(made, path, save_as_external_data=True, location="w.bin", size_threshold=100)
    result = quantize(path, "--compute", "float16", "--exclude", ".")
    stored = {t.name: numpy_helper.to_array(t) for t in result.load().graph.initializer}
    assert stored["b"].dtype == np.float16 and np.array_equal(stored["b"], b.astype(np.float16))
    assert stored["W"].dtype == np.float16


def test_low_opset(run, tmp_path):
    path = tmp_path / "low.onnx"
    onnx.save(model([node("Relu", "X", "Y")], [info("X", [2])], ["Y"], opset=6), path)
    done = run(path, "-o", tmp_path / "out.onnx", "--compute", "float16")
    assert done.returncode == 1 and b"opset 6 is too low" in done.stderr
    assert not (tmp_path / "out.onnx").exists()


def test_io_alone(run, real_model, tmp_path):
    done = run(real_model("fashion_cnn_ts17.onnx"), "-o", tmp_path / "out.onnx", "--io", "float16")
    assert done.returncode in (1, 2) and b"--compute float16" in done.stderr
    assert not (tmp_path / "out.onnx").exists()


def test_threads_do_not_matter(run, real_model, tmp_path):
    path = real_model("fashion_cnn_ts17.onnx")
    for threads in (1, 3):
        done = run(path, "-o", tmp_path / f"{threads}.onnx", "--compute", "float16", "--threads",
                   threads)
        assert done.returncode == 0
    assert (tmp_path / "1.onnx").read_bytes() == (tmp_path / "3.onnx").read_bytes()


def test_quantized_bodies(quantize):
    """The same for codes that a model has already."""
    then = branch("t", [node("MatMul", "X W", "t")], [info("t", [1, 64])],
                  tensors={"W": normal(256, 64, scale=0.1)})
    other = branch("e", [node("MatMul", "X V", "e")], [info("e", [1, 64])],
                   tensors={"V": normal(256, 64)})
    made = model([node("If", "C", "z", then_branch=then, else_branch=other), node("Relu", "z", "Y")],
                 [info("X", [1, 256]), info("C", [], BOOL)], [info("Y", [1, 64])])
    codes = quantize(made, output="codes.onnx")
    result = quantize(codes.output, "--compute", "float16")
    assert result.report["float16_nodes"] > 0
    fed = {"X": normal(1, 256), "C": np.array(True)}
    options = ort.SessionOptions()
    options.log_severity_level = 4
    got = [ort.InferenceSession(str(path), options).run(None, fed)[0]
           for path in (codes.output, result.output)]
    assert snr(*got) > 30


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("options", [("--type", "int8"), ("--type", "int4"), ("--format", "nbits")])
def test_float16_in_bodies(inside, options, quantize):
    """ONNX Runtime takes float16 scales for zeros if it fuses the DequantizeLinear in a body."""
    w = numpy_helper.from_array(normal(256, 64, scale=0.1).astype(np.float16), "W")
    then = helper.make_graph([node("MatMul", "X W", "t")], "t", [], [info("t", [1, 64], HALF)],
                             [w] if inside else [])
    other = helper.make_graph([node("MatMul", "X V", "e")], "e", [], [info("e", [1, 64], HALF)],
                              [numpy_helper.from_array(normal(256, 64).astype(np.float16), "V")])
    made = model([node("If", "C", "Y", then_branch=then, else_branch=other)],
                 [info("X", [1, 256], HALF), info("C", [], BOOL)], [info("Y", [1, 64], HALF)])
    if not inside:
        made.graph.initializer.append(w)
    fed = {"X": normal(1, 256).astype(np.float16), "C": np.array(True)}
    result = quantize(made, *options)
    assert "W" in result.names
    wanted = runtime.session(made.SerializeToString()).run(None, fed)[0]
    options = ort.SessionOptions()  # as users have it: computing with int8 activations
    options.log_severity_level = 4
    got = ort.InferenceSession(str(result.output), options).run(None, fed)[0]
    assert snr(wanted, got) > 15
