"""A table that is looked up, and that other operators use in ways of their own: a Cast, a
Shape, an Unsqueeze. Each gets what it needs, and the table is quantized."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import build
import runtime
from build import info
from forms_check import check
from forms_models import node, noise
from oracle import Scheme

V, H = 60, 32
SCHEME = Scheme("int4", min_elements=256)
FEEDS = [{"ids": np.array([[1, 2, 59], [0, 7, 7]])}]
FORMS = ["run", "auto", "load", "portable", "nbits", "generic"]
FLOAT = TensorProto.FLOAT


def table(nodes, outputs, tensors=(), dtype=np.float32, opset=17):
    """E is looked up, and used by the nodes."""
    constants = [numpy_helper.from_array(noise((V, H), 1).astype(dtype), "E"), *tensors]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return build.model([node("Gather", ["E", "ids"], "h"), *nodes],
                       [info("ids", TensorProto.INT64, [2, 3])],
                       [info("h", kind, rank=3), *outputs], constants, opset, ir=8)


def head(x):
    return [node("Transpose", [x], "Et", perm=[1, 0]), node("MatMul", ["h", "Et"], "Y")]


def picked(x, axis=0):
    """Rows of what is no weight any more."""
    return [node("Neg", [x], "n"), node("Gather", ["n", "ids"], "Z", axis=axis)]


CASES = {
    "cast": lambda: table([node("Cast", ["E"], "Eh", to=TensorProto.FLOAT16),
                           node("Cast", ["Eh"], "Ef", to=FLOAT), node("Gather", ["Ef", "ids"], "Z")],
                          [info("Z", rank=3)]),
    "neg": lambda: table([*picked("E")], [info("Z", rank=3)]),
    "neg and head": lambda: table([*head("E"), *picked("E")],
                                  [info("Z", rank=3), info("Y", rank=3)]),
    "neg of the transposed": lambda: table([*head("E"), *picked("Et", 1)],
                                           [info("Z", rank=3), info("Y", rank=3)]),
    "unsqueeze": lambda: table(
        [node("Unsqueeze", ["E", "axes"], "E3"), node("Transpose", ["E3"], "Et", perm=[0, 2, 1]),
         node("MatMul", ["h", "Et"], "Y")], [info("Y", rank=3)],
        [numpy_helper.from_array(np.array([0]), "axes")]),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES)
def test_other_uses(case, form, quantize):
    result, _ = check(CASES[case](), FEEDS, SCHEME, form, quantize)
    assert result.names == {"E"}


@pytest.mark.parametrize("form", FORMS)
def test_half_table_with_a_head_in_float(form, quantize):
    model = table([node("Cast", ["h"], "hf", to=FLOAT), node("Cast", ["E"], "Ef", to=FLOAT),
                   node("Transpose", ["Ef"], "Et", perm=[1, 0]),
                   node("MatMul", ["hf", "Et"], "Y")], [info("Y", rank=3)], dtype=np.float16)
    result, _ = check(model, FEEDS, SCHEME, form, quantize, dtype="float16")
    assert result.names == {"E"}


@pytest.mark.parametrize("op_type, attributes, wanted", [
    ("Shape", {}, [V, H]), ("Shape", {"start": 1}, [H]), ("Shape", {"start": -2, "end": -1}, [V]),
    ("Shape", {"start": 1, "end": 1}, []), ("Size", {}, V * H)])
@pytest.mark.parametrize("place", ["output", "used"])
def test_shapes(place, op_type, attributes, wanted, quantize):
    """They are constants, and no longer need the table."""
    more = [node("Cast", ["s"], "Z", to=FLOAT)] if place == "used" else []
    out = info("Z", rank=1) if more else info("s", TensorProto.INT64, rank=np.ndim(wanted))
    model = table([*head("E"), node(op_type, ["E"], "s", **attributes), *more],
                  [info("Y", rank=3), out])
    if np.ndim(wanted) == 0 and more:
        model.graph.output[-1].CopyFrom(info("Z", rank=0))
    result, left = check(model, FEEDS, SCHEME, "run", quantize)
    assert result.names == {"E"} and left["MatMulNBits"] == 1
    made, = [n for n in result.load().graph.node if "s" in n.output]
    assert made.op_type == "Constant"
    assert np.array_equal(numpy_helper.to_array(made.attribute[0].t), wanted)


def test_shape_alone(quantize):
    """A table of which only the shape is used is not quantized, but nothing is wrong."""
    model = table([node("Shape", ["F"], "s")], [info("s", TensorProto.INT64, rank=1)],
                  [build.tensor(noise((V, H), 2), "F")])
    result, _ = check(model, FEEDS, SCHEME, "run", quantize)
    assert result.names == {"E"}
    assert "F" not in {t.name for t in result.load().graph.initializer}


def test_output_of_the_graph(quantize):
    """What the model gives back must stay exact."""
    result = quantize(table([], [info("E", rank=2)]),
                      *SCHEME.options())
    assert "E" in result.reasons


def ints(name, *values):
    return numpy_helper.from_array(np.array(values), name)


CONSTANT = {
    "cast": ([node("Cast", ["E"], "Z", to=TensorProto.FLOAT16)], []),
    "identity": ([node("Identity", ["E"], "e"), node("Transpose", ["e"], "Z")], []),
    "slice": ([node("Slice", ["E", "b", "e"], "s"), node("Mul", ["s", "s"], "Z")],
              [ints("b", 5), ints("e", 30)]),
    "rows": ([node("Gather", ["E", "i"], "Z")], [ints("i", 3, 1)]),
    "not known": ([node("Hardmax", ["E"], "a"), node("Det", ["a3"], "Z"),
                   node("Reshape", ["a", "s"], "a3")], [ints("s", -1, 4, 4)]),
}


@pytest.mark.parametrize("case", CONSTANT)
def test_outputs_that_are_constants(case, quantize):
    """They are data, and stay exact."""
    nodes, tensors = CONSTANT[case]
    nodes = sorted(nodes, key=lambda n: n.op_type == "Det")
    kind = TensorProto.FLOAT16 if case == "cast" else FLOAT
    model = table([*head("E"), *nodes], [info("Y", rank=3),
                                         info("Z", kind, rank=1 if case == "not known" else 2)],
                  tensors)
    result = quantize(model, *SCHEME.options())
    assert "an output of the model" in result.reasons["E"] and result.report["warnings"] == 0
    got, wanted = (runtime.run_ort(path, FEEDS, False)[0][-1]
                   for path in (result.output, result.model))
    assert np.array_equal(got, wanted)


@pytest.mark.parametrize("nodes, more, tensors", [
    ([node("Slice", ["E", "b", "e"], "Z")], [info("b", TensorProto.INT64, [1])], [ints("e", 9)]),
    ([node("Add", ["E", "x"], "Z")], [info("x", FLOAT, [V, H])], []),
    ([node("Multinomial", ["E"], "m"), node("Cast", ["m"], "Z", to=FLOAT)], [], [])])
def test_outputs_that_depend_on_inputs_or_chance(nodes, more, tensors, quantize):
    model = table([*head("E"), *nodes], [info("Y", rank=3), info("Z", rank=2)], tensors)
    model.graph.input.extend(more)
    assert quantize(model, *SCHEME.options()).names == {"E"}


# ---- one set of codes, and rows that are columns --------------------------------------

K = 64  # a multiple of blocks


def tied(kind, dtype=np.float32, k=K, more=()):
    """A table and the layer behind it, as PyTorch, genai and others write them."""
    values = noise((V, k), 1).astype(dtype)
    columns = kind == "columns"
    tensors = {"E": values.T.copy() if columns else values}
    nodes = {
        "rows": [node("Gather", ["E", "ids"], "h"), *head("E")],
        "columns": [node("Transpose", ["E"], "Et"), node("Gather", ["Et", "ids"], "h"),
                    node("MatMul", ["h", "E"], "Y")],
        "gemm": [node("Gather", ["E", "ids"], "h"), node("Reshape", ["h", "s"], "h2"),
                 node("Gemm", ["h2", "E"], "Y", transB=1)],
        "equal": [node("Gather", ["E", "ids"], "h"), *head("F")],
    }[kind]
    if kind == "gemm":
        tensors["s"] = np.array([-1, k])
    if kind == "equal":
        tensors["F"] = values
    type_ = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return build.model([*nodes, *more], [info("ids", TensorProto.INT64, [2, 3])],
                       [info("Y", type_, rank=2 if kind == "gemm" else 3)],
                       [numpy_helper.from_array(array, name) for name, array in tensors.items()],
                       17, ir=8)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("kind", ["rows", "columns", "gemm", "equal"])
def test_stored_once(kind, dtype, quantize):
    """MatMulNBits and GatherBlockQuantized read the same codes. ONNX Runtime up to 1.22 takes
    no zero points there."""
    model = tied(kind, dtype)
    half = dtype == np.float16
    result, left = check(model, FEEDS, Scheme("int4", 16, min_elements=256), "nbits", quantize,
                         dtype="float16" if half else "float")
    assert left["MatMulNBits"] == left["GatherBlockQuantized"] == 1
    codes = [t for t in result.load().graph.initializer if t.data_type == TensorProto.UINT8]
    assert [list(t.dims) for t in codes] == [[V, K // 16, 8]]
    rows = [row for row in result.report["weights"] if row["quantized"]]
    assert [row["bytes"]["after"] > 0 for row in rows] == [True, False]


@pytest.mark.parametrize("options", [["--type", "uint4", "--asymmetric"], ["--type", "int8"],
                                     ["--block-size", "48"], ["--rule", "^F$: block-size=16"]])
def test_not_stored_once(options, quantize):
    """Codes of other kinds are not shared, and the model answers as it should."""
    model = tied("equal")
    result = quantize(model, "--format", "nbits", "--method", "rtn", *options)
    got, wanted = (runtime.run_ort(path, FEEDS)[0][0] for path in (result.output, result.model))
    assert runtime.difference(wanted, got) < 0.2
    assert all(row["bytes"]["after"] for row in result.report["weights"] if row["quantized"])


@pytest.mark.parametrize("k", [K, 50])
@pytest.mark.parametrize("kind", ["int4", "int8", "uint4"])
@pytest.mark.parametrize("form", FORMS)
def test_columns(form, kind, k, quantize):
    """Only the rows in use are decoded, if blocks divide the columns."""
    scheme = Scheme(kind, min_elements=256)
    result, left = check(tied("columns", k=k), FEEDS, scheme, form, quantize)
    assert result.names == {"E"}
    if form in ("run", "auto", "nbits") and k == K:
        forms = {row["form"] for row in result.report["weights"]}
        assert forms & {"Gather", "GatherBlockQuantized"} and not left["DequantizeLinear"]
