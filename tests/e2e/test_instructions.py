"""Instruction counts of fixed small runs. They may not grow unnoticed.

valgrind's callgrind counts them, so they are the same on a busy and on an idle machine. The
counts in instructions.json are for the compiler that this file names. These tests skip with
any other compiler. Update the file after a change that is meant to cost more:

    python tests/e2e/test_instructions.py --update
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "instructions.json")
PROGRAM = os.environ.get("NIBBLE", os.path.join(ROOT, "build", "nibble"))
GROWTH = 1.05

MODEL = os.path.join(ROOT, "models", "bible_lm_dynamo18.onnx")
RUNS = {
    "rtn, avx2": ["--method", "rtn", "--cpu", "avx2"],
    "rtn, scalar": ["--method", "rtn", "--cpu", "scalar"],
    "rtn, block 32, uint4": ["--method", "rtn", "--cpu", "avx2", "--block-size", "32",
                             "--type", "uint4"],
    "default method, avx2": ["--cpu", "avx2"],
    "dry run": ["--dry-run"],
}


def compiler():
    """The name and version of the compiler that built the program, or None if meson did not
    build it."""
    log = os.path.join(os.path.dirname(os.path.abspath(PROGRAM)), "meson-logs",
                       "meson-log.txt")
    if not os.path.exists(log):
        return None
    with open(log, errors="replace") as file:
        found = re.search(r"C compiler for the host machine: \S+ \((\S+) (\S+)", file.read())
    return f"{found[1]} {found[2]}" if found else None


def count(options):
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out",
                   PROGRAM, "quantize", MODEL, "-q", "--threads", "1", *options]
        if "--dry-run" not in options:
            command += ["-o", f"{folder}/out.onnx"]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", run.stderr).group(1))


def expected():
    with open(FILE) as file:
        return json.load(file)


@pytest.mark.parametrize("name", RUNS)
def test_count_has_not_grown(name):
    recorded = expected()
    if compiler() != recorded["compiler"]:
        pytest.skip(f"counts are those of {recorded['compiler']}, not {compiler()}")
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is not installed")
    assert count(RUNS[name]) <= GROWTH * recorded["runs"][name], (
        f"{name}: more than 5 % above instructions.json")


def update():
    with open(FILE, "w") as file:
        json.dump({"compiler": compiler(),
                   "runs": {name: count(options) for name, options in RUNS.items()}},
                  file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    if sys.argv[1:] != ["--update"]:
        sys.exit(__doc__)
    update()
