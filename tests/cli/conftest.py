"""Runs the program that NIBBLE names (default: build/nibble). Each test has a folder of its own
with small models. It is the working folder of the program."""

import os
import pathlib
import signal
import subprocess
import types

import pytest

import models

PROGRAM = pathlib.Path(os.environ.get("NIBBLE", "build/nibble")).resolve()
TIMEOUT = 120


def default_signals():
    """A shell starts background jobs with SIGINT ignored, and children inherit that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Program:
    """Calls the program in one folder."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, *arguments, stdin=b"", stdout=subprocess.PIPE):
        done = subprocess.run([PROGRAM, *arguments], cwd=self.folder, input=stdin,
                              stdout=stdout, stderr=subprocess.PIPE, timeout=TIMEOUT)
        return types.SimpleNamespace(status=done.returncode, out=done.stdout,
                                     text=(done.stdout or b"").decode(errors="replace"),
                                     err=done.stderr.decode())

    def start(self, *arguments, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE, "preexec_fn": default_signals, **options}
        return subprocess.Popen([PROGRAM, *arguments], cwd=self.folder, **options)


@pytest.fixture
def folder(tmp_path):
    """A folder with model.onnx in it."""
    (tmp_path / "model.onnx").write_bytes(models.plain())
    return tmp_path


@pytest.fixture
def nibble(folder):
    return Program(folder)
