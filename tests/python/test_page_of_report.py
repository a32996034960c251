"""The HTML page from Python: of reports, of comparisons, with what data have shown. tests/cli
has the tests of the page itself."""

import html
import os
import subprocess
import sys

import pytest

import nibble
from conftest import normal


def runs(count=10):
    return [{"x": normal(4, 64, seed=seed)} for seed in range(count)]


def test_a_page_is_written(path, tmp_path):
    page = tmp_path / "page.html"
    report = nibble.quantize(path, tmp_path / "out.onnx", block_size=16, report=page)
    text = page.read_text()
    assert text == report.to_html() + "\n" and text.count("<svg") == 2
    command = f"nibble quantize {path} -o {tmp_path / 'out.onnx'} --block-size 16"
    assert html.escape(command) in text


def test_a_model_in_memory(model, tmp_path):
    page = tmp_path / "page.html"
    nibble.quantize(model, report=page)
    assert "nibble quantize ... --report" in page.read_text()
    assert "nibble-model-" not in page.read_text()
    nibble.inspect(model, report=page)
    assert "elements (--min-elements)" in page.read_text()


def test_outputs_on_data(path, tmp_path):
    page = tmp_path / "page.html"
    report = nibble.quantize(path, tmp_path / "out.onnx", data=runs(), report=page)
    text = page.read_text()
    (output,) = report.outputs
    assert "<h2>Outputs</h2>" in text and f"{output.snr_db:.1f} dB" in text
    assert f"{output.cosine:.6f}" in text and "Layer output" in text
    assert "8 runs, and 2 held out" in text


def test_the_program_with_data(path, tmp_path, program):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = ["-m", "nibble._quantize_program", path, "-o", tmp_path / "out.onnx", "--data"]
    words += ["random:4", "--report", tmp_path / "page.html", "--json", tmp_path / "r.json"]
    done = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "--data random:4" in (tmp_path / "page.html").read_text()
    again = program("report", tmp_path / "r.json", "-o", tmp_path / "again.html")
    assert again.returncode == 0
    assert (tmp_path / "again.html").read_text() == (tmp_path / "page.html").read_text()


def test_side_by_side(path, tmp_path):
    first = nibble.quantize(path, tmp_path / "a.onnx")
    second = nibble.quantize(path, tmp_path / "b.onnx", type="int8")
    found = nibble.compare(path, tmp_path / "b.onnx", data=runs(2))
    text = first.to_html(second)
    assert "int4 block 64" in text and "int8 block 64" in text
    assert "Outputs" in first.to_html(found) and "Time of a run" in found.to_html()


def test_other_files_stay(path, tmp_path):
    before = path.read_bytes()
    with pytest.raises(nibble.OptionError, match="would replace"):
        nibble.quantize(path, tmp_path / "out.onnx", report=path)
    assert path.read_bytes() == before
    with pytest.raises(nibble.OptionError, match="would replace"):
        nibble.quantize(path, tmp_path / "out.onnx", report=tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()  # refused before the work
    for wrong in ("", 7, True):
        with pytest.raises(nibble.OptionError, match="report takes a path"):
            nibble.quantize(path, tmp_path / "out.onnx", report=wrong)
