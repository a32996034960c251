"""Files of statistics: what is in them, whether they add up, and which files are refused."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from calibration import Calibration, Failed, read_statistics

K, N = 24, 20


@pytest.fixture
def model(tmp_path):
    """A Conv with groups, and two MatMuls of one input."""
    rng = np.random.default_rng(0)
    value = lambda name, *dims: numpy_helper.from_array(rng.normal(size=dims).astype(np.float32), name)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "c"], ["h"], group=2), helper.make_node("Reshape", ["h", "s"], ["r"]),
         helper.make_node("MatMul", ["r", "q"], ["y"]), helper.make_node("MatMul", ["r", "k"], ["z"])],
        "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 9, 9])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in "yz"],
        [value("c", K, 2, 3, 3), value("q", K, N), value("k", K, N),
         numpy_helper.from_array(np.array([-1, K]), "s")])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def feed(seed):
    return {"x": np.random.default_rng(seed).normal(size=(2, 4, 9, 9)).astype(np.float32) + 0.5}


def observed(model, seeds, **options):
    made = Calibration(model, min_elements=1, **options)
    for seed in seeds:
        made.observe(feed(seed))
    return made


@pytest.fixture
def saved(model, tmp_path):
    path = tmp_path / "m.stats"
    observed(model, range(6)).save(path)
    return path


def test_contents(model, saved):
    sites, metadata = read_statistics(saved)
    assert len(sites) == 2 and metadata["runs"] == "6"
    (conv, rows) = sorted(sites.values(), key=lambda site: -len(site[1]))
    assert conv[0] == rows[0] == 6 * 2 * 49 and conv[1].shape == (2, 18) and rows[1].shape == (1, K)
    made = Calibration(model, min_elements=1)
    run = made.run(feed(0))
    one = observed(model, [0])
    one.save(saved)
    r = run["r"].astype(float)
    _, mean, covariance = min(read_statistics(saved)[0].values(), key=lambda site: len(site[1]))
    assert np.allclose(mean[0], r.mean(0), atol=1e-6)
    assert np.abs(covariance[0] - np.cov(r.T, bias=True)).max() <= 1e-6 * np.abs(np.cov(r.T)).max()


def test_round_trip(model, saved, tmp_path):
    """Statistics are saved, loaded and saved again. The numbers stay the same, and so do codes.
    Covariances are in float32."""
    made = Calibration(model, min_elements=1)
    made.load(saved)
    assert made.runs == 6
    made.save(tmp_path / "again.stats")
    for a, b in zip(read_statistics(tmp_path / "again.stats")[0].values(), read_statistics(saved)[0].values()):
        assert all(np.allclose(x, y, rtol=1e-12, atol=1e-14) for x, y in zip(a, b))
    observed(model, range(6)).quantize(tmp_path / "a.onnx", min_elements=1)
    made.quantize(tmp_path / "b.onnx", min_elements=1)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_size(saved):
    """Triangles are stored in float32."""
    header, data = split(saved)
    triangles = 2 * 18 * 19 // 2 + K * (K + 1) // 2
    assert len(data) == 4 * triangles + 8 * 2 * (2 * 18 + K) + 8 * 2
    assert {header[n]["dtype"] for n in header if n.endswith(".covariance")} == {"F32"}


def test_files_add_up(model, tmp_path):
    for i in range(3):
        observed(model, range(2 * i, 2 * i + 2)).save(tmp_path / f"{i}.stats")
    for order in ([0, 1, 2], [2, 0, 1]):
        made = Calibration(model, min_elements=1)
        for i in order:
            made.load(tmp_path / f"{i}.stats")
        assert made.runs == 6
        made.quantize(tmp_path / f"{order[0]}.onnx", min_elements=1)
    observed(model, range(6)).quantize(tmp_path / "all.onnx", min_elements=1)
    assert (tmp_path / "0.onnx").read_bytes() == (tmp_path / "2.onnx").read_bytes()
    assert (tmp_path / "0.onnx").read_bytes() == (tmp_path / "all.onnx").read_bytes()


def test_with_runs(model, saved):
    """A file and runs are combined."""
    made = observed(model, [6])
    made.load(saved)
    made.observe(feed(7))
    assert made.runs == 8


# ---- refused -------------------------------------------------------------------

def split(path):
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8:8 + length]), bytearray(raw[8 + length:])


def join(path, header, data):
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(data))


def refused(model, path, message):
    made = observed(model, [9])
    made.save(str(path) + ".before")
    with pytest.raises(Failed, match=message) as failed:
        made.load(path)
    assert path.name in str(failed.value)
    made.save(str(path) + ".after")
    assert open(str(path) + ".before", "rb").read() == open(str(path) + ".after", "rb").read()


def test_truncated(model, saved):
    raw = saved.read_bytes()
    for size in (0, 5, 8, 40, len(raw) // 2, len(raw) - 1):
        saved.write_bytes(raw[:size])
        refused(model, saved, "damaged|too short|ends too early")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(model, saved, value):
    header, data = split(saved)
    for name in header:
        if name != "__metadata__":
            at, width = header[name]["data_offsets"][0], 8 if header[name]["dtype"] == "F64" else 4
            broken = data.copy()
            broken[at:at + width] = np.array(value, f"<f{width}").tobytes()
            join(saved, header, broken)
            refused(model, saved, "holds NaN or infinity|has no rows")


def test_other_model(model, saved):
    proto = onnx.load(model)
    changed = numpy_helper.to_array(proto.graph.initializer[1]) + 1
    proto.graph.initializer[1].CopyFrom(numpy_helper.from_array(changed, "q"))
    onnx.save(proto, model)
    refused(model, saved, "statistics of another model")


def test_other_values(model, saved):
    """A single value that differs makes another model, wherever it is, and so does an attribute."""
    raw, rng = onnx.load(model).SerializeToString(), np.random.default_rng(1)
    for i in range(20):
        proto = onnx.load_from_string(raw)
        tensor = proto.graph.initializer[rng.integers(3)]
        changed = numpy_helper.to_array(tensor).copy()
        changed.flat[rng.integers(changed.size)] += 0.01
        tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))
        if i == 0:
            proto = onnx.load_from_string(raw)
            proto.graph.node[0].attribute.append(helper.make_attribute("pads", [0, 0, 0, 0]))
        onnx.save(proto, model)
        with pytest.raises(Failed, match="statistics of another model"):
            Calibration(model, min_elements=1).load(saved)


def test_other_file(model, saved):
    header, data = split(saved)
    del header["__metadata__"]
    join(saved, header, data)
    refused(model, saved, "no file of nibble's statistics")
    refused(model, model, "damaged or no file of statistics")


def test_other_shape(model, saved):
    header, data = split(saved)
    for name in list(header):
        if name.endswith(".mean"):
            broken = json.loads(json.dumps(header))
            broken[name]["shape"] = broken[name]["shape"][::-1] if broken[name]["shape"][0] > 1 else [2, K // 2]
            join(saved, broken, data)
            refused(model, saved, "do not fit|another shape")
        if name != "__metadata__":
            broken = dict(header)
            del broken[name]
            if not name.endswith(".mean"):
                join(saved, broken, data)
                refused(model, saved, "lacks a part")


def test_damaged(model, saved):
    """Loading any bytes ends, with an error or without one."""
    raw, rng = saved.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(raw)
        for at in rng.integers(0, 700, rng.integers(1, 4)):
            broken[at] = rng.choice(list(b'0123456789[]{}",:-.eE\0\xff'))
        saved.write_bytes(broken)
        try:
            Calibration(model, min_elements=1).load(saved)
        except Failed as failed:
            assert str(failed)


def test_no_file(model, tmp_path):
    with pytest.raises(Failed, match="nothing.stats"):
        Calibration(model).load(tmp_path / "nothing.stats")
    with pytest.raises(Failed, match="nowhere"):
        observed(model, [0]).save(tmp_path / "nowhere" / "x.stats")
