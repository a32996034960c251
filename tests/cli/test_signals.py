"""The program dies of signals, but removes its temporary files first. SIGBUS becomes an error.
Progress is shown on a terminal only."""

import os
import pty
import re
import signal
import time

import numpy as np
import pytest

import models


@pytest.fixture
def large(folder):
    """Work for a second or more that takes no space on the disk."""
    models.sparse(folder, 2)
    yield "large.onnx"
    (folder / "hole.bin").unlink()


def wait_for_temporary(folder, process):
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if any(name.endswith(".tmp") for name in os.listdir(folder)):
            return
        time.sleep(0.001)
    raise AssertionError("no temporary file was seen")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal(nibble, folder, large, number):
    (folder / "out.onnx").write_text("old")
    before = sorted(os.listdir(folder))
    process = nibble.start(large, "-o", "out.onnx", "--threads", "1")
    wait_for_temporary(folder, process)
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == -number
    assert out == b""
    assert sorted(os.listdir(folder)) == before
    assert (folder / "out.onnx").read_text() == "old"


@pytest.mark.parametrize("size", [0, 5000])
@pytest.mark.parametrize("name", ["model.onnx", "hole.bin"])
def test_truncated_while_it_is_read(nibble, folder, name, size):
    """The system sends SIGBUS to a program that reads the missing part. The user must not see
    it."""
    models.sparse(folder, 2)
    weights = {f"w{i}": models.integers(1024, 1024) for i in range(4)}
    (folder / "model.onnx").write_bytes(models.chain(weights).SerializeToString())
    before = sorted(os.listdir(folder))
    model = "model.onnx" if name == "model.onnx" else "large.onnx"
    process = nibble.start(model, "-o", "out.onnx", "--threads", "1", "--method", "exact")
    wait_for_temporary(folder, process)
    process.send_signal(signal.SIGSTOP)
    os.truncate(folder / name, size)
    process.send_signal(signal.SIGCONT)
    _, text = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"{name}: was truncated by another program" in text.decode()
    assert sorted(os.listdir(folder)) == before


def test_signal_while_reading_standard_input(nibble, folder):
    ours, theirs = os.pipe()
    process = nibble.start("-", "-o", "out.onnx", stdin=ours)
    os.write(theirs, models.plain()[:100])
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert os.listdir(folder) == ["model.onnx"]
    os.close(ours)
    os.close(theirs)


def cpu_seconds(process):
    with open(f"/proc/{process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[11]) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="no /proc here")
@pytest.mark.parametrize("model, options", [
    ("slow.onnx", ["--method", "exact", "--type", "uint8", "--per-channel"]),
    ("slow.onnx", ["--method", "exact", "--type", "uint8", "--block-size", "10000019"]),
    ("large.onnx", ["--method", "search", "--type", "uint8", "--per-tensor"]),
    ("large.onnx", ["--method", "search", "--block-size", "10000019"])], ids=str)
def test_stops_soon(nibble, folder, large, model, options):
    """Long fits look at the flag, too. CPU time is measured, so that other work on the machine
    does not count; without the system's, which gives back much memory at the end. Each of these
    takes a second of it at least."""
    rng = np.random.default_rng(1)
    weight = rng.standard_normal((16, 16384)).astype(np.float32)
    slow = {"w": weight, "t": np.ascontiguousarray(weight.T)}
    (folder / "slow.onnx").write_bytes(models.chain(slow).SerializeToString())
    process = nibble.start(model, "-o", "out.onnx", "--threads", "1", *options)
    wait_for_temporary(folder, process)
    while cpu_seconds(process) < 0.05:
        assert process.poll() is None, "it ended too early for this test"
        time.sleep(0.001)
    before = cpu_seconds(process)
    process.send_signal(signal.SIGTERM)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = 0
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM
    assert used.ru_utime - before < 0.1  # 50 ms, and the clock's ticks


def test_block_longer_than_the_axis(nibble, folder):
    """The work depends on the data, not on the size of a block."""
    weight = models.integers(64, 4096)
    (folder / "wide.onnx").write_bytes(models.chain({"w": weight}).SerializeToString())
    for block in ["8192", "10000019", "2147483647"]:
        process = nibble.start("wide.onnx", "-o", "out.onnx", "-q", "--block-size", block)
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
        assert used.ru_utime < 1


def test_ignored_signal_stays_ignored(nibble, folder, large):
    process = nibble.start(large, "-o", "out.onnx", "-q", preexec_fn=lambda: signal.signal(
        signal.SIGHUP, signal.SIG_IGN))
    wait_for_temporary(folder, process)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=120)
    assert process.returncode == 0 and (folder / "out.onnx").exists()


def test_progress_on_a_terminal(nibble, folder, large):
    ours, theirs = pty.openpty()
    started = time.monotonic()
    process = nibble.start(large, "-o", "out.onnx", stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            break  # the other end is closed
        if not part:
            break
        shown += part
    process.communicate(timeout=120)
    seconds = time.monotonic() - started
    os.close(ours)
    assert process.returncode == 0
    lines = shown.count(b"\rquantizing ")
    assert lines <= 6 * seconds + 2
    if lines:  # it took more than a second
        assert re.search(rb"quantizing +\d+ % of [\d.]+ MB, [\d.]+ MB/s, \d+ s left", shown)
        assert shown.endswith(b"\r")  # cleared
    else:
        assert shown == b"" and seconds < 30


def test_no_progress_for_short_work(nibble, folder):
    ours, theirs = pty.openpty()
    process = nibble.start("model.onnx", "-o", "out.onnx", stderr=theirs)
    process.communicate(timeout=120)
    os.write(theirs, b"end\n")
    assert os.read(ours, 4096) == b"end\r\n"
    os.close(theirs)
    os.close(ours)


def test_no_progress_elsewhere(nibble, large):
    assert nibble(large, "-o", "out.onnx").err == ""
