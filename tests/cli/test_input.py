"""Models that can't be read or hold nothing to do: a clear message, the right exit
status, and no file left behind."""

import gzip
import os

import pytest

import models


def left_alone(nibble, folder, name, *words):
    before = sorted(os.listdir(folder))
    run = nibble(name, "-o", "out.onnx")
    assert (run.status, run.text) == (1, "")
    assert run.err.startswith("nibble: ") and name in run.err
    for word in words:
        assert word in run.err
    assert sorted(os.listdir(folder)) == before


def test_missing(nibble, folder):
    left_alone(nibble, folder, "none.onnx", "No such file")


def test_directory(nibble, folder):
    (folder / "dir.onnx").mkdir()
    left_alone(nibble, folder, "dir.onnx", "directory")


def test_empty(nibble, folder):
    (folder / "empty.onnx").write_bytes(b"")
    left_alone(nibble, folder, "empty.onnx", "empty")


@pytest.mark.parametrize("part", [0.01, 0.5, 0.99])
def test_truncated(nibble, folder, part):
    whole = models.plain()
    (folder / "cut.onnx").write_bytes(whole[:int(len(whole) * part)])
    left_alone(nibble, folder, "cut.onnx", "truncated")


def test_text(nibble, folder):
    (folder / "text.onnx").write_text("This is no model, but a text.\n" * 100)
    left_alone(nibble, folder, "text.onnx", "ONNX model?")


def test_truncated_gzip(nibble, folder):
    packed = gzip.compress(models.plain())
    (folder / "cut.onnx.gz").write_bytes(packed[:len(packed) // 2])
    left_alone(nibble, folder, "cut.onnx.gz", "gzip")


def test_nested_too_deeply(nibble, folder):
    """protobuf's own C reader would overflow the stack here."""
    inner = b""
    while len(inner) < 60000:  # a graph in an attribute of a node of a graph ...
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            inner = tag + _varint(len(inner)) + inner
    (folder / "deep.onnx").write_bytes(b"\x08\x08\x3a" + _varint(len(inner)) + inner)
    left_alone(nibble, folder, "deep.onnx")


def _varint(value):
    out = b""
    while value >= 128:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def test_warning(nibble, folder):
    (folder / "broken.onnx").write_bytes(models.broken())
    run = nibble("broken.onnx", "-o", "out.onnx")
    assert run.status == 0
    assert run.err.count("\n") == 1 and "\x1b" not in run.err
    assert run.err.startswith("nibble: warning: bad") and "NaN" in run.err
    assert "bad\\x1B[31m\\nname" in nibble("broken.onnx", "-o", "out.onnx", "-v").text
    types = models.codes(folder / "out.onnx")
    assert types["bad\x1b[31m\nname"] == "FLOAT" and "INT4" in types.values()
    assert nibble("broken.onnx", "-o", "out.onnx", "--strict", "-q").status == 3
    assert nibble("broken.onnx", "-o", "out.onnx", "--strict", "--exclude",
                  "^bad").status == 0


def test_standard_input(nibble, folder):
    assert nibble("-", "-o", "a.onnx", "-q", stdin=models.plain()).status == 0
    assert nibble("model.onnx", "-o", "b.onnx", "-q").status == 0
    assert (folder / "a.onnx").read_bytes() == (folder / "b.onnx").read_bytes()


def test_gzip(nibble, folder):
    (folder / "model.onnx.gz").write_bytes(gzip.compress(models.plain()))
    assert nibble("model.onnx.gz", "-o", "a.onnx", "-q").status == 0
    assert nibble("model.onnx", "-o", "b.onnx.gz", "-q").status == 0
    assert (folder / "a.onnx").read_bytes() == gzip.decompress(
        (folder / "b.onnx.gz").read_bytes())
    models.codes(folder / "a.onnx")


def test_gzip_on_standard_input(nibble, folder):
    assert nibble("-", "-o", "a.onnx", "-q", stdin=gzip.compress(models.plain())).status == 0
    models.codes(folder / "a.onnx")
