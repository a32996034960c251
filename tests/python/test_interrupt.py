"""Ctrl-C and failing callbacks stop the work, and leave nothing behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import onnx
import pytest

import nibble
from conftest import ROOT, chain, normal

RUNS = 100
# Runs in a process of its own, since KeyboardInterrupt goes to the main thread.
SCRIPT = """
import json, os, random, signal, sys, tempfile, threading, time
import nibble
model, folder, runs = sys.argv[1], sys.argv[2], int(sys.argv[3])
tempfile.tempdir = folder
content = open(model, "rb").read()
random.seed(1)
def seconds():
    begin = time.monotonic()
    nibble.quantize(model, folder + "/out.onnx")
    return time.monotonic() - begin
whole = min(seconds() for _ in range(3))  # the first one also loads things
outcome = {"interrupted": 0, "done": 0}
for run in range(runs):
    timer = threading.Timer(random.random() * whole, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        if run % 2:
            nibble.quantize(content)
        else:
            nibble.quantize(model, folder + "/out.onnx")
        outcome["done"] += 1
        timer.join()
        time.sleep(0.001)  # the signal may come now
    except KeyboardInterrupt:
        outcome["interrupted"] += 1
    timer.join()
print(json.dumps(outcome))
"""


def test_interrupted_runs_leave_nothing(tmp_path):
    onnx.save(chain({f"w{i}": normal(512, 512, seed=i) for i in range(8)}), tmp_path / "m.onnx")
    (tmp_path / "work").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path / "m.onnx", tmp_path / "work", str(RUNS)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["interrupted"] > RUNS / 4, outcome
    assert os.listdir(tmp_path / "work") == ["out.onnx"]


@pytest.fixture
def large(tmp_path):
    onnx.save(chain({f"w{i}": normal(512, 512, seed=i) for i in range(4)}), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def test_progress(large, tmp_path):
    calls = []
    nibble.quantize(large, tmp_path / "out.onnx", progress=lambda *call: calls.append(call))
    assert calls and calls == sorted(calls) and calls[-1][0] == calls[-1][1]
    nibble.quantize(large, tmp_path / "out.onnx", progress=True)


def test_callback_that_fails(large, tmp_path):
    def fail(done, total):
        raise RuntimeError("enough")

    before = sorted(os.listdir(tmp_path))
    with pytest.raises(RuntimeError, match="enough"):
        nibble.quantize(large, tmp_path / "out.onnx", progress=fail)
    assert sorted(os.listdir(tmp_path)) == before


def test_other_threads_go_on(large, tmp_path):
    """The GIL is released: this thread counts while the other one quantizes."""
    worker = threading.Thread(
        target=nibble.quantize, args=(large, tmp_path / "out.onnx"), kwargs={"method": "exact"}
    )
    worker.start()
    count = 0
    while worker.is_alive():
        count += 1
        time.sleep(0.0005)
    worker.join()
    assert count > 20


def test_two_threads_at_once(large, tmp_path):
    reports = []

    def work(number):
        reports.append(nibble.quantize(large, tmp_path / f"out{number}.onnx"))

    workers = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
    first, *others = [(tmp_path / f"out{n}.onnx").read_bytes() for n in range(3)]
    assert len(reports) == 3 and all(other == first for other in others)
