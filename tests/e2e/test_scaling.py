"""Time and memory grow with the model and no faster. Three times the weights, nodes or nested
bodies cost about three times the instructions, and twice as many about twice the memory.
valgrind's callgrind counts instructions, so it does not matter how busy the machine is."""

import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import make_many  # noqa: E402

TIMES = 3
GROWTH = 1.1 * TIMES
COUNTS = {"weights": 250, "nodes": 1000, "bodies": 400}
QUANTIZE = ["quantize", "-q", "--method", "rtn", "--threads", "1", *make_many.MIN_ELEMENTS]
COMMANDS = {"quantize": QUANTIZE,
            "load": [*QUANTIZE, "--decode", "load"],
            "upgrade": ["upgrade"],
            "inspect": ["inspect", "--min-elements", "1024"]}

# Memory is measured on more parts, so that the program itself does not matter.
MANY = 40
# How much the peak may grow for each part: structs of protobuf-c, indices, a report. This
# is a quarter more than it does grow. The mapped file's bytes are given back as they are
# read.
PART = {"weights": 3000, "nodes": 650, "bodies": 2400}

# Starts a command and prints its peak in kB. A process keeps the peak that it had before
# exec, so pytest itself can't be the parent.
PEAK = """
import json, os, sys
pid = os.fork()
if not pid:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_maxrss]))
"""


def words(nibble, command, model):
    out = [] if command == "inspect" else ["-o", model.with_name("out.onnx")]
    return list(map(str, [nibble, *COMMANDS[command], model, *out]))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """models(KIND, COUNT) -> path"""
    folder = tmp_path_factory.mktemp("scaling")

    def models(kind, count):
        path = folder / f"{kind}-{count}.onnx"
        if not path.exists():
            make_many.write(kind, count, path)
        return path

    return models


def instructions(command, folder):
    done = subprocess.run(["valgrind", "--tool=callgrind",
                           f"--callgrind-out-file={folder}/callgrind", *command],
                          capture_output=True, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1))


def peak(command):
    done = subprocess.run([sys.executable, "-I", "-S", "-c", PEAK, *command],
                          capture_output=True, text=True, check=True)
    status, kilobytes = json.loads(done.stdout)
    assert status == 0
    return kilobytes * 1024


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", COUNTS)
def test_time(kind, command, nibble, models, tmp_path):
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is not installed")
    few, many = (instructions(words(nibble, command, models(kind, step * COUNTS[kind])), tmp_path)
                 for step in (1, TIMES))
    assert many <= GROWTH * few


def test_largest_form(nibble, tmp_path):
    """Limits that guard against harmful files ignore what nibble adds."""
    model = tmp_path / "model.onnx"
    make_many.write("weights", 40_000, model)
    subprocess.run([nibble, *COMMANDS["quantize"], "--decode", "portable", model,
                    "-o", tmp_path / "out.onnx"], check=True)
    model.unlink()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", COUNTS)
def test_memory(kind, command, nibble, models):
    if b"__asan_init" in nibble.read_bytes():
        pytest.skip("sanitizers take memory of their own")
    paths = [models(kind, step * MANY * COUNTS[kind]) for step in (1, 2)]
    peaks = [peak(words(nibble, command, path)) for path in paths]
    assert peaks[1] <= 2.2 * peaks[0], peaks
    assert peaks[1] - peaks[0] <= MANY * COUNTS[kind] * PART[kind], peaks
