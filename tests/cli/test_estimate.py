"""Whether the model is likely to be ruined is said without data, before anybody runs it."""

import json
import re

import numpy as np

import models


def deep(count, size=64):
    """Weights that int4 can't keep exactly."""
    rng = np.random.default_rng(0)
    weights = {f"w{i}": rng.normal(size=(size, size)).astype(np.float32) for i in range(count)}
    return models.chain(weights).SerializeToString()


def estimate(nibble, *options):
    """(the estimate in dB, the notes, standard error)"""
    run = nibble("model.onnx", "-o", "out.onnx", "--json", "r.json", *options)
    assert run.status == 0
    report = json.loads((nibble.folder / "r.json").read_text())
    return report["estimated_snr_db"], report["notes"], run.err


def test_rule(nibble, folder):
    """By hand, from the SNR of the weights."""
    for count in (1, 2, 30):
        (folder / "model.onnx").write_bytes(deep(count))
        found, _, _ = estimate(nibble)
        weights = json.loads((folder / "r.json").read_text())["weights"]
        noise = sum(10 ** (-w["snr_db"] / 10) for w in weights)
        assert abs(found - (14.5 - 8 * np.log10(count) - 10 * np.log10(noise))) < 1e-9


def test_warning(nibble, folder):
    (folder / "model.onnx").write_bytes(deep(30))
    snr, notes, err = estimate(nibble)
    assert snr < 10 and len(notes) == 1
    assert err == f"nibble: warning: model.onnx: {notes[0]}\n"
    for part in ("int4 is likely to ruin", "--data", "--type int8", "--bits-per-weight 6"):
        assert part in notes[0]
    snr, notes, err = estimate(nibble, "--type", "int8")
    assert snr > 20 and notes == [] and err == ""


def quiet(nibble, *options):
    run = nibble("model.onnx", "-o", "out.onnx", "-q", *options)
    assert (run.status, run.text) == (0, "")
    return run.err


def test_quiet_says_it_too(nibble, folder):
    (folder / "model.onnx").write_bytes(deep(30))
    assert quiet(nibble) == estimate(nibble)[2] != ""
    (folder / "model.onnx").write_bytes(deep(2))
    assert quiet(nibble) == ""


def test_quiet_measures_a_part_of_large_weights(nibble, folder):
    """The part tells nearly the same, whatever the number of threads."""
    array = np.random.default_rng(0).normal(size=(3000, 512)).astype(np.float32)
    array[::97, ::5] *= 30
    weights = {"a": array, "b": np.ascontiguousarray(array.T)}
    (folder / "model.onnx").write_bytes(models.chain(weights).SerializeToString())
    options = ["--per-tensor", "--method", "rtn"]
    found = [float(re.search(r"near (\d+) dB", text)[1]) for text in (
        estimate(nibble, *options)[2], quiet(nibble, *options),
        quiet(nibble, *options, "--threads", "1"), quiet(nibble, *options, "--threads", "3"))]
    assert abs(found[0] - found[1]) <= 1 and len(set(found[1:])) == 1


def test_no_more_bits(nibble, folder):
    """8 bits that do not do are no reason to ask for 8 bits."""
    outliers = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    outliers[0, 0] = 100
    weights = {f"w{i}": outliers for i in range(30)}
    (folder / "model.onnx").write_bytes(models.chain(weights).SerializeToString())
    _, (note,), _ = estimate(nibble, "--type", "int8", "--per-tensor", "--method", "rtn")
    assert note.startswith("int8") and "--type int8" not in note and "--block-size 32" in note


def test_no_warning(nibble, folder):
    assert estimate(nibble) == (None, [], "")  # exact
    (folder / "model.onnx").write_bytes(deep(2))
    snr, notes, err = estimate(nibble)
    assert snr > 16 and notes == [] and err == ""


def test_not_measured(nibble, folder):
    """A dry run knows no errors. With a budget it does, and says the same as the run."""
    (folder / "model.onnx").write_bytes(deep(30))
    run = nibble("inspect", "model.onnx", "--json", "-")
    report = json.loads(run.text)
    assert report["estimated_snr_db"] is None and report["notes"] == [] and run.err == ""
    bits = ["--bits-per-weight", "4.8"]
    dry = json.loads(nibble("inspect", "model.onnx", "--json", "-", *bits).text)
    snr, notes, _ = estimate(nibble, *bits)
    assert abs(dry["estimated_snr_db"] - snr) < 1e-9 and dry["notes"] == notes != []
