"""quantize with data: the result is better on inputs that it has not seen, statistics can
be kept, `until` finds the fewest bits, and nothing is left behind."""

import dataclasses
import json
import math
import os
import subprocess
import sys
import warnings

import numpy as np
import onnx
import pytest

import nibble
from conftest import ROOT, chain, normal
from nibble import _calibration, _trials
from nibble._calibration import Goal, goals
from nibble.metrics import OutputError, OutputMeter

pytest.importorskip("onnxruntime")


def runs(count=20, rows=32):
    """Inputs in few directions, as activations are: 12 of 64, and some noise."""
    directions = normal(12, 64, seed=99)
    return [
        {"x": normal(rows, 12, seed=100 + i) @ directions + 0.05 * normal(rows, 64, seed=i)}
        for i in range(count)
    ]


@pytest.fixture(autouse=True, scope="module")
def need_algebra(tmp_path_factory):
    """Says loudly where the library can't calibrate."""
    path = tmp_path_factory.mktemp("probe") / "m.onnx"
    onnx.save(chain({"a": normal(64, 64)}), path)
    try:
        nibble.quantize(path, path.with_name("q.onnx"), data=runs(2))
    except nibble.UnsupportedModelError as error:
        pytest.skip(str(error))


def snr(path, quantized):
    fresh = [{"x": run["x"]} for run in runs(60)[40:]]
    return nibble.compare(path, quantized, data=fresh, latency=False).snr_db


def test_better_on_unseen_inputs(path, tmp_path):
    plain, calibrated = tmp_path / "plain.onnx", tmp_path / "calibrated.onnx"
    nibble.quantize(path, plain)
    report = nibble.quantize(path, calibrated, data=runs())
    assert snr(path, calibrated) > snr(path, plain) + 2
    assert report.calibration_runs == 16 and report.held_out_runs == 4
    assert report.output == str(calibrated) and report.bytes_after == calibrated.stat().st_size
    assert {w.calibrated for w in report.weights if w.quantized} == {True}
    (output,) = report.outputs
    assert output.name == "h2" and f"{output.snr_db:.1f} dB" in str(report)
    assert ".work-" not in report.text + report.json
    assert math.isnan(report.estimated_snr_db) and report.notes == ()
    found = json.loads(report.json)
    assert found["calibration_runs"] == 16 and found["held_out_runs"] == 4
    assert found["notes"] == [] and found["outputs"][0]["snr_db"] == output.snr_db
    assert found["estimated_snr_db"] is None and found["reached"] is None
    assert sorted(os.listdir(tmp_path)) == ["calibrated.onnx", "model.onnx", "plain.onnx"]


def test_corrected_biases_are_stored_as_float16_too(tmp_path):
    """Of a MatMul with an Add, and of a Gemm without a bias."""
    helper = onnx.helper
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["m"]),
        helper.make_node("Add", ["m", "bias"], ["s"]),
        helper.make_node("Gemm", ["s", "b"], ["y"]),
    ]
    made = chain({"a": normal(64, 128), "b": normal(128, 256, seed=1)})
    del made.graph.node[:], made.graph.output[:]
    made.graph.node.extend(nodes)
    made.graph.output.append(helper.make_tensor_value_info("y", 1, ["n", 256]))
    made.graph.initializer.append(onnx.numpy_helper.from_array(normal(128) + 3, "bias"))
    path, out = tmp_path / "model.onnx", tmp_path / "out.onnx"
    onnx.save(made, path)
    report = nibble.quantize(path, out, data=runs(), float16=True)
    assert report.stored_float16 == 1 and report.bytes_after == out.stat().st_size
    tensors = {t.name: t for t in onnx.load(out).graph.initializer}
    assert tensors["bias_corrected_float16"].data_type == onnx.TensorProto.FLOAT16
    assert tensors["b_bias_float16"].data_type == onnx.TensorProto.FLOAT16
    assert not [t.name for t in tensors.values() if t.data_type == onnx.TensorProto.FLOAT]
    assert snr(path, out) > 20


@pytest.mark.parametrize("options", [{}, {"bits_per_weight": 5}, {"until": "snr>=15"}])
def test_models_that_compute_in_float16(path, tmp_path, options):
    """What was observed in float32 holds for the converted model."""
    half, single = tmp_path / "half.onnx", tmp_path / "single.onnx"
    report = nibble.quantize(path, half, data=runs(), compute="float16", **options)
    nibble.quantize(path, single, data=runs(), **options)
    assert report.float16_nodes > 0 and report.outputs[0].snr_db > 10
    assert snr(path, half) > snr(path, single) - 1
    assert not [
        t.name
        for t in onnx.load(half).graph.initializer
        if t.data_type == onnx.TensorProto.FLOAT
    ]


def test_data_that_misleads(path, tmp_path, monkeypatch):
    """What the held-out runs like less is not kept: the result is that without data."""
    plain = tmp_path / "plain.onnx"
    nibble.quantize(path, plain)
    good = _calibration.Candidate.quality
    monkeypatch.setattr(
        _calibration.Candidate, "quality", lambda c: -good(c) if c.is_calibrated else good(c)
    )
    report = nibble.quantize(path, tmp_path / "out.onnx", data=runs())
    assert json.loads(report.json)["estimated_snr_db"] is None
    assert report.calibration_runs == 0 and "made no better" in str(report)
    assert (tmp_path / "out.onnx").read_bytes() == plain.read_bytes()


def test_one_run_that_misleads(path, tmp_path, monkeypatch):
    """One run is all that there is to measure with. It guards, too."""
    plain = tmp_path / "plain.onnx"
    nibble.quantize(path, plain)
    good = _calibration.Candidate.quality
    monkeypatch.setattr(
        _calibration.Candidate, "quality", lambda c: -good(c) if c.is_calibrated else good(c)
    )
    report = nibble.quantize(path, tmp_path / "out.onnx", data=runs(1))
    assert report.calibration_runs == 0
    assert (tmp_path / "out.onnx").read_bytes() == plain.read_bytes()


def test_a_low_snr_leads_to_a_warning(tmp_path):
    """It says what the data showed, and what helps. Also where the answers are right, an
    SNR may be low: that is no reason to warn."""
    path, out = tmp_path / "m.onnx", tmp_path / "q.onnx"
    onnx.save(chain({f"w{i}": normal(64, 64, seed=i) / 8 for i in range(30)}), path)
    noise = [{"x": normal(32, 64, seed=i)} for i in range(20)]
    with pytest.warns(nibble.NibbleWarning, match="likely to ruin") as caught:
        report = nibble.quantize(path, out, data=noise)
    (note,) = report.notes
    assert [str(warning.message) for warning in caught] == [note]
    assert f"an SNR of {report.outputs[0].snr_db:.0f} dB on runs held out" in note
    assert "--bits-per-weight 5" in note and note in str(report)
    assert json.loads(report.json)["notes"] == [note]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert nibble.quantize(path, out, data=noise, type="int8").notes == ()
        assert nibble.quantize(path, out, data=noise, until="snr>=1").notes == ()
    for top1, warns in ((0.95, False), (0.94, True)):
        row = dataclasses.replace(report.outputs[0], top1=top1)
        warning = dataclasses.replace(report, outputs=(row,))._snr_warning()
        assert (warning is not None) == warns


def test_statistics(path, tmp_path):
    one, two = tmp_path / "one.onnx", tmp_path / "two.onnx"
    nibble.quantize(path, one, data=runs(), save_stats=tmp_path / "s.safetensors")
    report = nibble.quantize(path, two, stats=tmp_path / "s.safetensors")
    assert one.read_bytes() == two.read_bytes()
    assert report.calibration_runs == 16 and report.outputs == ()
    nibble.quantize(path, one, stats=[tmp_path / "s.safetensors"], bits_per_weight=5)
    (tmp_path / "bad").write_bytes(b"x" * 100)
    with pytest.raises(nibble.MalformedModelError):
        nibble.quantize(path, one, stats=tmp_path / "bad")


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_statistics_replace_no_file_of_the_run(path, tmp_path):
    """By whatever name."""
    onnx.save(
        onnx.load(path), tmp_path / "m.onnx", save_as_external_data=True, location="m.bin"
    )
    (tmp_path / "out.onnx").write_bytes(b"old")
    os.link(tmp_path / "m.bin", tmp_path / "hard")
    (tmp_path / "soft").symlink_to("out.onnx")
    (tmp_path / "later").symlink_to("new.onnx")
    before = files_of(tmp_path)
    for name, output in [("m.onnx", "out.onnx"), ("m.bin", "out.onnx"), ("hard", "out.onnx"),
                         ("out.onnx", "out.onnx"), ("soft", "out.onnx"),
                         ("later", "new.onnx")]:  # fmt: skip
        with pytest.raises(nibble.OptionError, match="would replace"):
            nibble.quantize(
                tmp_path / "m.onnx", tmp_path / output, data=runs(3), save_stats=tmp_path / name
            )
        assert files_of(tmp_path) == before


def test_verify(path, tmp_path):
    for options in [{}, {"external_data": True}, {"bits_per_weight": 5}, {"type": "uint4"}]:
        nibble.quantize(path, tmp_path / "q.onnx", data=runs(), verify=True, **options)


def test_one_commit(path, tmp_path):
    """The output is published as without data: a link stays, the old data file goes, and so
    does what a killed process left."""
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real/q.onnx", tmp_path / "real/link.onnx"
    nibble.quantize(path, target, external_data=True)
    link.symlink_to("q.onnx")
    left = tmp_path / "real/.q.onnx.work-abc"
    left.mkdir()
    (left / "q.onnx").write_bytes(b"part")
    for _ in range(2):
        nibble.quantize(path, link, data=runs(), external_data=True)
        assert link.is_symlink() and target.stat().st_mode & 0o777 == 0o644
        names = sorted(os.listdir(tmp_path / "real"))
        assert len(names) == 3 and names[:2] == ["link.onnx", "q.onnx"]
        onnx.load(target)
    nibble.quantize(path, target, data=runs())
    assert sorted(os.listdir(tmp_path / "real")) == ["link.onnx", "q.onnx"]


def test_output_in_place_of_external_data(path, tmp_path):
    onnx.save(
        onnx.load(path), tmp_path / "m.onnx", save_as_external_data=True, location="m.bin"
    )
    before = files_of(tmp_path)
    with pytest.raises(nibble.NibbleError, match="is the input itself"):
        nibble.quantize(tmp_path / "m.onnx", tmp_path / "m.bin", data=runs(3))
    assert files_of(tmp_path) == before
    assert len(os.listdir(tmp_path)) == len(before)


def test_objects(model, tmp_path):
    quantized, report = nibble.quantize(model, data=runs(), return_report=True)
    assert isinstance(quantized, onnx.ModelProto) and report.calibration_runs == 16
    assert "nibble-" not in report.text


def test_external_data(path, tmp_path):
    out = tmp_path / "out.onnx"
    report = nibble.quantize(path, out, data=runs(), external_data=True)
    data = list(tmp_path.glob("out.onnx.*.data"))
    assert out.exists() and len(data) == 1
    assert report.calibration_runs == 16 and snr(path, out) > 10


# ---- trials -----------------------------------------------------------------------------


@pytest.fixture
def uneven(tmp_path):
    """y = x a + (x b) / 100: b is hard to quantize, and hardly matters."""
    b = normal(64, 64, seed=8) ** 3
    graph = onnx.parser.parse_graph(
        "g (float[n, 64] x) => (float[n, 64] y) {"
        " l = MatMul(x, a) m = MatMul(x, b) s = Mul(m, c) y = Add(l, s) }"
    )
    values = {"a": normal(64, 64, seed=7), "b": b, "c": np.float32(0.01)}
    graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(v), n) for n, v in values.items()
    )
    opset = [onnx.helper.make_opsetid("", 21)]
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=opset, ir_version=10),
        tmp_path / "model.onnx",
    )
    return tmp_path / "model.onnx"


@pytest.fixture
def qualities(monkeypatch):
    """Of all candidates that are made."""
    found = []
    make = _calibration.Driver._candidate

    def spy(self, *arguments):
        candidate = make(self, *arguments)
        found.append(candidate.quality())
        return candidate

    monkeypatch.setattr(_calibration.Driver, "_candidate", spy)
    return found


def test_choice_by_output(uneven, tmp_path, monkeypatch, qualities):
    report = nibble.quantize(uneven, tmp_path / "q.onnx", data=runs(), bits_per_weight=6.8)
    types = {w.name: w.type for w in report.weights if w.name in "ab"}
    assert types == {"a": "int8", "b": "int4"} and report.notes == ()
    assert len(qualities) == 4 and report.outputs[0].snr_db == max(qualities)
    fresh = snr(uneven, tmp_path / "q.onnx")
    monkeypatch.setattr(_calibration, "SHARES", (0.0,))
    nibble.quantize(uneven, tmp_path / "q.onnx", data=runs(), bits_per_weight=6.8)
    assert fresh > snr(uneven, tmp_path / "q.onnx") + 6


@pytest.mark.parametrize("options", [{"bits_per_weight": 6.8}, {"sequential": True}], ids=str)
def test_a_weight_that_stays_float(uneven, tmp_path, options):
    """A row that holds NaN, and is never looked up, is no reason to try no weight at all."""
    model = onnx.load(uneven)
    table = normal(64, 64, seed=9)
    table[60:] = np.nan
    model.graph.initializer.append(onnx.numpy_helper.from_array(table, "e"))
    model.graph.input.append(
        onnx.helper.make_tensor_value_info("i", onnx.TensorProto.INT64, ["n"])
    )
    model.graph.node[-1].output[0] = "t"
    model.graph.node.append(onnx.helper.make_node("Gather", ["e", "i"], ["r"]))
    model.graph.node.append(onnx.helper.make_node("Add", ["t", "r"], ["y"]))
    onnx.save(model, uneven)
    feeds = [{**run, "i": np.arange(32)} for run in runs()]
    report = nibble.quantize(uneven, tmp_path / "q.onnx", data=feeds, **options)
    assert {w.name for w in report.weights if w.quantized} == {"a", "b"}
    assert not any("layer by layer:" in note or "without" in note for note in report.notes)


FUNCTION = """<ir_version: 10, opset_import: ["": 21, "own": 1]>
g (float[n, 64] x) => (float[n, 64] y) { h = MatMul(x, a) y = own.dense(h, b) }
<domain: "own", opset_import: ["": 21]> dense (x, w) => (y) { y = MatMul(x, w) }"""


def test_weights_that_data_do_not_reach(tmp_path):
    model = onnx.parser.parse_model(FUNCTION)
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(normal(64, 64, seed=i), name)
        for i, name in enumerate("ab")
    )
    onnx.save(model, tmp_path / "m.onnx")
    report = nibble.quantize(tmp_path / "m.onnx", tmp_path / "q.onnx", data=runs())
    assert {w.name: w.calibrated for w in report.weights} == {"a": True, "b": False}
    (note,) = report.notes
    assert "1 of 2 weights, with 50% of the values" in note and note.endswith(": b")


@pytest.mark.parametrize(("name", "most"), [("RUNS", 5), ("VALUES", 5 * 32 * 64)])
def test_fewer_runs(uneven, tmp_path, monkeypatch, name, most):
    """Trials of many weights, or of large inputs, take fewer runs of each, and the choice
    is still by output."""
    totals = []
    monkeypatch.setattr(_trials, name, most)
    report = nibble.quantize(
        uneven,
        tmp_path / "q.onnx",
        data=runs(),
        bits_per_weight=6.8,
        progress=lambda _, total: totals.append(total),
    )
    assert 2 * _trials.LEAST_SAMPLES in totals and 2 * _trials.SAMPLES not in totals
    assert {w.name: w.type for w in report.weights if w.name in "ab"} == {
        "a": "int8",
        "b": "int4",
    }


def test_costs_are_measured_on_runs_held_out(uneven, tmp_path, monkeypatch):
    """Each weight in each of these, after one run that says how large they are. Choices
    that lead to the same model are measured once."""
    fed, measured = [], []

    class Watched(_trials.Trials):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            run = self.session.run
            self.session.run = lambda feed, names: fed.append(feed) or run(feed, names)

    measure = _calibration.measure
    monkeypatch.setattr(_calibration, "Trials", Watched)
    monkeypatch.setattr(
        _calibration, "measure", lambda *a, **k: measured.append(a) or measure(*a, **k)
    )
    data = runs()
    nibble.quantize(uneven, tmp_path / "q.onnx", data=data, bits_per_weight=9)
    held = {id(feed["x"]) for feed in data[4::5]}
    assert fed and {id(feed["x"]) for feed in fed} == held
    assert len(measured) == 2  # all weights have 8 bits: with data, and without


def test_no_trials(path, tmp_path, monkeypatch):
    """The report says why types were chosen without the outputs."""
    monkeypatch.setattr(_trials, "MOST_WEIGHTS", 1)
    report = nibble.quantize(path, tmp_path / "q.onnx", data=runs(), bits_per_weight=5)
    assert json.loads(report.json)["notes"] == list(report.notes)
    assert "without the model's outputs" in report.notes[0] and report.notes[0] in str(report)
    assert report.calibration_runs == 16


@pytest.fixture
def deep(tmp_path):
    """Errors of the layers add up."""
    weights = {name: normal(64, 64, seed=i) / 8 for i, name in enumerate("abcde")}
    onnx.save(chain(weights), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


@pytest.mark.parametrize("options", [{}, {"bits_per_weight": 4.6}], ids=str)
def test_sequential(deep, tmp_path, options, qualities):
    many = runs(120)
    plain = nibble.quantize(deep, tmp_path / "plain.onnx", data=many, **options)
    assert plain.outputs[0].snr_db == max(qualities)
    report = nibble.quantize(deep, tmp_path / "out.onnx", data=many, sequential=True, **options)
    assert report.outputs[0].snr_db == max(qualities) > plain.outputs[0].snr_db + 1
    assert report.weight_bytes_after == plain.weight_bytes_after and report.notes == ()
    assert sorted(os.listdir(tmp_path)) == ["model.onnx", "out.onnx", "plain.onnx"]


def test_sequential_that_misleads(deep, tmp_path, monkeypatch, qualities):
    """What the held-out runs like less is not kept, nor does it reach later budgets."""
    plain = nibble.quantize(deep, tmp_path / "a.onnx", data=runs(), until="snr>=30")
    without = list(qualities)
    qualities.clear()
    monkeypatch.setattr(_trials, "_those", lambda names, feed, _: {n: feed["x"] for n in names})
    report = nibble.quantize(
        deep, tmp_path / "b.onnx", data=runs(), until="snr>=30", sequential=True
    )
    assert "no better" in report.notes[0]
    assert min(qualities) < min(without) - 3
    assert report.outputs == plain.outputs
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_sequential_that_fails(deep, tmp_path, monkeypatch):
    monkeypatch.setattr(_trials, "_those", lambda *_: {})
    nibble.quantize(deep, tmp_path / "a.onnx", data=runs())
    report = nibble.quantize(deep, tmp_path / "b.onnx", data=runs(), sequential=True)
    assert "not quantized layer by layer" in str(report)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.parametrize("ir", [3, 10])
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_types(tmp_path, dtype, ir):
    model = chain({"a": normal(64, 64).astype(dtype), "b": normal(64, 64).astype(dtype)}, ir=ir)
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.elem_type = kind
    if ir == 3:
        del model.opset_import[:]
        model.opset_import.append(onnx.helper.make_opsetid("", 8))
        for tensor in model.graph.initializer:
            info = onnx.helper.make_tensor_value_info(tensor.name, kind, tensor.dims)
            model.graph.input.append(info)
    data = [{"x": run["x"].astype(dtype)} for run in runs()]
    _, report = nibble.quantize(
        model, data=data, bits_per_weight=5, sequential=True, return_report=True, freeze=True
    )
    assert report.outputs[0].snr_db > 20
    assert not [note for note in report.notes if "no better" not in note]


def test_rules(path, tmp_path):
    """Rules hold in every candidate, and win over the budget's choice. Codes fit the data."""
    rules = ["^b$: type=int8, per-channel", "small: keep"]
    for options in {}, {"bits_per_weight": 4.7}, {"until": "snr>=10"}, {"sequential": True}:
        out = tmp_path / "out.onnx"
        report = nibble.quantize(path, out, data=runs(), rules=rules, **options)
        weights = {weight.name: weight for weight in report.weights}
        assert weights["b"].type == "int8" and weights["b"].rule == rules[0]
        assert weights["a"].type == "int4" and not weights["small"].quantized
        if report.calibration_runs:
            assert weights["b"].calibrated
    config = {"rules": rules, "data": runs(), "per-tensor": False}
    nibble.quantize(path, out, config=config)
    nibble.quantize(path, tmp_path / "two.onnx", data=runs(), rules=rules)
    assert out.read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_quality():
    """A state that is handed on counts as much as what is read at once."""
    rows = [
        OutputError(n, 1, 10, db, 0.9, 1.0, 0.7, 0) for n, db in [("y", 30.0), ("state", 12.0)]
    ]
    assert _calibration.Candidate("", None, tuple(rows), True).quality() == 12
    names = OutputError("ids", 1, 10, float("nan"), float("nan"), 1.0, 0.7, 0)
    assert _calibration.Candidate("", None, (names,), True).quality() == 0.7
    assert _calibration.Candidate("", None, (*rows, names), True).quality() == 12


def test_boxes_that_are_not_found():
    """Runs whose outputs have another shape count: they have lost their signal."""
    lucky = OutputError("boxes", 10, 10, 60.0, 1.0, 0.0, 1.0, 5)
    steady = OutputError("boxes", 10, 10, 20.0, 0.9, 0.1, 1.0, 0)
    none = OutputError("boxes", 10, 0, -math.inf, math.nan, 0.0, math.nan, 10)
    quality = [
        _calibration.Candidate("", None, (o,), True).quality() for o in (lucky, steady, none)
    ]
    assert quality == [pytest.approx(3.01, abs=0.01), 20.0, 0.0]
    meter = OutputMeter("boxes")
    meter.add(np.ones(4), np.ones(4))
    meter.add(np.ones(4), np.ones(3))
    assert _trials._noise(meter) == pytest.approx(0.5)


# ---- until ------------------------------------------------------------------------------


def test_until(path, tmp_path):
    out = tmp_path / "out.onnx"
    plain = nibble.quantize(path, tmp_path / "plain.onnx", data=runs())
    reached = plain.outputs[0].snr_db
    same = nibble.quantize(path, out, data=runs(), until=f"snr>={reached - 1}")
    assert same.reached and same.weight_bytes_after == plain.weight_bytes_after
    more = nibble.quantize(path, out, data=runs(), until=f"snr>={reached + 6}")
    assert more.reached and more.outputs[0].snr_db >= reached + 6
    assert more.weight_bytes_after > plain.weight_bytes_after
    with pytest.warns(nibble.NibbleWarning, match="not reached"):
        never = nibble.quantize(path, out, data=runs(), until="snr>=150")
    assert never.reached is False and never.outputs[0].snr_db > 35 and "NOT" in str(never)


def test_until_is_a_function(path, tmp_path):
    seen = []

    def is_small_enough(candidate):
        seen.append(os.path.getsize(candidate))
        return nibble.compare(path, candidate).snr_db > 25

    report = nibble.quantize(path, tmp_path / "out.onnx", data=runs(), until=is_small_enough)
    assert report.reached and len(seen) > 1
    assert nibble.compare(path, tmp_path / "out.onnx").snr_db > 25


def test_goals():
    assert goals("snr>=30, top1(a(0))>=0.5") == [
        Goal("snr", None, 30.0),
        Goal("top1", "a(0)", 0.5),
    ]
    a = OutputError("a", 1, 10, 31.0, 0.9, 1.0, 0.7, 0)
    b = OutputError("b", 1, 10, 20.0, 0.9, 1.0, float("nan"), 0)
    assert not Goal("snr", None, 30).is_met((a, b)) and Goal("snr", "a", 30).is_met((a, b))
    assert Goal("top1", None, 0.7).is_met((a, b))
    with pytest.raises(nibble.DataError, match="not known of output b"):
        Goal("top1", "b", 0.7).is_met((a, b))
    for wrong in ("snr", "snr>30", "speed>=3", "snr>=", "snr>=1.2.3", ""):
        with pytest.raises(nibble.OptionError, match="until takes conditions"):
            goals(wrong)


def test_wrong_use(path, tmp_path):
    out = tmp_path / "out.onnx"
    for case in ({"until": "snr>=3"}, {"save_stats": "s"}):
        with pytest.raises(nibble.OptionError, match="need data"):
            nibble.quantize(path, out, **case)
    with pytest.raises(nibble.OptionError, match="until and bits_per_weight exclude"):
        nibble.quantize(path, out, data=runs(), until="snr>=3", bits_per_weight=5)
    with pytest.raises(nibble.OptionError, match="sequential needs data"):
        nibble.quantize(path, out, stats="s", sequential=True)
    with pytest.raises(nibble.DataError, match="no array x"):
        nibble.quantize(path, out, data=[{"y": 1}, {"y": 2}])
    with pytest.raises(nibble.OptionError, match="is the model itself"):
        nibble.quantize(path, path, data=runs())
    bad = runs()
    bad[3]["x"][0, 0] = np.nan
    with pytest.raises(nibble.NibbleError, match="NaN or infinity"):
        nibble.quantize(path, out, data=bad)
    assert os.listdir(tmp_path) == ["model.onnx"]
    nibble.quantize(path, path, data=runs(), force=True)


def test_progress_and_interruption(path, tmp_path):
    calls = []
    nibble.quantize(
        path, tmp_path / "out.onnx", data=runs(), progress=lambda *c: calls.append(c)
    )
    assert (3, 16) in calls

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nibble.quantize(path, tmp_path / "two.onnx", data=runs(), progress=stop)
    assert sorted(os.listdir(tmp_path)) == ["model.onnx", "out.onnx"]


def test_program(path, tmp_path):
    (tmp_path / "runs").mkdir()
    for i, run in enumerate(runs()):
        np.savez(tmp_path / f"runs/{i}.npz", **run)
    words = [path, "-o", tmp_path / "out.onnx", "--data", tmp_path / "runs", "--per-channel"]

    def start(*more):
        return subprocess.run(
            [sys.executable, "-m", "nibble._quantize_program", *map(str, [*words, *more])],
            env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
            capture_output=True,
            text=True,
        )

    done = start("--json", tmp_path / "r.json", "--type", "uint4", "--sequential")
    assert done.returncode == 0, done.stderr
    assert "4 runs held out" in done.stdout and "uint4 channel" in done.stdout
    assert json.loads((tmp_path / "r.json").read_text())["quantized"] == 2
    nibble.quantize(
        path,
        tmp_path / "two.onnx",
        data=runs(),
        per_channel=True,
        type="uint4",
        sequential=True,
    )
    assert (tmp_path / "two.onnx").read_bytes() == (tmp_path / "out.onnx").read_bytes()
    assert start("--type", "int3").returncode == 2
    assert start("--nonsense").returncode == 2
    assert start("--min-elements", "99999", "--strict").returncode == 3
    assert start("--rule", "zzz: keep", "--strict").returncode == 3
    done = start("--rule", "b: type=int8", "--rule", "small: keep", "--strict")
    assert done.returncode == 0 and " int8 channel" in done.stdout, done.stderr
