"""Trials: a model whose weights are inputs, what is handed out for them, and what is kept of it."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from calibration import Calibration, Failed
from runtime import session

WIDTH = 48


def value(name, *dims, seed=0, scale=1.0):
    return numpy_helper.from_array((np.random.default_rng(seed).normal(size=dims) * scale).astype(np.float32), name)


def info(name, kind=TensorProto.FLOAT, dims=None):
    return helper.make_tensor_value_info(name, kind, dims)


def save(path, nodes, inputs, weights, outputs=("y",)):
    graph = helper.make_graph(nodes, "g", inputs, [info(o) for o in outputs], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def stack(path):
    """Five layers: a Gather of rows, MatMuls with and without an Add, a Gemm, one weight in a Constant node."""
    scale = 1.5 / WIDTH**0.5
    constant = helper.make_node("Constant", [], ["c"], value=value("", WIDTH, WIDTH, seed=4, scale=scale))
    save(path, [constant,
                helper.make_node("Gather", ["e", "x"], ["h"]), helper.make_node("MatMul", ["h", "a"], ["i"]),
                helper.make_node("Add", ["i", "v"], ["j"]), helper.make_node("Relu", ["j"], ["k"]),
                helper.make_node("MatMul", ["k", "c"], ["l"]), helper.make_node("Tanh", ["l"], ["m"]),
                helper.make_node("Gemm", ["m", "b"], ["n"]), helper.make_node("Relu", ["n"], ["o"]),
                helper.make_node("MatMul", ["o", "d"], ["y"])],
         [info("x", TensorProto.INT64, ["n"])],
         [value("e", 90, WIDTH, seed=1), value("a", WIDTH, WIDTH, seed=2, scale=scale), value("v", WIDTH, seed=3),
          value("b", WIDTH, WIDTH, seed=5, scale=scale), value("d", WIDTH, WIDTH, seed=6, scale=scale)])
    return [{"x": np.random.default_rng(s).integers(0, 90, 200)} for s in range(6)]


def recurrent(path):
    """An LSTM, whose weights share a bias, in a branch."""
    hidden = 16
    then = helper.make_graph(
        [helper.make_node("LSTM", ["x", "w", "r", "b"], ["", "t"], hidden_size=hidden)], "then", [], [info("t")],
        [value("w", 1, 4 * hidden, 24, seed=1, scale=0.3), value("r", 1, 4 * hidden, hidden, seed=2, scale=0.3),
         value("b", 1, 8 * hidden, seed=3)])
    other = helper.make_graph([helper.make_node("ReduceSum", ["x"], ["s"])], "else", [], [info("s")])
    save(path, [helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)],
         [info("c", TensorProto.BOOL, []), info("x", dims=["t", "b", 24])], [])
    return [{"c": np.array(True), "x": np.random.default_rng(s).normal(size=(9, 8, 24)).astype(np.float32) + 0.3}
            for s in range(5)]


MODELS = {"stack": stack, "recurrent": recurrent}


@pytest.fixture(params=MODELS)
def made(request, tmp_path):
    return begin(request.param, tmp_path)


def begin(name, tmp_path):
    path = tmp_path / "m.onnx"
    feeds = MODELS[name](path)
    calibration = Calibration(path, min_elements=16)
    for feed in feeds:
        calibration.observe(feed)
    trials = calibration.begin_trials(tmp_path / "trials.onnx", min_elements=16)
    return calibration, trials, session(tmp_path / "trials.onnx"), feeds


def run(runner, feeds, more=None):
    names = {i.name for i in runner.get_overridable_initializers()} | {i.name for i in runner.get_inputs()}
    assert not more or set(more) <= names
    return np.concatenate([runner.run(["y"], {**f, **(more or {})})[0].ravel() for f in feeds]).astype(float)


def test_defaults(made):
    """With nothing fed the model is the float model."""
    calibration, trials, runner, feeds = made
    assert len(trials) == (5 if len(feeds) == 6 else 2)
    assert np.array_equal(run(runner, feeds), run(session(calibration.model), feeds))


def test_alone(made, tmp_path):
    """A trial alone is the model with that weight alone quantized."""
    calibration, trials, runner, feeds = made
    for i, trial in enumerate(trials):
        name = trial.name.decode().removesuffix("_trial")
        calibration.quantize(tmp_path / "q.onnx", min_elements=16, include=f"^{name}$")
        want = run(session(tmp_path / "q.onnx"), feeds)
        assert np.abs(run(runner, feeds, calibration.attempt(i)) - want).max() < 1e-5 * np.abs(want).max()
        assert 0 < trial.noise < 0.1


def sequential(calibration, trials, runner, feeds):
    """Everything, layer by layer: what to feed in the end."""
    names = [t for t in calibration.tensors if t not in calibration.inputs]
    feed, before = {}, [{**f, **dict(zip(names, runner.run(names, f)))} for f in feeds]
    for step in range(trials[-1].step + 1):
        mine = [i for i, t in enumerate(trials) if t.step == step]
        if trials[mine[0]].tensors[0]:
            for f, b in zip(feeds, before):
                calibration.observe_step(step, b, {**f, **dict(zip(names, runner.run(names, {**f, **feed})))})
        for i in mine:
            feed.update(calibration.attempt(i, keep=True))
    return feed


def test_kept(made, tmp_path):
    """nibble_quantize writes what was kept; other options solve anew."""
    calibration, trials, runner, feeds = made
    feed = sequential(calibration, trials, runner, feeds)
    calibration.quantize(tmp_path / "q.onnx", min_elements=16)
    want, got = run(runner, feeds, feed), run(session(tmp_path / "q.onnx"), feeds)
    assert np.abs(got - want).max() < 1e-5 * np.abs(want).max()
    again = Calibration(calibration.model, min_elements=16)
    for f in feeds:
        again.observe(f)
    calibration.quantize(tmp_path / "a.onnx", min_elements=16, type=2)
    again.quantize(tmp_path / "b.onnx", min_elements=16, type=2)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_kept_twice(tmp_path):
    """Trying again takes what was kept of the bias back first."""
    calibration, trials, runner, feeds = begin("recurrent", tmp_path)
    once = [calibration.attempt(i, keep=True) for i in range(2)]
    twice = [calibration.attempt(i, keep=True) for i in range(2)]
    for a, b in zip(once[1:], twice[1:]):
        assert all(np.allclose(a[n], b[n], atol=1e-6) for n in a)


def test_sequential_pays(tmp_path):
    calibration, trials, runner, feeds = begin("stack", tmp_path)
    want = run(session(calibration.model), feeds)
    noise = []
    calibration.quantize(tmp_path / "q.onnx", min_elements=16)
    noise.append(((run(session(tmp_path / "q.onnx"), feeds) - want) ** 2).sum())
    sequential(calibration, trials, runner, feeds)
    calibration.quantize(tmp_path / "q.onnx", min_elements=16)
    noise.append(((run(session(tmp_path / "q.onnx"), feeds) - want) ** 2).sum())
    assert noise[1] < 0.8 * noise[0]


def test_steps(tmp_path):
    """In the order of the nodes; embeddings come first and want nothing."""
    calibration, trials, _, _ = begin("stack", tmp_path)
    assert [t.name for t in trials] == [b"e", b"a", b"c_trial", b"b", b"d"]
    assert [t.step for t in trials] == list(range(5))
    assert [t.tensors[0] for t in trials] == [None, b"h", b"k", b"m", b"o"]
    assert [t.bias_name for t in trials] == [b"", b"v_trial", b"", b"b_bias", b""]


def test_costs(tmp_path):
    """Room goes where it costs most."""
    calibration, trials, _, _ = begin("stack", tmp_path)
    for dear in range(1, 5):
        for i, trial in enumerate(trials):
            calibration.attempt(i)
            calibration.weigh(i, 1.0 if i == dear else 1e-6)
        calibration.quantize(tmp_path / "q.onnx", min_elements=16, bits_per_weight=5.6)
        kinds = {t.name: t.data_type for t in onnx.load(tmp_path / "q.onnx").graph.initializer}
        name = trials[dear].name.decode().removesuffix("_trial")
        assert kinds.get(f"{name}_int8", TensorProto.FLOAT) in (TensorProto.INT8, TensorProto.FLOAT)
        assert f"{name}_int4" not in kinds


def test_costs_of_what_cannot_be_tried(tmp_path):
    """A table that a MatMul uses, too, has no trial. It costs what others do at the same error: costs in another
    unit choose as the layers' errors do."""
    path = tmp_path / "m.onnx"
    save(path, [helper.make_node("Gather", ["e", "x"], ["h"]), helper.make_node("MatMul", ["h", "a"], ["i"]),
                helper.make_node("MatMul", ["i", "b"], ["j"]), helper.make_node("MatMul", ["j", "e"], ["y"])],
         [info("x", TensorProto.INT64, ["n"])],
         [numpy_helper.from_array(np.random.default_rng(0).uniform(0.6, 1, (WIDTH, WIDTH)).astype(np.float32), "e"),
          *(value(n, WIDTH, WIDTH, seed=i, scale=1 / WIDTH**0.5) for i, n in enumerate("ab"))])
    calibration = Calibration(path, min_elements=16)
    calibration.observe({"x": np.random.default_rng(0).integers(0, WIDTH, 300)})
    calibration.quantize(tmp_path / "layers.onnx", min_elements=16, bits_per_weight=14)
    trials = calibration.begin_trials(tmp_path / "trials.onnx", min_elements=16)
    assert [t.name for t in trials] == [b"a", b"b"]
    for i in range(len(trials)):
        calibration.attempt(i)
        calibration.weigh(i, trials[i].noise * 1e-7)
    calibration.quantize(tmp_path / "costs.onnx", min_elements=16, bits_per_weight=14)
    assert (tmp_path / "layers.onnx").read_bytes() == (tmp_path / "costs.onnx").read_bytes()


def test_refused(tmp_path):
    calibration, trials, runner, feeds = begin("stack", tmp_path)
    with pytest.raises(Failed, match="no trial 5 of 5"):
        calibration.weigh(5, 1)
    with pytest.raises(Failed, match="noise of 'e'"):
        calibration.weigh(0, float("nan"))
    with pytest.raises(Failed, match="no step 7"):
        calibration.observe_step(7, {}, {})
    with pytest.raises(Failed, match="'h' is missing"):
        calibration.observe_step(1, {}, {})
    h = np.zeros((4, WIDTH), np.float32)
    with pytest.raises(Failed, match="'h' has another shape in the float model"):
        calibration.observe_step(1, {"h": h}, {"h": h[:3]})
    with pytest.raises(Failed, match="no trial 0 of 0"):
        Calibration(calibration.model, min_elements=16).weigh(0, 1)


def test_scales_that_float16_lacks(tmp_path):
    """A weight of tiny numbers is tried with float32 scales, as it is written."""
    path = tmp_path / "m.onnx"
    save(path, [helper.make_node("MatMul", ["x", "w"], ["y"])], [info("x", dims=["n", WIDTH])],
         [value("w", WIDTH, WIDTH, scale=1e-9)])
    feed = {"x": np.random.default_rng(0).normal(size=(200, WIDTH)).astype(np.float32)}
    calibration = Calibration(path, min_elements=16, scale_type=1)
    calibration.observe(feed)
    trial, = calibration.begin_trials(tmp_path / "trials.onnx", min_elements=16, scale_type=1)
    tried = run(session(tmp_path / "trials.onnx"), [feed], calibration.attempt(0, keep=True))
    calibration.quantize(tmp_path / "q.onnx", min_elements=16, scale_type=1)
    got = run(session(tmp_path / "q.onnx"), [feed])
    assert np.abs(got - tried).max() < 1e-5 * np.abs(tried).max() and 0 < trial.noise < 0.1


def test_costs_of_other_types(tmp_path):
    """A table is tried with 8 bits, but a budget may leave it 4, which cost it 24 dB more."""
    path = tmp_path / "m.onnx"
    save(path, [helper.make_node("Add", ["x", "p"], ["s"]), helper.make_node("MatMul", ["s", "w"], ["m"]),
                helper.make_node("Add", ["x", "m"], ["y"])], [info("x", dims=["n", WIDTH, WIDTH])],
         [value("p", WIDTH, WIDTH, seed=1, scale=6), value("w", WIDTH, WIDTH, seed=2, scale=0.04)])
    feed = {"x": np.random.default_rng(0).normal(size=(9, WIDTH, WIDTH)).astype(np.float32)}
    calibration = Calibration(path, min_elements=16)
    calibration.observe(feed)
    trials = calibration.begin_trials(tmp_path / "trials.onnx", min_elements=16)
    runner = session(tmp_path / "trials.onnx")
    wanted = run(runner, [feed])
    costs = [((run(runner, [feed], calibration.attempt(i)) - wanted) ** 2).sum() for i in range(2)]
    assert [t.name for t in trials] == [b"p", b"w"] and costs[0] < costs[1] < 150 * costs[0]
    for i, cost in enumerate(costs):
        calibration.weigh(i, cost)

    for i in range(2):
        types = {w["name"]: w["type"] for w in calibration.report(
            tmp_path / "q.onnx", min_elements=16, bits_per_weight=6.9)["weights"]}
        assert types == {"p": "int8", "w": "int4"}
        if i == 0:  # trials with other types do not change what the first ones cost
            calibration.begin_trials(tmp_path / "trials.onnx", min_elements=16, bits_per_weight=4.9)
            calibration.attempt(0)


def test_room_for_what_costs_nothing(tmp_path):
    """A weight that the outputs do not feel has bits last, but has them."""
    calibration, trials, _, _ = begin("stack", tmp_path)
    for i in range(len(trials)):
        calibration.attempt(i)
        calibration.weigh(i, 0 if i == 2 else 1)

    def types(bits):
        rows = calibration.report(tmp_path / "q.onnx", min_elements=16, bits_per_weight=bits)["weights"]
        return {row["name"]: row["type"][-1] for row in rows if row["quantized"]}

    name = trials[2].name.decode().removesuffix("_trial")
    assert types(8) == {n: "4" if n == name else "8" for n in types(8)} and set(types(9).values()) == {"8"}
