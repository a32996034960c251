"""The report: text on stdout, word for word, and JSON."""

import fcntl
import json
import os
import pty
import struct
import termios

import numpy as np

import models

PAGE = """\
model.onnx -> out.onnx: opset 21, IR 10

WEIGHT           OP     SHAPE TYPE           BEFORE ->   AFTER   SNR
layers.0.weight  MatMul 64x32 int4 block 64 8.19 kB -> 1.17 kB exact

forms:
     1  DequantizeLinear, computed on the codes

left float:
     1     512 B  fewer than 256 elements (--min-elements)

quantized  1 of 2 constants, 94.1 % of 2.18 k elements, 4.56 bits per weight
constants  8.70 kB -> 1.68 kB
"""


def test_page(nibble):
    run = nibble("model.onnx", "-o", "out.onnx")
    assert (run.status, run.err) == (0, "")
    assert run.text.startswith(PAGE)
    assert run.text[len(PAGE):].startswith("model      8.8")


def densenet():
    """Names that differ only in the middle."""
    weights = {f"features.denseblock{block}.denselayer{layer}.conv2.weight":
               models.integers(64, 64) for block in (1, 2) for layer in range(1, 13)}
    return models.chain(weights)


def on_terminal(nibble, columns, *arguments):
    """The lines that a terminal of that width shows."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = nibble.start(*arguments, stdout=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait() == 0
    return shown.decode().splitlines()


def test_no_rows_alike_on_a_terminal(nibble, folder):
    (folder / "dense.onnx").write_bytes(densenet().SerializeToString())
    lines = on_terminal(nibble, 80, "inspect", "dense.onnx")
    rows = [line for line in lines if "conv2.weight" in line]
    assert len(rows) == len(set(rows)) == 24
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("f.d1.d12.conv2.weight ") for line in rows)


def test_whole_names(nibble, folder, monkeypatch):
    """Names are whole in pipes, with -v, and if COLUMNS says that there is room."""
    (folder / "dense.onnx").write_bytes(densenet().SerializeToString())
    whole = "features.denseblock2.denselayer12.conv2.weight "
    assert whole in nibble("inspect", "dense.onnx").text
    verbose = on_terminal(nibble, 80, "inspect", "dense.onnx", "-v")
    assert any(line.startswith(whole) for line in verbose)
    monkeypatch.setenv("COLUMNS", "200")
    wide = on_terminal(nibble, 80, "inspect", "dense.onnx")
    assert any(line.startswith(whole) for line in wide)
    monkeypatch.setenv("COLUMNS", "80")
    narrow = on_terminal(nibble, 200, "inspect", "dense.onnx")
    assert not any(line.startswith(whole) for line in narrow)


def test_quiet(nibble):
    run = nibble("model.onnx", "-o", "out.onnx", "-q")
    assert (run.status, run.text, run.err) == (0, "", "")


def test_verbose(nibble):
    run = nibble("model.onnx", "-o", "out.onnx", "-v")
    assert "          small  MatMul 32x4 float 512 B\n" in run.text


def test_dry_run(nibble, folder):
    for arguments in [("model.onnx", "--dry-run"), ("inspect", "model.onnx"),
                      ("model.onnx", "-o", "out.onnx", "--dry-run")]:
        run = nibble(*arguments)
        assert (run.status, run.err) == (0, "")
        assert run.text.startswith("model.onnx: opset 21, IR 10\n")
        assert "int4 block 64 8.19 kB -> 1.17 kB   -\n" in run.text
        assert "(nothing written)" in run.text
        assert not (folder / "out.onnx").exists()


def test_json(nibble, folder):
    run = nibble("model.onnx", "-o", "out.onnx", "--json", "report.json")
    assert run.status == 0 and run.text.startswith(PAGE)
    report = json.loads((folder / "report.json").read_text())
    assert report["model"] == "model.onnx" and report["output"] == "out.onnx"
    assert report["opset"] == {"before": 21, "after": 21}
    assert report["bytes"] == {"before": (folder / "model.onnx").stat().st_size,
                               "after": (folder / "out.onnx").stat().st_size}
    assert (report["quantized"], report["left"], report["missed"]) == (1, 1, 0)
    weight, small = report["weights"]
    assert weight["name"] == "layers.0.weight" and weight["dims"] == [64, 32]
    assert weight["quantized"] and weight["exact"] and weight["snr_db"] is None
    assert weight["bytes"] == {"before": 8192, "after": 1168}
    assert small["name"] == "small" and not small["quantized"] and not small["asked"]


def test_json_on_standard_output(nibble):
    for arguments in [("model.onnx", "-o", "out.onnx"), ("inspect", "model.onnx"),
                      ("model.onnx", "--dry-run", "-o", "-")]:
        run = nibble(*arguments, "--json", "-")
        assert (run.status, run.err) == (0, "")
        assert len(json.loads(run.text)["weights"]) == 2


def test_json_with_strange_names(nibble, folder):
    (folder / "broken.onnx").write_bytes(models.broken())
    run = nibble("inspect", "broken.onnx", "--json", "-")
    names = [weight["name"] for weight in json.loads(run.text)["weights"]]
    assert names == ["sound", "bad\x1b[31m\nname"]


def test_json_that_cannot_be_written(nibble):
    run = nibble("inspect", "model.onnx", "--json", "none/report.json")
    assert run.status == 1 and "there is no folder 'none'" in run.err
    run = nibble("model.onnx", "-o", "out.onnx", "--json", "none/report.json")
    assert run.status == 1 and os.listdir(nibble.folder) == ["model.onnx"]
    run = nibble("inspect", "model.onnx", "--json", "/dev/full")
    assert run.status == 1 and "No space left" in run.err


def test_choice(nibble):
    for option in ["--include", "--exclude"]:
        report = json.loads(nibble("inspect", "model.onnx", option, r"^layers\.[0-9]",
                                   "--min-elements", "0", "--json", "-").text)
        chosen = [w["name"] for w in report["weights"] if w["quantized"]]
        assert chosen == (["layers.0.weight"] if option == "--include" else ["small"])


def test_types_and_granularities(nibble, folder):
    for arguments, words in [
            ("--type uint4", "uint4 block 64"), ("--type int8 --per-tensor", "int8 tensor"),
            ("--type uint8 --per-channel", "uint8 channel"),
            ("--block-size 20 --asymmetric", "int4 block 20")]:
        run = nibble("model.onnx", "-o", "out.onnx", *arguments.split())
        assert run.status == 0 and words in run.text
        kind = words.split()[0].upper()
        assert kind in models.codes(folder / "out.onnx").values()


def test_top(nibble, folder):
    """The worst weights come first, or the largest if nothing was measured. JSON has them all."""
    rng, widths = np.random.default_rng(1), [64, 96, 32, 160, 48]
    weights = {f"w{i}": rng.standard_t(3 + i, (a, b)).astype(np.float32)
               for i, (a, b) in enumerate(zip(widths, [*widths[1:], 64], strict=True))}
    (folder / "many.onnx").write_bytes(models.chain(weights).SerializeToString())
    for words, key in [(["-o", "out.onnx"], lambda w: w["snr_db"]),
                       (["--dry-run"], lambda w: -w["bytes"]["before"])]:
        run = nibble("many.onnx", *words, "--top", "2", "--json", "report.json")
        assert run.status == 0
        rows = json.loads((folder / "report.json").read_text())["weights"]
        lines = run.text.split("\n\n")[1].splitlines()[1:]
        assert [line.split()[0] for line in lines[:2]] == [
            w["name"] for w in sorted(rows, key=key)[:2]]
        others = sum(w["bytes"]["before"] for w in sorted(rows, key=key)[2:])
        assert lines[2].startswith("3 more ") and f" {others / 1000:.1f} kB -> " in lines[2]
        assert len(lines) == 3
    assert "more" not in nibble("many.onnx", "--dry-run", "--top", "5").text
    assert nibble("many.onnx", "--dry-run", "--top", "0").status == 2


def test_top_on_a_terminal(nibble, folder):
    """120 weights on 80 columns: no line is longer, and the bytes stand below each other."""
    rng = np.random.default_rng(2)
    weights = {f"encoder.layers.{i}.attention.{n}.weight":
               rng.normal(size=(64, 64)).astype(np.float32) for i in range(30) for n in "qkvo"}
    (folder / "m.onnx").write_bytes(models.chain(weights).SerializeToString())
    lines = on_terminal(nibble, 80, "m.onnx", "-o", "out.onnx", "--top", "3")
    table = lines[2:7]
    assert [len(line) <= 80 for line in lines] == [True] * len(lines)
    assert table[4].startswith("117 more") and len({line.index("->") for line in table}) == 1


def test_hints_are_what_these_options_give(nibble, folder):
    """Each hint is tried: the expected SNR rises and the bits grow as it says."""
    rng = np.random.default_rng(3)
    weights = {f"w{i}": (rng.standard_t(3, (512, 512)) * rng.uniform(0.1, 3, (512, 1))
                         ).astype(np.float32) for i in range(4)}
    (folder / "many.onnx").write_bytes(models.chain(weights).SerializeToString())

    def report(*options):
        assert nibble("many.onnx", *options, "--json", "r.json").status == 0
        return json.loads((folder / "r.json").read_text())

    plain = report("-o", "plain.onnx")
    found = report("-o", "out.onnx", "--hints")
    assert (folder / "out.onnx").read_bytes() == (folder / "plain.onnx").read_bytes()
    assert plain["hints"] == []
    assert {h["options"].split()[0] for h in found["hints"]} == {
        "--block-size", "--type", "--bits-per-weight"}
    for hint in found["hints"]:
        tried = report("-o", "out.onnx", *hint["options"].split())
        gain = tried["estimated_snr_db"] - plain["estimated_snr_db"]
        bits = tried["bits_per_weight"] - plain["bits_per_weight"]
        assert abs(gain - hint["snr_db"]) < 0.01 and abs(bits - hint["bits_per_weight"]) < 0.01
    assert report("--dry-run", "--hints")["hints"] == found["hints"]
    text = nibble("many.onnx", "--dry-run", "--hints").text
    assert "\n    --block-size 32        " in text and " dB  +" in text
    assert nibble("many.onnx", "--dry-run", "--hints", "--block-size", "32").status == 2
