"""Calibration end to end, in ONNX Runtime: what it gains, the bias, and what it refuses."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import calibration
from calibration import Calibration, Failed, quantize, session

K, N, OUT = 64, 48, 32


def inputs(rng, rows):
    """Inputs that are correlated, differ in size and have means."""
    mix = np.random.default_rng(1).normal(size=(K, K)) * np.exp(np.random.default_rng(2).normal(size=K))
    return (rng.normal(size=(rows, K)) @ mix + 0.5).astype(np.float32)


@pytest.fixture
def mlp(tmp_path):
    rng = np.random.default_rng(0)
    value = lambda name, *dims: numpy_helper.from_array(rng.normal(size=dims).astype(np.float32), name)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Add", ["y", "b"], ["z"]),
         helper.make_node("Relu", ["z"], ["r"]), helper.make_node("Gemm", ["r", "w2"], ["o"], transB=1)],
        "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", K])],
        [helper.make_tensor_value_info("o", TensorProto.FLOAT, ["n", OUT])],
        [value("w", K, N), value("b", N), value("w2", OUT, N)])
    path = tmp_path / "mlp.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def observed(path, **options):
    made, rng = Calibration(path, min_elements=16, **options), np.random.default_rng(3)
    for _ in range(8):
        made.observe({"x": inputs(rng, 100)})
    return made


def snr(path, quantized):
    feed = {"x": inputs(np.random.default_rng(4), 400)}
    want, got = (session(p).run(None, feed)[0].astype(float) for p in (path, quantized))
    return 10 * np.log10((want**2).sum() / ((want - got) ** 2).sum())


@pytest.mark.parametrize("options", [{}, {"granularity": "block", "block_size": 32}, {"type": 1}, {"format": 1},
                                     {"decode": 2}, {"method": 0}, {"scale_type": 1}, {"bits_per_weight": 5.0}])
def test_gain(mlp, tmp_path, options):
    plain, solved = tmp_path / "plain.onnx", tmp_path / "solved.onnx"
    quantize(mlp, plain, min_elements=16, **options)
    observed(mlp).quantize(solved, min_elements=16, **options)
    onnx.checker.check_model(str(solved))
    assert snr(mlp, solved) > snr(mlp, plain) + 1


def test_biases(mlp, tmp_path):
    """The bias goes into the Add behind a MatMul, or into a Gemm that had none. The old
    constant is gone."""
    observed(mlp).quantize(tmp_path / "q.onnx", min_elements=16)
    model = onnx.load(tmp_path / "q.onnx")
    names = {t.name for t in model.graph.initializer}
    add = next(n for n in model.graph.node if n.op_type == "Add")
    gemm = next(n for n in model.graph.node if n.op_type == "Gemm")
    assert add.input[1] in names and gemm.input[2] in names and "b" not in names
    assert len(model.graph.node) == 6


def test_threads(mlp, tmp_path):
    files = []
    for threads in (1, 2, 5):
        observed(mlp, threads=threads).quantize(tmp_path / f"{threads}.onnx", min_elements=16, threads=threads)
        files.append((tmp_path / f"{threads}.onnx").read_bytes())
    assert files[0] == files[1] == files[2]


def test_without_data(mlp, tmp_path):
    """A handle without any run changes nothing."""
    Calibration(mlp, min_elements=16).quantize(tmp_path / "a.onnx", min_elements=16)
    quantize(mlp, tmp_path / "b.onnx", min_elements=16)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_choices_are_measured_again(mlp, tmp_path):
    """What choices cost is measured once, but again after more data, and for other options."""
    asked = {"min_elements": 16, "bits_per_weight": 4.9, "scale_type": 1}
    for step, more in enumerate([{}, {"exclude": "w2"}, {"symmetry": 1}, {}, {"observe": True}]):
        if step == 0:
            made, fresh = observed(mlp), observed(mlp)
        if more.pop("observe", False):
            for handle in (made, fresh):
                handle.observe({"x": np.random.default_rng(9).normal(size=(4000, K)).astype(np.float32) * 9})
        made.quantize(tmp_path / "again.onnx", **asked, **more)
        fresh.save(tmp_path / "s.safetensors")
        other = Calibration(mlp, min_elements=16)
        other.load(tmp_path / "s.safetensors")
        other.quantize(tmp_path / "new.onnx", **asked, **more)
        assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "new.onnx").read_bytes()


def test_zero_points_in_small_blocks(tmp_path):
    """With data, blocks that lie to one side of zero get zero points, which take no more room."""
    rng, size = np.random.default_rng(0), 128
    skewed = rng.uniform(-0.2, 1, size=(size // 32, 1, size)) + rng.normal(size=(size // 32, 32, size)) * 0.1
    even = rng.choice([-1.0, 1.0], size=(size, size)) * rng.uniform(0.9, 1, size=(size, size))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "skewed"], ["y"]), helper.make_node("MatMul", ["y", "even"], ["z"])],
        "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", size])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", size])],
        [numpy_helper.from_array(value.reshape(size, size).astype(np.float32), name)
         for name, value in (("skewed", skewed), ("even", even))])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    made = Calibration(path)
    made.observe({"x": rng.normal(size=(600, size)).astype(np.float32)})
    made.quantize(tmp_path / "q.onnx", bits_per_weight=4.63, scale_type=1)
    zeros = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "q.onnx").graph.initializer
             if "zero" in t.name}
    assert len(np.unique(zeros["skewed_zero_point"])) > 4
    quantize(path, tmp_path / "q.onnx", bits_per_weight=4.63, scale_type=1)  # as ever without data
    zeros = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "q.onnx").graph.initializer
             if "zero" in t.name}
    assert len(np.unique(zeros["skewed_zero_point"])) <= 2


def test_zero_points_of_rows(tmp_path):
    """Rows that are looked up are not solved for. With data they get any zero point, in as many bytes."""
    rng, path = np.random.default_rng(0), tmp_path / "m.onnx"
    rows = rng.normal(size=(90, 64)) + rng.uniform(-2, 2, size=(90, 1))
    graph = helper.make_graph(
        [helper.make_node("Gather", ["e", "i"], ["x"]), helper.make_node("MatMul", ["x", "w"], ["y"])], "g",
        [helper.make_tensor_value_info("i", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v.astype(np.float32), n) for n, v in (("e", rows), ("w", rng.normal(size=(64, 64))))])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    made = Calibration(path)
    made.observe({"i": np.arange(90)})

    def stored(name):
        values = {t.name: t for t in onnx.load(name).graph.initializer}
        zeros, = [t for n, t in values.items() if n.startswith("e_") and "zero" in n]
        return len(np.unique(numpy_helper.to_array(zeros))), sum(len(t.raw_data) for n, t in values.items() if n[0] == "e")

    report = made.report(tmp_path / "q.onnx")
    quantize(path, tmp_path / "plain.onnx")
    (some, size), (two, plain) = stored(tmp_path / "q.onnx"), stored(tmp_path / "plain.onnx")
    assert some > 4 and two <= 2 and size == plain
    error = {row["name"]: row["snr_db"] for row in report["weights"]}
    assert error["e"] > 19


def test_tied_codes_stay_shared(tmp_path):
    """MatMulNBits and GatherBlockQuantized read the same codes, with data, too."""
    rng, path = np.random.default_rng(0), tmp_path / "m.onnx"
    graph = helper.make_graph(
        [helper.make_node("Gather", ["e", "i"], ["x"]), helper.make_node("Transpose", ["e"], ["t"], perm=[1, 0]),
         helper.make_node("MatMul", ["x", "t"], ["y"])], "g",
        [helper.make_tensor_value_info("i", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(rng.normal(size=(96, 64)).astype(np.float32), "e")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    made = Calibration(path)
    made.observe({"i": np.arange(90)})
    made.quantize(tmp_path / "q.onnx", format=1)
    quantize(path, tmp_path / "plain.onnx", format=1)
    assert (tmp_path / "q.onnx").stat().st_size == (tmp_path / "plain.onnx").stat().st_size
    nodes = {n.op_type for n in onnx.load(tmp_path / "q.onnx").graph.node}
    assert {"MatMulNBits", "GatherBlockQuantized"} <= nodes


@pytest.mark.parametrize("change, message", [
    (lambda run: run.pop("r"), "'r' is missing, an output of the instrumented model"),
    (lambda run: run.pop("x"), "'x' is missing, an input of the model"),
    (lambda run: run.update(x=np.full((4, K), np.nan, np.float32)), "'x' holds NaN or infinity"),
    (lambda run: run.update(r=run["r"][:, 1:]), "'r' has another shape"),
    (lambda run: run.update(x=np.float32(1)), "'x' has another shape"),
    (lambda run: run.update(x=np.zeros((4, K), np.int64)), "'x' is no array of a float type"),
])
def test_garbage(mlp, change, message):
    made = Calibration(mlp, min_elements=16)
    run = made.run({"x": inputs(np.random.default_rng(5), 10)})
    change(run)
    with pytest.raises(Failed, match=message):
        made.observe_arrays(run)
    assert made.runs == 0


def test_another_model(mlp, tmp_path):
    model = onnx.load(mlp)
    changed = numpy_helper.to_array(model.graph.initializer[0]) * 2
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(changed, "w"))
    onnx.save(model, tmp_path / "other.onnx")
    made = observed(mlp)
    with pytest.raises(Failed, match="is not the model that the calibration is of"):
        quantize(tmp_path / "other.onnx", tmp_path / "q.onnx", calibration=made.handle)
    assert not (tmp_path / "q.onnx").exists()


def test_no_model(mlp, tmp_path):
    with pytest.raises(Failed, match="nothing.onnx"):
        Calibration(tmp_path / "nothing.onnx")
    with pytest.raises(Failed, match="an option has a value"):
        Calibration(mlp, type=9)
