"""The moments of every operator's inputs. The oracle is ONNX Runtime: for y = W x, mean(y) = W
mean(x) and cov(y) = W cov(x) WT, over all places of the output. If W has as many outputs as
inputs, this leaves nothing open. States of recurrent operators are compared with numpy's."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from calibration import Calibration, read_statistics, session

TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float16): TensorProto.FLOAT16,
         np.dtype(np.float64): TensorProto.DOUBLE}


def save(path, nodes, inputs, weights, outputs=("y",), opset=17, extra=()):
    info = lambda name, value: helper.make_tensor_value_info(name, TYPES[value.dtype], [None] * value.ndim)
    kind = TYPES[next(iter(weights.values())).dtype]
    graph = helper.make_graph(nodes, "g", [info(n, v) for n, v in inputs.items()],
                              [helper.make_tensor_value_info(o, kind, None) for o in outputs],
                              [numpy_helper.from_array(v, n) for n, v in weights.items()] + list(extra))
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)


def observe(path, feeds, **options):
    made = Calibration(path, min_elements=1, **options)
    for feed in feeds:
        made.observe(feed)
    made.save(str(path) + ".stats")
    return read_statistics(str(path) + ".stats")[0]


def only(sites):
    assert len(sites) == 1
    return next(iter(sites.values()))


def close(a, b, tolerance=2e-4):
    assert a.shape == b.shape
    assert np.abs(a - b).max() <= tolerance * np.abs(b).max()


def check(path, feeds, matrix, channel, groups=1):
    """`matrix` is [groups, outputs, inputs]. `channel` is the axis of y with groups x outputs."""
    rows, mean, covariance = only(observe(path, feeds))
    runner = session(path)
    y = [np.moveaxis(runner.run(["y"], feed)[0].astype(float), channel, -1) for feed in feeds]
    y = np.concatenate([v.reshape(-1, groups, v.shape[-1] // groups) for v in y])
    assert rows == len(y)
    for g in range(groups):
        close(matrix[g] @ mean[g], y[:, g].mean(0))
        close(matrix[g] @ covariance[g] @ matrix[g].T, np.cov(y[:, g].T, bias=True).reshape(len(matrix[g]), -1))


def values(*dims, seed=0, dtype=np.float32):
    return (np.random.default_rng(seed).normal(size=dims) + 0.3).astype(dtype)


# ---- matrices ----------------------------------------------------------------

MATRICES = {
    "MatMul": (("MatMul", {}), [5, 7, 12], [12, 14], lambda w: w.T[None], -1),
    "MatMul, a vector": (("MatMul", {}), [12], [12, 14], lambda w: w.T[None], -1),
    "MatMul, rank 2": (("MatMul", {}), [9, 12], [12, 14], lambda w: w.T[None], -1),
    "MatMul, from the left": (("MatMul", {}), [12, 9], [14, 12], lambda w: w[None], 0),
    "MatMul, from the left, batch": (("MatMul", {}), [3, 12, 9], [14, 12], lambda w: w[None], 1),
    "Gemm": (("Gemm", {}), [9, 12], [12, 14], lambda w: w.T[None], -1),
    "Gemm, transB": (("Gemm", {"transB": 1}), [9, 12], [14, 12], lambda w: w[None], -1),
    "Gemm, transA": (("Gemm", {"transA": 1}), [12, 9], [12, 14], lambda w: w.T[None], -1),
    "Gemm, from the left": (("Gemm", {}), [12, 9], [14, 12], lambda w: w[None], 0),
    "Gemm, from the left, both": (("Gemm", {"transA": 1, "transB": 1}), [9, 12], [12, 14], lambda w: w.T[None], 0),
    "Einsum": (("Einsum", {"equation": "bsk, kn -> bsn"}), [3, 5, 12], [12, 14], lambda w: w.T[None], -1),
    "Einsum, middle": (("Einsum", {"equation": "bks,nk->bns"}), [3, 12, 5], [14, 12], lambda w: w[None], 1),
}


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matrices(tmp_path, name, dtype):
    (op, attributes), x, w, matrix, channel = MATRICES[name]
    if dtype == np.float64 and op == "Einsum":
        pytest.skip("the same rows")
    weight = values(*w, dtype=dtype)
    order = ["w", "x"] if "left" in name else ["x", "w"]
    path = tmp_path / "m.onnx"
    save(path, [helper.make_node(op, order, ["y"], **attributes)], {"x": values(*x, dtype=dtype)}, {"w": weight})
    check(path, [{"x": values(*x, seed=s, dtype=dtype)} for s in range(3 if len(x) > 1 else 40)], matrix(weight), channel)


def test_transposed(tmp_path):
    """Behind a Transpose."""
    weight, path = values(14, 12), tmp_path / "m.onnx"
    save(path, [helper.make_node("Transpose", ["w"], ["t"]), helper.make_node("MatMul", ["x", "t"], ["y"])],
         {"x": values(9, 12)}, {"w": weight})
    check(path, [{"x": values(9, 12, seed=s)} for s in range(3)], weight[None], -1)


@pytest.mark.parametrize("shared", [False, True])
def test_batched(tmp_path, shared):
    """Each matrix of the batch has a weight. Other weights share the inputs of all."""
    weight, path = values(4, 12, 14), tmp_path / "m.onnx"
    dims = [9, 12] if shared else [4, 9, 12]
    save(path, [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": values(*dims)}, {"w": weight})
    feeds = [{"x": values(*dims, seed=s)} for s in range(3)]
    rows, mean, covariance = only(observe(path, feeds))
    for g in range(4):
        x = np.concatenate([f["x"] if shared else f["x"][g] for f in feeds]).astype(float)
        assert rows == len(x)
        close(mean[g], x.mean(0))
        close(covariance[g], np.cov(x.T, bias=True))


def test_shared(tmp_path):
    """Weights with the same input share a site. A tensor that is an output already is not added
    again."""
    path = tmp_path / "m.onnx"
    save(path, [helper.make_node("Relu", ["x"], ["r"])] +
         [helper.make_node("MatMul", ["r", w], [y]) for w, y in (("q", "y"), ("k", "z"), ("v", "u"))],
         {"x": values(9, 12)}, {w: values(12, 14, seed=i) for i, w in enumerate("qkv")}, ("y", "z", "u", "r"))
    assert len(observe(path, [{"x": values(9, 12)}])) == 1
    made = Calibration(path, min_elements=1)
    assert made.tensors == ["r"]
    assert len(onnx.load(made.instrumented()).graph.output) == 4


# ---- convolutions --------------------------------------------------------------

def conv_matrix(weight, groups):
    return weight.reshape(groups, len(weight) // groups, -1)


CONVS = {
    "plain": ([2, 3, 9, 8], [27, 3, 3, 3], 1, {}),
    "strides and pads": ([2, 3, 9, 8], [27, 3, 3, 3], 1, {"strides": [2, 3], "pads": [1, 0, 2, 1]}),
    "dilations": ([2, 3, 9, 11], [27, 3, 3, 3], 1, {"dilations": [2, 3], "pads": [1, 3, 1, 0]}),
    "groups": ([2, 6, 9, 8], [54, 2, 3, 3], 3, {"group": 3, "pads": [1, 1, 1, 1]}),
    "depthwise": ([2, 5, 9, 8], [50, 1, 3, 3], 5, {"group": 5}),
    "same upper": ([2, 3, 9, 8], [18, 3, 2, 3], 1, {"auto_pad": "SAME_UPPER", "strides": [2, 1]}),
    "same lower": ([2, 3, 9, 8], [18, 3, 2, 3], 1, {"auto_pad": "SAME_LOWER", "strides": [2, 3]}),
    "valid": ([2, 3, 9, 8], [18, 3, 2, 3], 1, {"auto_pad": "VALID"}),
    "1-D": ([3, 4, 40], [20, 4, 5], 1, {"pads": [4, 0], "strides": [2]}),
    "3-D": ([2, 2, 5, 6, 4], [24, 2, 2, 3, 2], 1, {"pads": [0, 1, 1, 1, 0, 0]}),
    "1 x 1": ([2, 12, 7, 8], [14, 12, 1, 1], 1, {}),
    "cropped by negative pads": ([2, 3, 9, 8], [27, 3, 3, 3], 1, {"pads": [-1, 0, 0, -1]}),
}


@pytest.mark.parametrize("name", CONVS)
def test_conv(tmp_path, name):
    x, w, groups, attributes = CONVS[name]
    weight, path = values(*w), tmp_path / "m.onnx"
    save(path, [helper.make_node("Conv", ["x", "w"], ["y"], **attributes)], {"x": values(*x)}, {"w": weight})
    try:
        session(path).run(None, {"x": values(*x)})
    except Exception:
        pytest.skip("ONNX Runtime does not take it")
    check(path, [{"x": values(*x, seed=s)} for s in range(3)], conv_matrix(weight, groups), 1, groups)


TRANSPOSES = {
    "plain": ([2, 4, 6, 5], [4, 40, 3, 3], 1, {}),
    "strides, pads, output_padding": ([2, 4, 6, 5], [4, 40, 3, 3], 1,
                                      {"strides": [2, 3], "pads": [1, 0, 0, 2], "output_padding": [1, 2]}),
    "dilations": ([2, 4, 6, 5], [4, 40, 3, 3], 1, {"dilations": [2, 1]}),
    "output_shape": ([2, 4, 6, 5], [4, 40, 3, 3], 1, {"strides": [2, 2], "output_shape": [12, 9]}),
    "same upper": ([2, 4, 6, 5], [4, 40, 3, 3], 1, {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    "1-D": ([3, 4, 20], [4, 24, 6], 1, {"strides": [3], "pads": [1, 2]}),
    "depthwise": ([2, 5, 6, 5], [5, 1, 3, 3], 5, {"group": 5, "strides": [2, 2]}),
}


@pytest.mark.parametrize("name", TRANSPOSES)
def test_conv_transpose(tmp_path, name):
    x, w, groups, attributes = TRANSPOSES[name]
    weight, path = values(*w), tmp_path / "m.onnx"
    save(path, [helper.make_node("ConvTranspose", ["x", "w"], ["y"], **attributes)], {"x": values(*x)}, {"w": weight})
    matrix = weight.reshape(groups, w[0] // groups, w[1], -1).transpose(0, 2, 1, 3).reshape(groups, w[1], -1)
    feeds = [{"x": values(*x, seed=s)} for s in range(2)]
    size = session(path).run(None, feeds[0])[0]
    assert size[:, 0].size <= 512, "places would be sampled"
    check(path, feeds, matrix, 1, groups)


def test_sampled(tmp_path):
    """512 places of a large image are observed. They are the same whatever came before, and
    close enough to all places."""
    weight, path = values(32, 3, 3, 3), tmp_path / "m.onnx"
    save(path, [helper.make_node("Conv", ["x", "w"], ["y"])], {"x": values(1, 3, 64, 64)}, {"w": weight})
    feeds = [{"x": values(1, 3, 64, 64, seed=s)} for s in range(4)]
    rows, mean, covariance = only(observe(path, feeds))
    assert rows == 4 * 512
    again = only(observe(path, feeds[::-1]))
    close(again[1], mean, 1e-6)
    close(again[2], covariance, 1e-6)
    assert np.abs(mean - 0.3).max() < 0.15 and np.abs(covariance[0] - np.eye(27)).max() < 0.2


@pytest.mark.parametrize("batch, places", [(16, 512), (17, 1024), (40, 1536), (300, 2048)])
def test_sampled_batches(tmp_path, batch, places):
    """More inputs in a run, more places of it."""
    path, x = tmp_path / "m.onnx", values(batch, 3, 20, 20)
    save(path, [helper.make_node("Conv", ["x", "w"], ["y"])], {"x": x}, {"w": values(32, 3, 3, 3)})
    rows, mean, _ = only(observe(path, [{"x": x}]))
    assert rows == places
    assert np.abs(mean - x.mean()).max() < 6 * x.std() / places**0.5


# ---- recurrent -----------------------------------------------------------------

@pytest.mark.parametrize("op, gates", [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("initial, asked", [(False, True), (True, True), (True, False)])
def test_recurrent(tmp_path, op, gates, direction, initial, asked):
    steps, batch, size, hidden = 7, 3, 10, 8
    ways, path = 2 if direction == "bidirectional" else 1, tmp_path / "m.onnx"
    inputs = {"x": values(steps, batch, size)}
    if initial:
        inputs["h"] = values(ways, batch, hidden, seed=7)
    node = helper.make_node(op, ["x", "w", "r"] + (["", "", "h"] if initial else []), ["Y" if asked else "", "y"],
                            direction=direction, hidden_size=hidden)
    weights = {"w": values(ways, gates * hidden, size) * 0.2, "r": values(ways, gates * hidden, hidden, seed=1) * 0.2}
    weights = {n: v.astype(np.float32) for n, v in weights.items()}
    save(path, [node], inputs, weights, ("Y", "y") if asked else ("y",))
    feeds = [{n: values(*v.shape, seed=s) for n, v in inputs.items()} for s in range(4)]
    sites = observe(path, feeds)
    state = next(v for k, v in sites.items() if " state" in k)
    x = next(v for k, v in sites.items() if " rows" in k)
    seen = [[] for _ in range(ways)]
    full = tmp_path / "full.onnx"
    node.output[0] = "Y"
    save(full, [node], inputs, weights, ("Y",))
    for feed in feeds:
        y = session(full).run(["Y"], feed)[0]
        for w in range(ways):
            first = feed["h"][w] if initial else np.zeros((batch, hidden))
            back = direction == "reverse" or w == 1
            seen[w].append(np.concatenate([y[1:, w], [first]] if back else [[first], y[:-1, w]]).reshape(-1, hidden))
    for w in range(ways):
        h, v = np.concatenate(seen[w]).astype(float), np.concatenate([f["x"] for f in feeds]).reshape(-1, size)
        assert state[0] == x[0] == len(h)
        close(state[1][w], h.mean(0))
        close(state[2][w], np.cov(h.T, bias=True))
        close(x[1][w], v.mean(0))
        close(x[2][w], np.cov(v.T, bias=True))


# ---- bodies --------------------------------------------------------------------

def body(name, nodes, outputs, inputs=(), weights=()):
    return helper.make_graph(nodes, name, list(inputs),
                             [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs],
                             [numpy_helper.from_array(v, n) for n, v in weights])


def test_if(tmp_path):
    """The input comes from outside of the branch. It counts only if the branch is taken."""
    path = tmp_path / "m.onnx"
    then = body("then", [helper.make_node("MatMul", ["x", "a"], ["t"])], ["t"], weights=[("a", values(12, 14))])
    other = body("else", [helper.make_node("Relu", ["x"], ["s"]), helper.make_node("MatMul", ["s", "b"], ["e"])], ["e"],
                 weights=[("b", values(12, 14, seed=1))])
    node = helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("c", TensorProto.BOOL, []),
                                            helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 12])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    feeds = [{"c": np.array(s % 3 == 0), "x": values(9, 12, seed=s)} for s in range(6)]
    sites = observe(path, feeds)
    assert len(sites) == 2
    for key, (rows, mean, covariance) in sites.items():
        taken = "then" in key
        x = np.concatenate([f["x"] for f in feeds if f["c"] == taken])
        x = x if taken else np.maximum(x, 0)
        assert rows == len(x)
        close(mean[0], x.mean(0))
        close(covariance[0], np.cov(x.T, bias=True))


def test_loop(tmp_path):
    """All iterations count."""
    path = tmp_path / "m.onnx"
    info = helper.make_tensor_value_info
    inside = helper.make_graph(
        [helper.make_node("MatMul", ["h", "w"], ["m"]), helper.make_node("Tanh", ["m"], ["n"]),
         helper.make_node("Identity", ["on"], ["go"])], "body",
        [info("i", TensorProto.INT64, []), info("on", TensorProto.BOOL, []), info("h", TensorProto.FLOAT, None)],
        [info("go", TensorProto.BOOL, []), info("n", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values(12, 12), "w")])
    node = helper.make_node("Loop", ["count", "", "x"], ["y"], body=inside)
    graph = helper.make_graph([node], "g", [info("x", TensorProto.FLOAT, [None, 12])],
                              [info("y", TensorProto.FLOAT, None)], [numpy_helper.from_array(np.array(4), "count")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    rows, mean, covariance = only(observe(path, [{"x": values(9, 12)}]))
    h, seen = values(9, 12), []
    for _ in range(4):
        seen.append(h)
        h = np.tanh(h @ values(12, 12))
    seen = np.concatenate(seen).astype(float)
    assert rows == len(seen)
    close(mean[0], seen.mean(0))
    close(covariance[0], np.cov(seen.T, bias=True))
