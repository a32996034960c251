"""compare with data: its figures against numpy and ONNX Runtime, the layers, the program."""

import json
import math
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

import nibble
from conftest import ROOT, chain, new_runtime, normal
from nibble import _layers
from nibble._session import Session
from nibble.metrics import OutputMeter, decibels


def runs(count=3):
    return [{"x": normal(4, 64, seed=i)} for i in range(count)]


@pytest.fixture
def quantized(path, tmp_path):
    nibble.quantize(path, tmp_path / "q.onnx")
    return tmp_path / "q.onnx"


def outputs(path, feeds):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.stack([session.run(None, feed)[0] for feed in feeds]).astype(np.float64)


def test_figures(path, quantized):
    result = nibble.compare(path, quantized, data=runs())
    x, y = outputs(path, runs()), outputs(quantized, runs())
    (output,) = result.outputs
    assert (output.name, output.runs, output.elements) == ("h2", 3, x.size)
    assert math.isclose(output.snr_db, 10 * np.log10(np.sum(x**2) / np.sum((x - y) ** 2)))
    cosine = np.sum(x * y) / np.sqrt(np.sum(x**2) * np.sum(y**2))
    assert math.isclose(output.cosine, cosine)
    assert output.max_difference == np.abs(x - y).max()
    assert output.top1 == np.mean(x.argmax(-1) == y.argmax(-1))
    assert result.snr_db == output.snr_db and result.top1 == output.top1
    assert not result.is_random and result.runs == 3
    assert result.latency.runs > 1 and result.latency.ratio > 0
    assert {row.name for row in result.weights} == {"a", "b"}
    assert [row.snr_db for row in result.weights] == sorted(
        row.snr_db for row in result.weights
    )


def test_same_model(path):
    result = nibble.compare(path, path, data="random:2", latency=False, layers=True)
    (output,) = result.outputs
    assert (output.snr_db, output.cosine, output.top1) == (math.inf, 1.0, 1.0)
    assert result.is_random and "random" in str(result) and result.latency is None
    assert not any(layer.drops for layer in result.layers)


def test_objects(model, quantized):
    by_path = nibble.compare(model, quantized)
    by_object = nibble.compare(model.SerializeToString(), onnx.load(quantized), data=runs())
    assert by_path.weights == by_object.weights
    assert by_path.outputs == () and by_path.snr_db == by_path.weights[0].snr_db
    assert by_object.model == "(model in memory)"
    assert "nibble-model-" not in str(by_object)


def test_limits(path, quantized):
    result = nibble.compare(path, quantized, data=runs(), latency=False)
    assert result.failures(min_snr=1, min_top1=0.01) == []
    snr, top1 = result.failures(min_snr=90, min_top1=1.1)
    assert "90 dB was asked for" in snr and "1.1 was asked for" in top1
    weights = nibble.compare(path, quantized)
    assert weights.failures(min_top1=0.5) == [
        "least top-1 agreement: nothing has one, and 0.5 was asked for"
    ]


def test_forms_of_the_result(path, quantized):
    result = nibble.compare(path, quantized, data=runs(), layers=True)
    raw = json.loads(result.to_json())
    assert raw["outputs"][0]["snr_db"] == result.outputs[0].snr_db
    assert raw["weights"][0]["name"] == result.weights[0].name and raw["latency"]
    assert list(result.to_pandas().name) == ["h2"]
    assert "<table>" in result._repr_html_() and "h2" in result._repr_html_()
    text = str(result)
    for words in ("WEIGHT", "OUTPUT", "TENSOR", "latency", "drops here first", "3 runs"):
        assert words in text


def test_layers_name_the_place(tmp_path):
    """Only the second weight is spoiled; the first one is exact, the third is float."""
    weights = {"a": normal(64, 64), "b": normal(64, 64, seed=1), "c": normal(64, 64, seed=2)}
    spoiled = {**weights, "b": weights["b"] + normal(64, 64, seed=3)}
    result = nibble.compare(
        chain(weights), chain(spoiled), data=runs(), layers=True, latency=False
    )
    assert [layer.name for layer in result.layers] == ["h0", "h1", "h2"]
    assert [layer.drops for layer in result.layers] == [False, True, False]
    assert result.layers[0].snr_db == math.inf and result.layers[1].node == "node1"
    assert result.layers[2].inputs_snr_db == result.layers[1].snr_db


def test_layers_pass_over_what_one_model_lacks():
    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["x"], ["p"]),
            helper.make_node("Relu", ["p"], ["only"]),
            helper.make_node("Relu", ["only"], ["y"]),
        ],
        "g",
        [],
        [],
    )
    chained = _layers._chain(graph, {"p": 12.0, "y": 11.0})
    assert [(layer.name, layer.inputs_snr_db) for layer in chained] == [
        ("p", math.inf),
        ("y", 12.0),
    ]


@new_runtime
def test_external_data(tmp_path):
    """Models whose weights are beside them, through --layers as well."""
    model = chain({"a": normal(64, 64), "b": normal(64, 64, seed=1)})
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0)
    nibble.quantize(tmp_path / "m.onnx", tmp_path / "q.onnx", external_data=True)
    result = nibble.compare(
        tmp_path / "m.onnx", tmp_path / "q.onnx", data=runs(), layers=True, latency=False
    )
    assert 5 < result.snr_db < 40 and result.layers


def test_wrong_data(path, quantized, tmp_path):
    with pytest.raises(nibble.DataError, match="no array x"):
        nibble.compare(path, quantized, data=[{"y": 1}])
    with pytest.raises(nibble.DataError, match="layers needs data"):
        nibble.compare(path, quantized, layers=True)
    other = chain({"a": normal(64, 8)})
    with pytest.raises(nibble.DataError, match="nothing can be compared"):
        nibble.compare(path, other, data=runs())
    (tmp_path / "bad.onnx").write_bytes(b"")
    with pytest.raises(nibble.MalformedModelError):
        nibble.compare(path, tmp_path / "bad.onnx")


# ---- metrics --------------------------------------------------------------------------


def measured(x, y):
    meter = OutputMeter("y")
    meter.add(np.asarray(x), np.asarray(y))
    return meter.result()


def test_values_that_are_not_finite():
    both = np.array([[1, -np.inf, np.nan, 2]], np.float32)
    assert measured(both, both).snr_db == math.inf
    other = np.array([[1, -np.inf, np.nan, 3]], np.float32)
    assert math.isclose(measured(both, other).snr_db, 10 * math.log10(5))
    lost = np.array([[1, 5, np.nan, 2]], np.float32)
    assert measured(both, lost).snr_db == -math.inf
    assert measured([1.0, 2.0], [1.0, math.nan]).snr_db == -math.inf


def test_shapes_and_types():
    other_shape = measured(np.zeros((2, 3)), np.zeros((2, 4)))
    assert other_shape.mismatched == 1 and other_shape.snr_db == -math.inf
    whole = measured(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 9]))
    assert (whole.top1, whole.max_difference) == (0.75, 5) and math.isnan(whole.snr_db)
    half = measured(np.array([300.0], np.float16), np.array([301.0], np.float16))
    assert math.isclose(half.snr_db, 20 * math.log10(300), rel_tol=1e-3)
    assert math.isnan(half.top1)
    empty = measured(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))
    assert empty.snr_db == math.inf and math.isnan(empty.top1)
    scalar = measured(np.float32(2), np.float32(1))
    assert math.isclose(scalar.snr_db, 10 * math.log10(4))
    zeros = measured(np.zeros(3), np.ones(3))
    assert zeros.snr_db == -math.inf and math.isnan(zeros.cosine)
    assert decibels(0, 0) == math.inf


# ---- the program ----------------------------------------------------------------------


def compare_program(*words):
    return subprocess.run(
        [sys.executable, "-m", "nibble._compare_program", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
        capture_output=True,
        text=True,
    )


def test_program(path, quantized, tmp_path):
    (tmp_path / "runs").mkdir()
    for i, run in enumerate(runs()):
        np.savez(tmp_path / f"runs/{i}.npz", **run)
    words = [path, quantized, "--data", tmp_path / "runs"]
    done = compare_program(*words, "--layers", "--json", tmp_path / "c.json")
    assert done.returncode == 0, done.stderr
    assert "OUTPUT" in done.stdout and "drops here first" in done.stdout
    raw = json.loads((tmp_path / "c.json").read_text())
    assert raw["runs"] == 3 and raw["outputs"][0]["name"] == "h2"
    done = compare_program(*words, "--min-snr", "90", "-q")
    assert done.returncode == 3 and "least SNR" in done.stderr and not done.stdout
    assert compare_program(*words, "--min-top1", "0.1", "-q").returncode == 0
    assert json.loads(compare_program(*words, "--json", "-").stdout)["outputs"]


def test_program_says_what_is_wrong(path, tmp_path):
    done = compare_program(path, tmp_path / "none.onnx", "--data", "random")
    assert (
        done.returncode == 1
        and done.stderr.startswith("nibble: ")
        and "none.onnx" in done.stderr
    )
    assert compare_program(path, path, "--layers").returncode == 2
    assert compare_program(path).returncode == 2


def test_threads_keep_cores_busy_only_to_measure_latency(path, monkeypatch):
    entry, spins = "session.intra_op.allow_spinning", []

    class Watched(Session):
        def __init__(self, *arguments, **keywords):
            super().__init__(*arguments, **keywords)
            options = self._session.get_session_options()
            try:
                spins.append(options.get_session_config_entry(entry) != "0")
            except RuntimeError:  # it was not set
                spins.append(True)

    monkeypatch.setattr(nibble.comparison, "Session", Watched)
    nibble.compare(path, path, data="random:1", latency=False)
    nibble.compare(path, path, data="random:1", latency=True)
    assert spins == [False, False, True, True]
