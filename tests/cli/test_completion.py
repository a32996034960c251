"""nibble completion SHELL: scripts that the shells accept, with every option and word."""

import re
import shutil
import subprocess

import pytest

SHELLS = ["bash", "zsh", "fish"]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_option_is_completed(nibble, shell):
    run = nibble("completion", shell)
    assert (run.status, run.err) == (0, "")
    for command in "quantize", "inspect", "upgrade", "compare":
        assert command in run.text
        for name in re.findall(r"^  .{4}--([\w-]+)", nibble(command, "--help-all").text, re.M):
            assert re.search(rf"(--|-l ){name}\b", run.text), name
    for word in "uint4", "genai-int4-mixed", "portable":
        assert word in run.text


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_accepts_it(nibble, shell):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    check = subprocess.run([shell, "-n"], input=nibble("completion", shell).out,
                           capture_output=True, timeout=60)
    assert (check.returncode, check.stderr) == (0, b"")


@pytest.mark.parametrize("line, words", [
    ("nibble inspect --pri", ["--print-config"]), ("nibble m.onnx --type ui", ["uint4", "uint8"]),
    ("nibble upg", ["upgrade"]), ("nibble upgrade m.onnx --ops", ["--opset"]),
    ("nibble compare a b --op", []), ("nibble mod", ["model.onnx"])])
def test_bash_completes(nibble, folder, line, words):
    script = nibble("completion", "bash").text + f"""
COMP_WORDS=({line}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_nibble
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    run = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True,
                         timeout=60)
    assert (run.stdout.split(), run.stderr) == (words, "")


def test_other_shells(nibble):
    assert nibble("completion", "tcsh").status == 2
