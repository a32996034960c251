"""A model with nothing to quantize is written byte for byte as it was, with a warning. So no
old output stays behind, and the next program of a pipe gets a model."""

import gzip
import json
import os

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import models

WARNING = "nothing to quantize, so the output is the model unchanged\n"


@pytest.fixture
def tiny(folder):
    """Bytes that no program would write again after parsing them. The first field is unknown in
    all versions of ONNX."""
    data = b"\xca\x3e\x03new" + models.tiny()
    (folder / "tiny.onnx").write_bytes(data)
    return data


def test_old_output_is_replaced(nibble, folder, tiny):
    (folder / "out.onnx").write_text("old")
    run = nibble("tiny.onnx", "-o", "out.onnx")
    assert (run.status, run.err) == (0, f"nibble: warning: tiny.onnx: {WARNING}")
    assert (folder / "out.onnx").read_bytes() == tiny
    assert "tiny.onnx -> out.onnx" in run.text and "written unchanged" in run.text
    assert "fewer than 256 elements" in run.text
    assert sorted(os.listdir(folder)) == ["model.onnx", "out.onnx", "tiny.onnx"]


def test_strict(nibble, folder, tiny):
    assert nibble("tiny.onnx", "-o", "out.onnx", "--strict", "-q").status == 3
    assert (folder / "out.onnx").read_bytes() == tiny


def test_report(nibble, folder, tiny):
    nibble("tiny.onnx", "-o", "out.onnx", "--json", "report.json")
    report = json.loads((folder / "report.json").read_text())
    assert report["output"] == "out.onnx" and report["quantized"] == 0
    assert report["bytes"] == {"before": len(tiny), "after": len(tiny)}


def test_dry_run_writes_nothing(nibble, folder, tiny):
    run = nibble("tiny.onnx", "-o", "out.onnx", "--dry-run")
    assert run.status == 0 and run.err.endswith("nothing to quantize\n")
    assert not (folder / "out.onnx").exists()


def test_itself(nibble, folder, tiny):
    assert nibble("tiny.onnx", "-o", "tiny.onnx", "-q").status == 2
    assert nibble("tiny.onnx", "-o", "tiny.onnx", "-q", "-f").status == 0
    assert (folder / "tiny.onnx").read_bytes() == tiny


def test_streams(nibble, tiny):
    run = nibble("-", "-o", "-", "-q", stdin=tiny)
    assert (run.status, run.out) == (0, tiny)
    assert run.err == f"nibble: warning: -: {WARNING}"


def test_pipe_of_two(nibble, folder, tiny):
    first = nibble("tiny.onnx", "-o", "-", "-q")
    second = nibble("-", "-o", "out.onnx", "--type", "int8", "--min-elements", "1",
                    stdin=first.out)
    assert second.status == 0
    assert "INT8" in models.codes(folder / "out.onnx").values()


def test_gzip(nibble, folder, tiny):
    (folder / "tiny.onnx.gz").write_bytes(gzip.compress(tiny))
    assert nibble("tiny.onnx.gz", "-o", "out.onnx", "-q").status == 0
    assert (folder / "out.onnx").read_bytes() == tiny
    assert nibble("tiny.onnx.gz", "-o", "out.onnx.gz", "-q").status == 0
    assert gzip.decompress((folder / "out.onnx.gz").read_bytes()) == tiny


def test_excluded_chain_is_not_folded(nibble, folder):
    """Folding changes the graph in memory. Then the values turn out to be unfit for quantizing."""
    model = models.chain({"weight": models.integers(64, 64)})
    array = np.full((64, 64), np.nan, np.float32)
    del model.graph.initializer[:]
    model.graph.initializer.extend([
        numpy_helper.from_array(array, "turned"),
        numpy_helper.from_array(np.array([64, 64]), "shape")])
    model.graph.node.insert(0, onnx.helper.make_node("Reshape", ["turned", "shape"],
                                                     ["weight"]))
    data = model.SerializeToString()
    (folder / "nan.onnx").write_bytes(data)
    assert nibble("nan.onnx", "-o", "out.onnx", "-q").status == 0
    assert (folder / "out.onnx").read_bytes() == data


# ---- external data ---------------------------------------------------------------


def same_model(one, two):
    return (one.read_bytes() == two.read_bytes() and onnx.load(one) == onnx.load(two))


def test_external_data_beside_the_model(nibble, folder):
    models.external(folder, "e.onnx", "e.data")
    before = (folder / "e.data").stat()
    assert nibble("e.onnx", "-o", "out.onnx", "-q").status == 0
    assert same_model(folder / "e.onnx", folder / "out.onnx")
    assert (folder / "e.data").stat().st_ino == before.st_ino
    assert sorted(os.listdir(folder)) == ["e.data", "e.onnx", "model.onnx", "out.onnx"]


@pytest.mark.parametrize("location", ["e.data", "parts/e.data"])
def test_external_data_in_another_folder(nibble, folder, location):
    models.external(folder, "e.onnx", location)
    (folder / "out").mkdir()
    for _ in range(2):  # the second time the copy is there already
        assert nibble("e.onnx", "-o", "out/e.onnx", "-q").status == 0
        assert same_model(folder / "e.onnx", folder / "out/e.onnx")
        assert (folder / "out" / location).read_bytes().endswith(b"unused")


def test_data_of_another_model_are_kept(nibble, folder):
    """Data named after the output belong to it. Other data may belong to another model."""
    (folder / "out").mkdir()
    models.external(folder, "a.onnx", "same.data")
    models.external(folder, "b.onnx", "b.onnx_data")
    for name, location in [("a.onnx", "same.data"), ("b.onnx", "b.onnx_data")]:
        (folder / "out" / location).write_text("of another model")
        run = nibble(name, "-o", f"out/{name}", "-q")
        if name == "a.onnx":
            assert run.status == 1 and "same.data" in run.err and "-f" in run.err
            assert not (folder / "out/a.onnx").exists()
            assert (folder / "out/same.data").read_text() == "of another model"
            assert nibble(name, "-o", f"out/{name}", "-q", "-f").status == 0
        else:
            assert run.status == 0
        assert same_model(folder / name, folder / "out" / name)


def test_external_data_into_streams(nibble, folder):
    """A stream has no files beside it, so the values go into the model."""
    models.external(folder, "e.onnx", "e.data")
    whole = onnx.load(folder / "e.onnx")
    whole.graph.initializer[0].ClearField("data_location")
    run = nibble("e.onnx", "-o", "-", "-q")
    assert run.status == 0 and onnx.load_from_string(run.out) == whole
    assert nibble("e.onnx", "-o", "e.onnx.gz", "-q").status == 0
    packed = gzip.decompress((folder / "e.onnx.gz").read_bytes())
    assert onnx.load_from_string(packed) == whole


def test_data_files_stay(nibble, folder):
    """A model that nibble wrote before, with its data in OUT.HASH.data. The copy has the same
    name, and so its data look like an old output's."""
    for name in ["a", "b"]:
        (folder / name).mkdir()
    assert nibble("model.onnx", "-o", "a/m.onnx", "--external-data", "-q").status == 0
    files = {path.name: path.read_bytes() for path in (folder / "a").iterdir()}
    assert len(files) == 2
    assert nibble("a/m.onnx", "-o", "b/m.onnx", "-q").status == 0
    assert nibble("a/m.onnx", "-o", "a/m.onnx", "-q", "-f").status == 0
    for name in ["a", "b"]:
        assert files == {path.name: path.read_bytes() for path in (folder / name).iterdir()}


def test_old_data_file_goes(nibble, folder):
    """Of the output that a copy replaces."""
    assert nibble("model.onnx", "-o", "out.onnx", "--external-data", "-q").status == 0
    assert len(os.listdir(folder)) == 3
    (folder / "tiny.onnx").write_bytes(models.tiny())
    assert nibble("tiny.onnx", "-o", "out.onnx", "-q").status == 0
    assert sorted(os.listdir(folder)) == ["model.onnx", "out.onnx", "tiny.onnx"]
