"""The command upgrade, and how quantize treats the opset."""

import onnx
import pytest

import models


def opset(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    return model.opset_import[0].version, model.ir_version


@pytest.fixture
def old(folder):
    model = models.chain({"weight": models.integers(64, 32)}, opset=13, ir=7)
    (folder / "old.onnx").write_bytes(model.SerializeToString())
    return "old.onnx"


def test_upgrade(nibble, folder, old):
    run = nibble("upgrade", old, "-o", "out.onnx")
    assert (run.status, run.text, run.err) == (0, "", "")
    assert opset(folder / "out.onnx") == (21, 10)
    assert set(models.codes(folder / "out.onnx").values()) == {"FLOAT"}
    assert nibble("upgrade", old, "-o", "out.onnx", "--opset", "23").status == 0
    assert opset(folder / "out.onnx") == (23, 11)


def test_upgrade_of_itself_needs_force(nibble, folder, old):
    assert nibble("upgrade", old, "-o", old).status == 2
    assert nibble("upgrade", old, "-o", old, "-f").status == 0
    assert opset(folder / old) == (21, 10)


def test_upgrade_of_nothing(nibble, folder):
    run = nibble("upgrade", "none.onnx", "-o", "out.onnx")
    assert run.status == 1 and "none.onnx: No such file" in run.err
    assert not (folder / "out.onnx").exists()


def test_quantize_raises_what_it_needs(nibble, folder, old):
    run = nibble(old, "-o", "out.onnx")
    assert run.status == 0 and "opset 13 -> 21, IR 7 -> 10" in run.text
    assert opset(folder / "out.onnx") == (21, 10)
    run = nibble(old, "-o", "out.onnx", "--type", "int8", "--per-channel")
    assert run.status == 0 and "opset 13, IR 7" in run.text
    assert opset(folder / "out.onnx") == (13, 7)


def test_no_upgrade(nibble, folder, old):
    run = nibble(old, "-o", "out.onnx", "--no-upgrade")
    assert run.status == 1
    assert "opset 21" in run.err and "13" in run.err and "--no-upgrade" in run.err
    assert not (folder / "out.onnx").exists()


def test_second_pass(nibble, folder, old):
    """A second run may quantize what the first one left float. Nothing is quantized twice."""
    both = models.chain({"head": models.integers(64, 64), "body": models.integers(64, 64)})
    (folder / "both.onnx").write_bytes(both.SerializeToString())
    first = nibble("both.onnx", "-o", "-", "-q", "--symmetric", "--exclude", "^head$")
    assert nibble("-", "-o", "out.onnx", "--type", "int8", stdin=first.out).status == 0
    types = sorted(models.codes(folder / "out.onnx").values())
    assert types.count("INT4") == 1 and types.count("INT8") == 1
