"""Names of strangers on a terminal: nothing in them moves the cursor or turns the text around, and
a long one hides no cause."""

import os
import resource

import pytest

import models

ACTIVE = ["\x1b[31m", "\x9b31m", "\u202e", "\u2066", "\u200f", "\u061c", "\u2028", "\ufeff", "\x07"]


def named(name):
    return models.chain({name: models.integers(64, 64)}).SerializeToString()


@pytest.mark.parametrize("active", ACTIVE, ids=ascii)
def test_active_characters(nibble, folder, active):
    """In a table, in a message, and in the name of a file."""
    (folder / "m.onnx").write_bytes(named(f"we{active}ight"))
    run = nibble("m.onnx", "-o", "out.onnx")
    assert run.status == 0 and active not in run.text and "ight" in run.text
    bad = models.integers(64, 64)
    bad[0] = float("nan")
    (folder / "m.onnx").write_bytes(
        models.chain({f"we{active}ight": bad}).SerializeToString())
    run = nibble("m.onnx", "-o", "out.onnx")
    assert run.status == 0 and active not in run.text + run.err and "ight" in run.err
    run = nibble(f"no{active}file.onnx", "-o", "out.onnx")
    assert run.status == 1 and active not in run.err and "file.onnx" in run.err


def test_bytes_that_are_no_characters(nibble):
    run = nibble(b"no\x9b31m\xff\xc2file.onnx", "-o", "out.onnx")
    assert run.err == "nibble: no?31m??file.onnx: No such file or directory\n"


def test_letters_stay(nibble):
    run = nibble("é€😀.onnx", "-o", "out.onnx")
    assert run.err == "nibble: é€😀.onnx: No such file or directory\n"


def test_long_names_hide_no_cause(nibble, folder):
    bad = models.integers(256, 256)
    bad[0] = float("nan")
    (folder / "m.onnx").write_bytes(models.chain({"n" * 20000: bad}).SerializeToString())
    run = nibble("m.onnx", "-o", "out.onnx", "-q")
    assert "stays float: " in run.err and "NaN" in run.err
    path = "/".join(["d" * 200] * 19) + "/m.onnx"
    run = nibble(path, "-o", "out.onnx", "-q")
    assert run.status == 1 and run.err.endswith(": No such file or directory\n")


@pytest.mark.parametrize("most", range(3, 12))
def test_few_descriptors(nibble, folder, most):
    """Without descriptors the message says so."""
    def before():
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    for options in (["-o", "out.onnx"], ["-o", "out.onnx", "--external-data"],
                    ["-o", "out.onnx.gz"]):
        process = nibble.start("model.onnx", "-q", "--json", "r.json", *options,
                               preexec_fn=before)
        text = process.communicate(timeout=60)[1].decode()
        if process.returncode == 127:
            pytest.skip("the program can't be loaded")
        assert process.returncode in (0, 1)
        assert (process.returncode == 0) == (text == "")
        assert "out of memory" not in text
        assert process.returncode == 0 or os.strerror(24) in text
