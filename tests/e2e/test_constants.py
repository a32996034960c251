"""The operators that nibble computes on constants, against onnx.reference: each float type,
broadcasting, and the arguments of old and new opsets."""

import os
import pathlib
import subprocess

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

PROGRAM = pathlib.Path(os.environ.get("NIBBLE", "build/nibble")).parent.joinpath(
    "tests", "unit", "evaluate-outputs")
FLOATS = {"float32": np.float32, "float64": np.float64, "float16": np.float16,
          "bfloat16": ml_dtypes.bfloat16}
# The unit in the last place, relative to a value.
ULP = {"float32": 2.0**-23, "float64": 2.0**-52, "float16": 2.0**-10, "bfloat16": 2.0**-7}

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="a build with tests is needed")


def noise(shape, seed=0, dtype=np.float32, positive=False):
    x = np.random.default_rng(seed).standard_normal(shape)
    return np.asarray(np.abs(x) + 0.1 if positive else x).astype(dtype)


def model_of(nodes, tensors, outputs, opset=18):
    graph = helper.make_graph(
        nodes, "g", [], [helper.make_tensor_value_info(y, TensorProto.FLOAT, None)
                         for y in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)],
                             ir_version=10)


def evaluated(model, path):
    """Outputs by name, None if one is no constant."""
    onnx.save(model, path)
    done = subprocess.run([PROGRAM, path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines, found = iter(done.stdout.splitlines()), {}
    for line in lines:
        name, _, rest = line.partition(" ")
        if rest == "not constant":
            found[name] = None
            continue
        kind, *dims = map(int, rest.split())
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        found[name] = np.frombuffer(bytes.fromhex(next(lines)), dtype).reshape(dims)
    return found


def near(wanted, got, ulps, name):
    wanted = np.asarray(wanted)
    assert got.dtype == wanted.dtype and got.shape == wanted.shape
    if ulps == 0:
        if wanted.dtype in (ml_dtypes.int4, ml_dtypes.uint4):  # with any upper bits
            wanted, got = wanted.astype(np.int8), got.astype(np.int8)
        assert got.tobytes() == np.ascontiguousarray(wanted).tobytes()
        return
    a, b = wanted.astype(np.float64), got.astype(np.float64)
    assert np.array_equal(np.isnan(a), np.isnan(b))
    scale = np.maximum(np.abs(a), np.abs(a).max() / 16 if a.size else 0)
    assert np.all((np.abs(a - b) <= ulps * ULP[name] * scale) | np.isnan(a) | (a == b))


def agree(tmp_path, node, inputs, dtype="float32", ulps=0, opset=18):
    tensors = dict(zip([f"x{i}" for i in range(len(inputs))], inputs, strict=True))
    node.input[:] = ["" if array is None else name for name, array in tensors.items()]
    tensors = {name: array for name, array in tensors.items() if array is not None}
    model = model_of([node], tensors, list(node.output), opset)
    wanted = ReferenceEvaluator(model).run(None, {})
    found = evaluated(model, tmp_path / "m.onnx")
    for name, value in zip(node.output, wanted, strict=True):
        assert found[name] is not None
        near(value, found[name], ulps, dtype)


def op(op_type, outputs=1, **attributes):
    return helper.make_node(op_type, [], [f"y{i}" for i in range(outputs)], **attributes)


SHAPES = [((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 1), (1, 4)), ((), (2, 3)), ((5,), ()),
          ((2, 1, 3), (4, 1)), ((1,), (2, 2, 700)), ((0, 3), (3,)), ((2, 1, 1, 2, 1), (3, 1, 4))]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op_type", ["Add", "Sub", "Mul", "Div", "Max", "Min", "Pow"])
def test_binary(op_type, dtype, tmp_path):
    for a, b in SHAPES:
        x, y = noise(a, 1, FLOATS[dtype], op_type == "Pow"), noise(b, 2, FLOATS[dtype])
        agree(tmp_path, op(op_type), [x, y], dtype, 2 if op_type == "Pow" else 0)


def test_special_values(tmp_path):
    x = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-40, 3e38, 65504, 65520, -1e-8])
    for dtype in FLOATS.values():
        values = x.astype(dtype)
        for op_type in ("Add", "Mul", "Max", "Min", "Sub"):
            agree(tmp_path, op(op_type), [values[:, None], values], ulps=1)
    agree(tmp_path, op("Cast", to=TensorProto.FLOAT16), [x.astype(np.float32)])
    agree(tmp_path, op("Pow"), [x.astype(np.float32), np.float32(2)])
    agree(tmp_path, op("Pow"), [noise((3, 4)), np.array(2, np.int64)], ulps=1)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("op_type", ["Sum", "Max", "Min"])
def test_any_number(op_type, count, tmp_path):
    agree(tmp_path, op(op_type), [noise((3, 4), i)[i % 2:] for i in range(count)]
          if count == 1 else [noise((3, 4), 1), noise((4,), 2), noise((3, 1), 3)], ulps=1)


UNARY = ["Abs", "Ceil", "Exp", "Floor", "Log", "Neg", "Reciprocal", "Relu", "Round", "Sigmoid",
         "Sign", "Softplus", "Sqrt", "Tanh"]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op_type", UNARY)
def test_unary(op_type, dtype, tmp_path):
    exact = op_type in ("Abs", "Ceil", "Floor", "Neg", "Relu", "Round", "Sign", "Sqrt")
    for shape in ((), (1,), (3, 700), (2, 0, 3), (2, 3, 1, 2, 2)):
        x = noise(shape, 1, FLOATS[dtype], op_type in ("Log", "Sqrt"))
        agree(tmp_path, op(op_type), [x], dtype, 0 if exact else 2)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op_type", ["ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin",
                                     "ReduceProd", "ReduceSum", "ReduceSumSquare"])
def test_reductions(op_type, dtype, tmp_path):
    loose = 4 if dtype == "float32" else 32
    for axes in ([0], [1, 2], [-1], [0, 2], None):
        for keep in (0, 1):
            x = noise((3, 4, 5), 1, FLOATS[dtype], positive=True)
            inputs = [x] if axes is None else [x, np.array(axes, np.int64)]
            agree(tmp_path, op(op_type, keepdims=keep), inputs, dtype, loose)
    wide = noise((2, 1300), 3, FLOATS[dtype], positive=True)
    if op_type != "ReduceProd" and dtype != "bfloat16":  # whose sums the reference loses
        agree(tmp_path, op(op_type), [wide, np.array([1], np.int64)], dtype, 2 * loose)


def test_axes_as_attribute(tmp_path):
    x = noise((3, 4, 5))
    for op_type in ("ReduceL2", "ReduceMean", "ReduceMax"):
        agree(tmp_path, op(op_type, axes=[1, -1]), [x], ulps=4, opset=13)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_lp_normalization(dtype, tmp_path):
    for p in (1, 2):
        for axis in (0, -1):  # for p=1 the reference adds values, not their sizes
            agree(tmp_path, op("LpNormalization", p=p, axis=axis),
                  [noise((4, 6), 1, FLOATS[dtype], positive=p == 1)], dtype, 4)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_matmul(dtype, tmp_path):
    for a, b in (((3, 4), (4, 5)), ((4,), (4, 5)), ((3, 4), (4,)), ((4,), (4,)), ((2, 3, 4), (4, 5)),
                 ((3, 4), (2, 4, 5)), ((2, 1, 3, 4), (5, 4, 2)), ((2, 3, 4), (4,)), ((17, 2), (2, 600)),
                 ((3, 0), (0, 2))):
        agree(tmp_path, op("MatMul"), [noise(a, 1, FLOATS[dtype]), noise(b, 2, FLOATS[dtype])],
              dtype, 16)


def test_gemm(tmp_path):
    for attributes in ({}, {"transA": 1}, {"transB": 1}, {"alpha": 0.5, "beta": 2.0, "transA": 1}):
        a = noise((4, 3) if attributes.get("transA") else (3, 4), 1)
        b = noise((5, 4) if attributes.get("transB") else (4, 5), 2)
        for added in (None, noise((5,), 3), noise((3, 1), 3), noise((), 3)):
            inputs = [a, b] + ([] if added is None else [added])
            agree(tmp_path, op("Gemm", **attributes), inputs, ulps=16)


CASTS = ["FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "INT32", "INT64", "BOOL", "UINT16"]


@pytest.mark.parametrize("to", CASTS)
@pytest.mark.parametrize("dtype", [*FLOATS, "int32", "int64", "bool"])
def test_cast(dtype, to, tmp_path):
    x = np.arange(-20, 20) * 1.37 + 1 / 3
    if to.startswith("U"):
        x = np.abs(x)
    x = x.astype(FLOATS.get(dtype, dtype))
    agree(tmp_path, op("Cast", to=getattr(TensorProto, to)), [x])
    x = np.random.default_rng(1).integers(0, 0x7FF << 52, 3000).view(np.float64)
    if dtype == "float64" and to in ("FLOAT", "FLOAT16", "BFLOAT16"):
        x = np.ldexp(np.frexp(x)[0], np.random.default_rng(2).integers(-30, 18, x.size))
        agree(tmp_path, op("Cast", to=getattr(TensorProto, to)), [x])


def test_cast_like(tmp_path):
    agree(tmp_path, op("CastLike"), [noise((3, 4)), np.zeros(1, np.float16)])


def test_clip_and_where(tmp_path):
    x = noise((3, 4))
    agree(tmp_path, op("Clip"), [x, np.float32(-0.5), np.float32(0.5)])
    agree(tmp_path, op("Clip"), [x, None, np.float32(0.5)])
    agree(tmp_path, op("Clip", min=-0.5), [x], opset=6)
    agree(tmp_path, op("Where"), [noise((3, 1)) > 0, x, noise((4,), 2)])
    agree(tmp_path, op("Where"), [noise((2, 3, 4)) > 0, x, np.float32(0)])


INTS = {"starts": [1, -3], "ends": [3, 99], "axes": [0, -1], "steps": [1, 2]}


def test_views(tmp_path):
    x, i64 = noise((3, 4, 5)), lambda *values: np.array(values, np.int64)
    agree(tmp_path, op("Identity"), [x])
    agree(tmp_path, op("Transpose", perm=[2, 0, 1]), [x])
    agree(tmp_path, op("Transpose"), [x])
    agree(tmp_path, op("Reshape"), [x, i64(0, -1, 2)[:2]])
    agree(tmp_path, op("Flatten", axis=-1), [x])
    agree(tmp_path, op("Squeeze"), [x[:1, :, :1], i64(0)])
    agree(tmp_path, op("Squeeze"), [x[:1, :, :1]])
    agree(tmp_path, op("Unsqueeze"), [x, i64(-1, 1)])
    agree(tmp_path, op("Slice"), [x, *(i64(*values) for values in INTS.values())])
    agree(tmp_path, op("Slice"), [x, i64(-1), i64(-99), i64(1), i64(-2)])
    agree(tmp_path, op("Split", 2, axis=1, num_outputs=2), [x])
    agree(tmp_path, op("Split", 3, axis=-1), [x, i64(1, 3, 1)])
    agree(tmp_path, op("Expand"), [x[:, :1], i64(2, 1, 4, 1)])
    agree(tmp_path, op("Tile"), [x, i64(2, 1, 3)])
    agree(tmp_path, op("Pad"), [x, i64(0, 1, 2, 3, 0, 1)])
    agree(tmp_path, op("Shape"), [x])
    agree(tmp_path, op("Shape", start=-2, end=3), [x])
    agree(tmp_path, op("Size"), [x])
    agree(tmp_path, op("Concat", axis=-1), [x, x[..., :2], x])


@pytest.mark.parametrize("dtype", FLOATS)
def test_gather(dtype, tmp_path):
    x = noise((3, 4, 5), 1, FLOATS[dtype])
    for axis in (0, 1, -1):
        for index in (2, -1, [1], [[0, 2], [-1, 1]], [[0]], np.zeros((0, 2))):
            agree(tmp_path, op("Gather", axis=axis), [x, np.array(index, np.int64)])


def test_constants(tmp_path):
    agree(tmp_path, op("Constant", value_float=0.3), [])
    agree(tmp_path, op("Constant", value_ints=[3, 4]), [])
    agree(tmp_path, op("Constant", value_floats=[0.5, 1.5]), [])
    filled = helper.make_tensor("v", TensorProto.FLOAT16, [1], [1.5])
    agree(tmp_path, op("ConstantOfShape", value=filled), [np.array([2, 3], np.int64)])
    agree(tmp_path, op("ConstantOfShape"), [np.array([2, 3], np.int64)])


@pytest.mark.parametrize("zero", [np.int8, np.uint8, np.int16, np.uint16, ml_dtypes.int4,
                                  ml_dtypes.uint4])
def test_quantize_linear(zero, tmp_path):
    x = noise((8, 6), 3) * 3
    for scale, attributes in ((np.float32(0.05), {}), (noise(6, 4, positive=True) / 9, {"axis": 1}),
                              (noise((4, 6), 4, positive=True) / 9, {"axis": 0, "block_size": 2})):
        zeros = np.full(np.shape(scale), 3).astype(zero)
        agree(tmp_path, op("QuantizeLinear", **attributes), [x, scale, zeros], opset=21)


def test_whole_expressions(tmp_path):
    """Weight norm, a low-rank update, and a weight that is used twice on the way."""
    v, g, a, b = noise((6, 4, 3), 1), noise((6, 1, 1), 2), noise((6, 2), 3), noise((2, 12), 4)
    nodes = [helper.make_node("ReduceL2", ["v", "axes"], ["n"]),
             helper.make_node("Div", ["g", "n"], ["s"]), helper.make_node("Mul", ["v", "s"], ["w"]),
             helper.make_node("MatMul", ["a", "b"], ["ab"]),
             helper.make_node("Mul", ["ab", "alpha"], ["scaled"]),
             helper.make_node("Shape", ["v"], ["shape"]),
             helper.make_node("Reshape", ["scaled", "shape"], ["delta"]),
             helper.make_node("Add", ["v", "delta"], ["updated"]),
             helper.make_node("Mul", ["updated", "updated"], ["squared"])]
    model = model_of(nodes, {"v": v, "g": g, "a": a, "b": b, "alpha": np.float32(0.5),
                             "axes": np.array([1, 2])}, ["w", "updated", "squared"])
    found = evaluated(model, tmp_path / "m.onnx")
    for name, wanted in zip(("w", "updated", "squared"), ReferenceEvaluator(model).run(None, {}),
                            strict=True):
        near(wanted, found[name], 4, "float32")


def test_what_is_no_constant(tmp_path):
    """Operators that are not known, and arguments that make no sense."""
    x = noise((3, 4))
    for node, inputs in ((op("Cos"), [x]), (op("Reshape"), [x, np.array([5, 3])]),
                         (op("MatMul"), [x, x]), (op("Gather"), [x, np.array([3])]),
                         (op("Transpose", perm=[0, 0]), [x]), (op("Add"), [x, x[:2]]),
                         (op("Add"), [x, x.astype(np.float16)]), (op("Concat", axis=2), [x, x]),
                         (op("Cast", to=TensorProto.STRING), [x]), (op("Tile"), [x, np.array([2])]),
                         (op("Cast", to=TensorProto.FLOAT), [x.astype(np.int8)]),
                         (op("Expand"), [x, np.array([2**40, 2**40, 1, 1])]),
                         (op("ConstantOfShape"), [np.array([2**62, 4])]),
                         (op("Slice"), [x, np.array([0]), np.array([1]), np.array([0]),
                                        np.array([0])])):
        tensors = {f"x{i}": array for i, array in enumerate(inputs)}
        node.input[:] = list(tensors)
        assert evaluated(model_of([node], tensors, ["y0"]), tmp_path / "m.onnx") == {"y0": None}
    twice = [helper.make_node("Mul", [f"y{i}", f"y{i}"], [f"y{i + 1}"]) for i in range(40)]
    assert evaluated(model_of(twice, {"y0": x}, ["y40"]), tmp_path / "m.onnx") == {"y40": None}
