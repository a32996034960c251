"""Models that can't be read or have nothing to do. There is a clear message, the right exit
status, and no file left behind."""

import gzip
import os

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

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
    left_alone(nibble, folder, "cut.onnx", f"ends after {int(len(whole) * part)} of at least",
               "incomplete download?")


def test_text(nibble, folder):
    (folder / "text.onnx").write_text("This is no model, but a text.\n" * 100)
    left_alone(nibble, folder, "text.onnx", "not an ONNX model",
               "begins 'This is no model, but a text.'")


@pytest.fixture(name="hub")
def hub_cache(folder):
    """A model of a hub's cache: it and its data are links to files with other names."""
    (folder / "plain.onnx").write_bytes(models.plain())
    onnx.save(onnx.load(folder / "plain.onnx"), folder / "aaaa", save_as_external_data=True,
              location="bbbb", size_threshold=0)
    model = onnx.load(folder / "aaaa", load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "model.onnx_data"
    onnx.save(model, folder / "aaaa")
    (folder / "snapshot").mkdir()
    os.symlink("../aaaa", folder / "snapshot" / "model.onnx")
    os.symlink("../bbbb", folder / "snapshot" / "model.onnx_data")
    return "snapshot/model.onnx"


def test_links_of_a_hub_cache(nibble, folder, hub):
    assert nibble("plain.onnx", "-o", "want.onnx", "-q").status == 0
    assert nibble(hub, "-o", "out.onnx", "-q").status == 0
    assert models.codes(folder / "out.onnx") == models.codes(folder / "want.onnx")
    for command in (["inspect", hub], ["upgrade", hub, "-o", "up.onnx"],
                    ["compare", hub, "out.onnx"]):
        assert nibble(*command).status == 0
    assert (folder / "bbbb").stat().st_size > 0


def test_no_links(nibble, folder, hub):
    for command in ([hub, "-o", "out.onnx"], ["inspect", hub], ["upgrade", hub, "-o", "out.onnx"],
                    ["compare", hub, hub]):
        run = nibble(*command, "--no-links")
        assert run.status == 1 and "model.onnx_data" in run.err and "symbolic link" in run.err
        assert not (folder / "out.onnx").exists()


POINTER = (b"version https://git-lfs.github.com/spec/v1\n"
           b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
           b"size 1234567\n")

OTHERS = {
    # kind of file: first bytes, words of the message
    "Git LFS pointer": (POINTER, ["Git LFS pointer", "git lfs pull"]),
    "web page": (b"\n  <!doctype html><html><head>", ["web page", "download"]),
    "web page without a type": (b"<html lang=en>", ["web page"]),
    "XML": (b"<?xml version='1.0'?><net name='a'>", ["OpenVINO"]),
    "JSON": (b'{"error": "not found"}', ["JSON"]),
    "zip": (b"PK\x03\x04" + bytes(200), ["zip", "PyTorch", "torch.onnx.export"]),
    "pickle": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", ["pickle", "PyTorch"]),
    "safetensors": (b"\x40" + bytes(7) + b'{"a":{"dtype":"F32"}}'.ljust(64), ["safetensors"]),
    "TFLite": (b"\x1c\0\0\0TFL3" + bytes(99), ["TensorFlow Lite", "tf2onnx"]),
    "ORT format": (b"\x18\0\0\0ORTM" + bytes(99), ["ORT format", ".onnx"]),
    "GGUF": (b"GGUF\x03\0\0\0" + bytes(99), ["GGUF"]),
    "Keras": (b"\x89HDF\r\n\x1a\n" + bytes(99), ["HDF5", "tf2onnx"]),
    "TensorRT": (b"ftrt" + bytes(99), ["TensorRT"]),
    "NumPy": (b"\x93NUMPY\x01\0", ["NumPy"]),
    "tar": (b"model.onnx".ljust(257, b"\0") + b"ustar\x0000" + bytes(300), ["tar", "unpack"]),
    "ONNX text": (b"ir_version: 8\nproducer_name: 'x'\n", ["as text"]),
    "zeros": (bytes(4096), ["zero bytes", "incomplete download"]),
    "short answer": (b"Entry not found", ["begins 'Entry not found'"]),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_files(nibble, folder, kind):
    data, words = OTHERS[kind]
    (folder / "other.onnx").write_bytes(data)
    left_alone(nibble, folder, "other.onnx", "not an ONNX model", *words)
    (folder / "other.onnx").write_bytes(gzip.compress(data))
    left_alone(nibble, folder, "other.onnx", *words)


def test_names_add_to_the_error(nibble, folder):
    (folder / "saved.pb").write_bytes(b"\x08\x01\x12\x02\x0a\x00")
    left_alone(nibble, folder, "saved.pb", "TensorFlow", "tf2onnx")


def test_size_of_a_large_truncated_file(nibble, folder):
    """The graph has 40 MB, and the file has 12 of them."""
    (folder / "cut.onnx").write_bytes(b"\x08\x0a\x3a" + _varint(40_000_000) + bytes(12_000_000))
    left_alone(nibble, folder, "cut.onnx", "ends after 12.0 of at least 40.0 MB")


@pytest.mark.parametrize("data, words", [
    (POINTER, ["Git LFS pointer", "git lfs pull"]), (POINTER * 9, ["git lfs pull"]),
    (b"<!DOCTYPE html>", ["web page"]),
    (bytes(100), ["ends after 100 of at least 256 bytes", "incomplete download?"]),
    (b"", ["ends after 0 of at least 256 bytes"])])
def test_external_data_that_are_none(nibble, folder, data, words):
    """Nine Git LFS pointers are as long as the data should be."""
    models.external(folder, "e.onnx", "e.data")
    (folder / "e.data").write_bytes(data)
    left_alone(nibble, folder, "e.onnx", "e.data", *words)


def test_missing_external_data(nibble, folder):
    models.external(folder, "e.onnx", "e.data")
    (folder / "e.data").unlink()
    left_alone(nibble, folder, "e.onnx", "e.data", "beside the model")


def test_nothing_on_standard_input(nibble):
    run = nibble("-", "-o", "out.onnx")
    assert run.status == 1 and "standard input: empty file: the program before" in run.err


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


def gemm_with_body(kind):
    """A Gemm whose transB has a graph in it, with a weight. The operator takes transB away."""
    body = helper.make_graph(
        [helper.make_node("MatMul", ["x", "v"], ["t"])], "body", [],
        [helper.make_tensor_value_info("t", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(models.integers(64, 64), "v")])
    model = models.chain({"w": models.integers(64, 64)})
    node = model.graph.node[0]
    node.op_type = "Gemm"
    attribute = node.attribute.add(name="transB", i=1, g=body)
    if kind:
        attribute.type = kind
    return model.SerializeToString()


def test_graph_in_an_attribute_of_another_type(nibble, folder):
    """It is no body: its weight stays as it is. Without a type it may be one."""
    (folder / "m.onnx").write_bytes(gemm_with_body(onnx.AttributeProto.INT))
    assert nibble("m.onnx", "-o", "out.onnx", "-q", "--verify").status == 0
    (folder / "m.onnx").write_bytes(gemm_with_body(None))
    run = nibble("m.onnx", "-o", "out.onnx", "-q")
    assert run.status == 1 and "weight 'v' is in a graph that no operator has" in run.err
