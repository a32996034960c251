"""The examples run, and int4 costs their models next to nothing. They need torch."""

import pathlib
import subprocess
import sys

import pytest

from conftest import ROOT

pytest.importorskip("torch", reason="no torch: the examples were NOT run")
pytest.importorskip("onnxscript", reason="no onnxscript: the examples were NOT run")

# What may be lost: shares of right answers, or bits per character.
EXAMPLES = {"vision": 0.02, "language": -0.05, "speech": 0.02}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name, tmp_path):
    source = (
        f"import {name}, pathlib; print(repr({name}.main(pathlib.Path({str(tmp_path)!r}))))"
    )
    folders = [str(pathlib.Path(ROOT) / folder) for folder in ("python", "examples")]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {folders!r}; {source}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    result = eval(done.stdout.strip().splitlines()[-1])
    lost = result["float"] - result["int4"]
    assert lost <= EXAMPLES[name] if EXAMPLES[name] > 0 else lost >= EXAMPLES[name], result
    size = {path.name: path.stat().st_size for path in tmp_path.glob("*.onnx")}
    assert size["int4.onnx"] < size["float.onnx"] / 3
