"""nibble compare without data prints the errors that numpy finds. With data it starts
nibble-compare."""

import json
import os
import stat

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import models

WEIGHTS = {"first": (96, 64), "second": (64, 80)}


def weights():
    rng = np.random.default_rng(5)
    return {name: rng.standard_normal(shape).astype(np.float32)
            for name, shape in WEIGHTS.items()}


@pytest.fixture
def float_model(folder):
    model = models.chain(weights())
    onnx.save(model, folder / "float.onnx")
    return "float.onnx"


def rows(nibble, *arguments):
    done = nibble("compare", *arguments, "--json", "-")
    assert done.status == 0, done.err
    return {row["name"]: row for row in json.loads(done.text)["weights"]}


def snr(x, y):
    return 10 * np.log10(np.sum(x.astype(float) ** 2) / np.sum((x.astype(float) - y) ** 2))


def with_weight(folder, name, nodes, tensors, domain=None):
    """float.onnx, where other nodes make the weight `first`."""
    model = onnx.load(folder / "float.onnx")
    graph = model.graph
    kept = [t for t in graph.initializer if t.name != "first"]
    del graph.initializer[:]
    graph.initializer.extend(kept + tensors)
    old = list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes + old[len(old) - 1:] if domain else nodes + old)
    if domain:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    onnx.save(model, folder / name)
    return name


@pytest.mark.parametrize("options", [
    [], ["--type", "uint8"], ["--per-channel"], ["--block-size", "32", "--asymmetric"],
    ["--decode", "load"], ["--decode", "portable", "--block-size", "16"],
    ["--format", "nbits"], ["--target", "generic", "--scale-type", "float16"],
], ids=" ".join)
def test_same_errors_as_the_report(nibble, float_model, options):
    done = nibble(float_model, "-o", "q.onnx", *options, "--json", "report.json", "-q")
    assert done.status == 0, done.err
    report = json.loads((nibble.folder / "report.json").read_text())
    found = rows(nibble, float_model, "q.onnx")
    for weight in report["weights"]:
        assert abs(found[weight["name"]]["snr_db"] - weight["snr_db"]) < 0.01


def quantized(x, axis, bits=8):
    top = 2 ** (bits - 1) - 1
    scale = (np.abs(x).max(axis, keepdims=True) / top).astype(np.float32)
    return np.clip(np.rint(x / scale), -top, top), scale


def test_weights_behind_quantize_linear(nibble, folder, float_model):
    x = weights()["first"]
    codes, scale = quantized(x, None)
    tensors = [numpy_helper.from_array(x, "kept"),
               numpy_helper.from_array(scale.reshape(()), "s"),
               numpy_helper.from_array(np.array(0, np.int8), "z")]
    nodes = [helper.make_node("QuantizeLinear", ["kept", "s", "z"], ["codes"]),
             helper.make_node("DequantizeLinear", ["codes", "s", "z"], ["first"])]
    name = with_weight(folder, "q.onnx", nodes, tensors)
    assert abs(rows(nibble, float_model, name)["first"]["snr_db"] - snr(x, codes * scale)) < 0.01


@pytest.mark.parametrize("raw", [True, False])
def test_int4_blocks_transposed(nibble, folder, float_model, raw):
    """[N, K] with a block axis, behind a Transpose. The codes are in raw_data or int32_data."""
    x = weights()["first"]
    grouped = x.T.reshape(64, 3, 32)
    codes, scale = quantized(grouped, 2, 4)
    flat = (codes.astype(np.int8).ravel() & 15).astype(np.uint8)
    packed = flat[::2] | flat[1::2] << 4
    tensor = TensorProto(name="codes", dims=[64, 96], data_type=TensorProto.INT4)
    if raw:
        tensor.raw_data = packed.tobytes()
    else:
        tensor.int32_data.extend(packed.tolist())
    nodes = [helper.make_node("DequantizeLinear", ["codes", "s"], ["t"], axis=1, block_size=32),
             helper.make_node("Transpose", ["t"], ["first"], perm=[1, 0])]
    name = with_weight(folder, "q.onnx", nodes,
                       [tensor, numpy_helper.from_array(scale[:, :, 0], "s")])
    row = rows(nibble, float_model, name)["first"]
    assert abs(row["snr_db"] - snr(grouped, codes * scale)) < 0.01
    assert (row["type"], row["form"]) == ("int4", "DequantizeLinear")


def test_names_say_nothing(nibble, folder, float_model):
    """All names differ, so weights are found by their values."""
    nibble(float_model, "-o", "q.onnx", "-q", "--type", "int8")
    expected = rows(nibble, float_model, "q.onnx")
    model = onnx.load(folder / "q.onnx")
    renamed = {}

    def rename(name):
        return renamed.setdefault(name, f"v{len(renamed)}") if name else name
    for node in model.graph.node:
        node.name = ""
        node.input[:] = map(rename, node.input)
        node.output[:] = map(rename, node.output)
    for value in [*model.graph.initializer, *model.graph.input, *model.graph.output]:
        value.name = rename(value.name)
    onnx.save(model, folder / "r.onnx")
    found = rows(nibble, float_model, "r.onnx")
    assert {n: r["snr_db"] for n, r in found.items()} == {n: r["snr_db"] for n, r in expected.items()}


def test_unchanged_changed_and_missing(nibble, folder, float_model):
    done = nibble("compare", float_model, float_model)
    assert (done.status, done.text) == (0, "0 compared, 0 not found, 2 unchanged\n")
    other = weights()
    other["first"] = other["first"] * np.float32(1.01)
    del other["second"]
    onnx.save(models.chain(other), folder / "other.onnx")
    found = rows(nibble, float_model, "other.onnx")
    assert abs(found["first"]["snr_db"] - 40) < 0.01 and found["first"]["type"] == "float"
    assert found["second"]["found"] is False and found["second"]["snr_db"] is None


def test_hostile_models(nibble, folder, float_model):
    """Doubling 60 times, growing without end, and dims that don't fit: all end soon."""
    many = [helper.make_node("Add", [f"d{i}" if i else "c", f"d{i}" if i else "c"], [f"d{i+1}"])
            for i in range(60)]
    c = numpy_helper.from_array(np.ones((4, 4), np.float32), "c")
    huge = numpy_helper.from_array(np.array([2 ** 40, 2 ** 40], np.int64), "huge")
    cases = [many + [helper.make_node("Identity", ["d60"], ["first"])],
             [helper.make_node("Expand", ["c", "huge"], ["first"])],
             [helper.make_node("Reshape", ["c", "huge"], ["first"])],
             [helper.make_node("Slice", ["c", "huge", "huge"], ["first"])],
             [helper.make_node("Pad", ["c", "huge"], ["first"])],
             [helper.make_node("Transpose", ["c"], ["first"], perm=[0, 7])],
             [helper.make_node("Unsqueeze", ["c", "huge"], ["first"])],
             [helper.make_node("Concat", ["c", "huge"], ["first"], axis=-9)],
             [helper.make_node("Gather", ["c", "huge"], ["first"], axis=5)],
             [helper.make_node("DequantizeLinear", ["c", "c"], ["first"], axis=9)],
             [helper.make_node("first", ["first"], ["first"])],
             [helper.make_node("Identity", ["first"], ["first"])]]
    for nodes in cases:
        name = with_weight(folder, "bad.onnx", nodes, [c, huge])
        assert rows(nibble, float_model, name)["first"]["found"] is False


def test_gate(nibble, float_model):
    nibble(float_model, "-o", "q.onnx", "-q")
    assert nibble("compare", float_model, "q.onnx", "--min-snr", "10").status == 0
    done = nibble("compare", float_model, "q.onnx", "--min-snr", "30", "-q")
    assert done.status == 3 and "--min-snr asks for 30" in done.err and not done.text
    assert nibble("compare", float_model, float_model, "--min-snr", "30").status == 0
    onnx.save(models.chain({"other": np.ones((5, 7), np.float32)}), nibble.folder / "o.onnx")
    done = nibble("compare", float_model, "o.onnx", "--min-snr", "30", "-q")
    assert done.status == 3 and "no weight was found" in done.err


@pytest.mark.parametrize("arguments, words", [
    (["float.onnx"], "two models"),
    (["a", "b", "c"], "two models, not 3"),
    (["float.onnx", "-"], "name files"),
    (["a", "b", "--layers"], "--layers needs --data"),
    (["a", "b", "--min-top1", "0.9"], "--min-top1 needs --data"),
    (["a", "b", "--min-top1", "2"], "up to 1"),
])
def test_usage(nibble, float_model, arguments, words):
    done = nibble("compare", *arguments)
    assert done.status == 2 and words in done.err


@pytest.mark.parametrize("arguments, words", [
    (["--until", "snr>=3"], "--until needs --data"),
    (["--save-stats", "s"], "--save-stats needs --data"),
    (["--sequential"], "--sequential needs --data"),
    (["--sequential", "--stats", "s"], "--sequential needs --data"),
    (["--data", "d", "--dry-run"], "exclude each other"),
    (["--data", "d", "-o", "-"], "name files"),
])
def test_usage_of_data(nibble, arguments, words):
    done = nibble("model.onnx", "-o", "q.onnx", *arguments)
    assert done.status == 2 and words in done.err


@pytest.mark.parametrize("words", [["compare", "float.onnx", "float.onnx"],
                                   ["quantize", "float.onnx", "-o", "q.onnx"],
                                   ["float.onnx", "-o", "q.onnx"]], ids=len)
def test_missing_helper(nibble, float_model, words):
    environment = {**os.environ, "PATH": "/nowhere"}
    process = nibble.start(*words, "--data", "random", env=environment)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and b"pip install 'nibble-onnx[runtime]'" in err


def test_helper_gets_all_words(nibble, folder, float_model):
    helper_program = folder / "nibble-compare"
    helper_program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nexit 3\n')
    helper_program.chmod(helper_program.stat().st_mode | stat.S_IXUSR)
    words = [float_model, "q b.onnx", "--data", "x", "--layers", "--seed=3"]
    (folder / "nibble-quantize").symlink_to(helper_program)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    process = nibble.start("compare", *words, env=environment)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out.decode().splitlines()) == (
        3, ["--data=x", "--layers", "--seed=3", "--", float_model, "q b.onnx"])
    (folder / "config.json").write_text('{"decode": "load", "rules": ["a b: keep"]}')
    words = [float_model, "-o", "q.onnx", "--stats", "x", "--until", "snr>=30", "--strict",
             "--stats=y", "--config", "config.json", "--rule", "c: keep"]
    process = nibble.start(*words, env=environment)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out.decode().splitlines()) == (
        3, ["--decode=load", "--rule=c: keep", "--rule=a b: keep", "--output=q.onnx",
            "--stats=x", "--stats=y", "--until=snr>=30", "--strict", "--", float_model])
