"""--verify reads the finished output again. Here: that it lets right outputs pass, of every
kind, and changes no byte. tests/unit/verification.c damages outputs, and so does tests/attack
on the whole program."""

import gzip
import os

import pytest

import models

OUTPUTS = [("out.onnx", []), ("out.onnx", ["--external-data"]),
           ("out.onnx", ["--external-data=weights.bin"]), ("out.onnx.gz", []),
           ("out.onnx", ["--min-elements", "100000"])]


@pytest.mark.parametrize("name, options", OUTPUTS)
def test_same_bytes(nibble, folder, name, options):
    found = []
    for verify in [[], ["--verify"]]:
        assert nibble("model.onnx", "-o", name, "-q", *options, *verify).status == 0
        found.append({path: (folder / path).read_bytes() for path in os.listdir(folder)})
    assert found[0] == found[1] and len(found[0]) > 1


def test_streams(nibble, folder):
    packed = gzip.compress((folder / "model.onnx").read_bytes())
    plain = nibble("model.onnx", "-o", "-", "-q")
    run = nibble("-", "-o", "-", "-q", "--verify", stdin=packed)
    assert (run.status, run.err, run.out) == (0, "", plain.out)


def test_unchanged_with_data(nibble, folder):
    (folder / "b").mkdir()
    models.external(folder, "m.onnx", "values/m.bin")
    assert nibble("m.onnx", "-o", "b/m.onnx", "-q", "--verify").status == 0
    assert (folder / "b/values/m.bin").exists()
    assert nibble("m.onnx", "-o", "b/m.onnx", "-q", "--verify").status == 0


def test_upgrade(nibble, folder):
    model = models.chain({"w": models.integers(64, 32)}, opset=13, ir=7)
    (folder / "old.onnx").write_bytes(model.SerializeToString())
    for more in [[], ["--external-data"]]:
        assert nibble("upgrade", "old.onnx", "-o", "new.onnx", "--verify", *more).status == 0
