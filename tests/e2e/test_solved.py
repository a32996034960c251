"""Codes, biases and errors of calibrated weights, computed again with numpy from the rows that the
layer has seen: GPTQ as its paper writes it, with the inverse of H. Scales and zero points are those
of the file."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from calibration import Calibration, quantize

K, N, ROWS = 40, 150, 500  # more outputs than a tile has, and no more rows than a Conv looks at


def rows(seed, count=ROWS):
    """Correlated, of different sizes, with means; the last input never changes."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).normal(size=(K, K)) * np.exp(np.random.default_rng(98).normal(size=K))
    x = rng.normal(size=(count, K)) @ mix + 0.5
    x[:, -1] = 0.25
    return x.astype(np.float32)


LAYERS = {
    "MatMul": ("MatMul", (K, N), {}, lambda w: w.T),
    "MatMul and Add": ("MatMul", (K, N), {}, lambda w: w.T),
    "Gemm": ("Gemm", (N, K), {"transB": 1}, lambda w: w),
    "Conv": ("Conv", (N, K, 1), {}, lambda w: w[:, :, 0]),
}


def save(path, name, weight):
    op, _, attributes, _ = LAYERS[name]
    nodes = [helper.make_node(op, ["x", "w"], ["y"], **attributes)]
    initializers = [numpy_helper.from_array(weight, "w")]
    if "Add" in name:
        nodes = [helper.make_node(op, ["x", "w"], ["p"]), helper.make_node("Add", ["p", "b"], ["y"])]
        initializers.append(numpy_helper.from_array(np.arange(N, dtype=np.float32), "b"))
    dims = ["n", K, "s"] if op == "Conv" else ["n", K]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)


def feed(name, x):
    return {"x": x[:, :, None] if name == "Conv" else x}


def decoded(path, matrix):
    """(values, scales, zero points) of the codes in a file, as matrices of outputs by inputs."""
    model = onnx.load(path)
    values = {t.name: numpy_helper.to_array(t).astype(float) for t in model.graph.initializer}
    node = next(n for n in model.graph.node if n.op_type == "DequantizeLinear")
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    codes, scales = values[node.input[0]], values[node.input[1]]
    zeros = values[node.input[2]] if len(node.input) > 2 else np.zeros_like(scales)
    axis, block = attributes.get("axis", 1) % codes.ndim, attributes.get("block_size", 0)

    def wide(v):
        if block:
            return np.take(np.repeat(v, block, axis), np.arange(codes.shape[axis]), axis)
        shape = [1] * codes.ndim
        if v.size > 1:
            shape[axis] = -1
        return np.broadcast_to(v.reshape(shape), codes.shape)

    scales, zeros = wide(scales), wide(zeros)
    found = [matrix(v) if v.ndim == 3 else v for v in ((codes - zeros) * scales, scales, zeros)]
    return [v if v.shape == (N, K) else v.T for v in found], values


def single(a):
    return a.astype(np.float32).astype(float)


def moments(x, target=None):
    """(mean, covariance, E[target xT] - mean meanT), of the inputs."""
    x = x.astype(float)
    t = x if target is None else target.astype(float)
    covariance = single((x.T @ x) / len(x) - np.outer(x.mean(0), x.mean(0)))
    cross = single((t.T @ x) / len(x) - np.outer(t.mean(0), x.mean(0)))
    return single(x.mean(0)), covariance, cross, single(t.mean(0))


def damped(h):
    """H as docs/calibration.md says, for many rows, and the order of the inputs."""
    diagonal = np.maximum(np.diag(h), 0)
    damping = 0.01 * diagonal.mean()
    h = h.copy()
    np.fill_diagonal(h, np.where(diagonal > 0, diagonal + damping, diagonal.mean()))
    return h, np.argsort(-diagonal, kind="stable")


def gptq(w, h, order, scales, zeros):
    """The inverse of H, one input after the other."""
    left, out = w.copy(), np.empty_like(w)
    for step, now in enumerate(order):
        rest = order[step:]
        inverse = np.linalg.inv(h[np.ix_(rest, rest)])
        code = np.clip(np.rint(left[:, now] / scales[:, now]) + zeros[:, now], -8, 7)
        out[:, now] = (code - zeros[:, now]) * scales[:, now]
        error = (left[:, now] - out[:, now]) / inverse[0, 0]
        left[:, rest] -= np.outer(error, inverse[0])
    return out


def nearest(w, scales, zeros):
    return (np.clip(np.rint(w / scales) + zeros, -8, 7) - zeros) * scales


def check_codes(w, q, h, order, scales, zeros):
    """Every output is GPTQ's or has the nearest codes."""
    paper, plain = gptq(w, h, order, scales, zeros), nearest(w, scales, zeros)
    is_paper = np.isclose(q, paper, rtol=1e-6, atol=1e-9).all(1)
    is_plain = np.isclose(q, plain, rtol=1e-6, atol=1e-9).all(1)
    assert (is_paper | is_plain).all() and is_paper.mean() > 0.5


def bias_of(name, values, before):
    """What was added to the bias."""
    found = [v for n, v in values.items() if v.size == N and n not in ("w",) and v.ndim == 1 and "scale" not in n]
    return found[0] - before


@pytest.mark.parametrize("block", [0, 16])
@pytest.mark.parametrize("name", LAYERS)
def test_layer(tmp_path, name, block):
    _, shape, _, matrix = LAYERS[name]
    weight = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    path, out = tmp_path / "m.onnx", tmp_path / "q.onnx"
    save(path, name, weight)
    if block and name == "Conv":
        pytest.skip("blocks of a Conv have other axes")
    grid = {"granularity": "block", "block_size": block} if block else {"granularity": "channel"}
    made, x = Calibration(path, min_elements=16), [rows(s) for s in range(2)]
    for one in x:
        made.observe(feed(name, one))
    report = made.report(out, min_elements=16, **grid)
    (q, scales, zeros), values = decoded(out, matrix)
    w, x = matrix(weight).astype(float), np.concatenate(x)
    mean, covariance, _, _ = moments(x)
    corrected = name != "MatMul"
    h, order = damped(covariance if corrected else covariance + np.outer(mean, mean))
    check_codes(w, q, h, order, scales, zeros)
    error = x.astype(float) @ (w - q).T
    bias = error.mean(0) if corrected else np.zeros(N)
    if corrected:
        before = np.arange(N) if "Add" in name else 0
        size = np.abs(w) @ np.abs(mean)
        assert (np.abs(bias_of(name, values, before) - bias) <= 1e-6 * (size + np.abs(before))).all()
    want = 10 * np.log10(((x.astype(float) @ w.T) ** 2).mean(0).sum() / ((error - bias) ** 2).mean(0).sum())
    (row,) = [r for r in report["weights"] if r["name"] == "w"]
    assert abs(row["output_snr_db"] - want) < 1e-4


@pytest.mark.parametrize("name", ["MatMul", "MatMul and Add", "Gemm"])
def test_target(tmp_path, name):
    """Inputs have changed: W' = W + W (E[t xT] - H) (H + damping)^-1, then GPTQ."""
    _, shape, _, matrix = LAYERS[name]
    weight = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    path, out = tmp_path / "m.onnx", tmp_path / "q.onnx"
    save(path, name, weight)
    made = Calibration(path, min_elements=16)
    made.observe({"x": rows(0)})
    made.begin_trials(tmp_path / "trials.onnx", min_elements=16, granularity="channel")
    before = [rows(s) for s in range(2)]
    now = [t + 0.2 * np.random.default_rng(s).normal(size=t.shape).astype(np.float32) * t.std(0) + 0.1
           for s, t in enumerate(before)]
    for t, x in zip(before, now):
        x[:, -1] = 0.25
        made.observe_step(0, {"x": t}, {"x": x})
    made.attempt(0, keep=True)
    made.quantize(out, min_elements=16, granularity="channel")
    (q, scales, zeros), values = decoded(out, matrix)
    t, x, w = np.concatenate(before), np.concatenate(now), matrix(weight).astype(float)
    mean, covariance, cross, target = moments(x, t)
    corrected = name != "MatMul"
    plain = covariance if corrected else covariance + np.outer(mean, mean)
    cross = cross if corrected else cross + np.outer(target, mean)
    h, order = damped(plain)
    wanted = w + w @ (cross - plain) @ np.linalg.inv(h)
    check_codes(wanted, q, h, order, scales, zeros)
    if corrected:
        bias = w @ t.astype(float).mean(0) - q @ x.astype(float).mean(0)
        size = np.abs(w) @ np.abs(mean) + N
        assert (np.abs(bias_of(name, values, np.arange(N) if "Add" in name else 0) - bias) <= 1e-6 * size).all()


def solved(tmp_path, weight, **values):
    """(weight, what the codes stand for, their scales and zero points, H, the report's SNR)"""
    path, out = tmp_path / "m.onnx", tmp_path / "q.onnx"
    save(path, "MatMul", weight.T)
    made = Calibration(path, min_elements=16)
    made.observe({"x": rows(0)})
    (row,) = made.report(out, min_elements=16, **values)["weights"]
    mean, covariance, _, _ = moments(rows(0))
    found, _ = decoded(out, lambda w: w)
    return found, damped(covariance + np.outer(mean, mean))[0], row["output_snr_db"]


def test_zero_points(tmp_path):
    """They are stored anyway, so any may be used, unless all are to be the middle."""
    weight = (np.random.default_rng(1).normal(size=(N, K)) + 0.7).astype(np.float32)
    blocks = {"granularity": "block", "block_size": 8}
    (_, _, zeros), _, snr = solved(tmp_path, weight, **blocks)
    size = (tmp_path / "q.onnx").stat().st_size
    (_, _, middle), _, symmetric = solved(tmp_path, weight, symmetry=1, **blocks)
    assert len(np.unique(zeros)) > 4 and not middle.any() and snr > symmetric + 1
    quantize(tmp_path / "m.onnx", tmp_path / "q.onnx", min_elements=16, **blocks)
    assert (tmp_path / "q.onnx").stat().st_size == size


def test_scales_suit_codes(tmp_path):
    """No other scale of an output makes its error much less."""
    weight = np.random.default_rng(1).normal(size=(N, K)).astype(np.float32)
    (q, scales, _), h, _ = solved(tmp_path, weight, granularity="channel")
    codes, w = q / scales, weight.astype(float)
    best = ((codes @ h) * w).sum(1) / ((codes @ h) * codes).sum(1)
    error = [(((w - each) @ h) * (w - each)).sum() for each in (q, codes * best[:, None])]
    assert error[0] < 1.015 * error[1]


def test_threads(tmp_path):
    """Tiles of one weight are divided among threads where no other weights are there."""
    weight = np.random.default_rng(1).normal(size=(K, 700)).astype(np.float32)
    files = []
    for threads in (1, 2, 3):
        path = tmp_path / "m.onnx"
        save(path, "MatMul", weight)
        made = Calibration(path, min_elements=16, threads=threads)
        made.observe({"x": rows(0)})
        made.quantize(tmp_path / "q.onnx", min_elements=16, threads=threads)
        files.append((tmp_path / "q.onnx").read_bytes())
    assert files[0] == files[1] == files[2]
