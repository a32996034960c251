"""The package as pip builds and installs it: program and library in one wheel. NIBBLE_WHEEL
names another wheel to test: what ./dev wheel has made suits every Python."""

import os
import pathlib
import signal
import subprocess
import sys
import zipfile

import onnx
import pytest

from conftest import ROOT, chain, normal

SCRIPT = """
import sys, nibble
report = nibble.quantize(sys.argv[1], sys.argv[2])
print(nibble.version(), report.quantized, nibble.__file__)
"""

# Another program truncates the model while it is read. Later signals are the system's again.
TRUNCATED = """
import faulthandler, os, signal, sys, nibble
faulthandler.enable()
def truncate(done, total):
    os.truncate(sys.argv[1], 5000)
try:
    nibble.quantize(*sys.argv[1:], threads=1, method="exact", progress=truncate)
except nibble.ReadError as error:
    print(error, flush=True)
os.kill(os.getpid(), signal.SIGBUS)
"""


def bare_environment():
    """Without this folder's package and library, and with the programs of this venv."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NIBBLE_LIBRARY", "PYTHONPATH")
    }
    environment["PATH"] = f"{pathlib.Path(sys.executable).parent}:{environment['PATH']}"
    return environment


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel named in NIBBLE_WHEEL, or one that is built here."""
    if "NIBBLE_WHEEL" in os.environ:
        return pathlib.Path(os.environ["NIBBLE_WHEEL"]).absolute()
    folder = tmp_path_factory.mktemp("wheel")
    command = ["-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w"]
    done = subprocess.run(
        [sys.executable, *command, folder, ROOT],
        env=bare_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_contents(wheel):
    name = wheel.name.split("-")
    assert name[0] == "nibble_onnx"
    if "NIBBLE_WHEEL" in os.environ:
        assert name[2:4] == ["py3", "none"] and name[4].startswith("manylinux")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    modules = {f"nibble/{path.name}" for path in (ROOT / "python/nibble").glob("*.py")}
    assert modules <= set(names), "python/meson.build lists the modules"
    assert "nibble/py.typed" in names and "nibble/libnibble.so" in names
    assert any(name.endswith(".data/scripts/nibble") for name in names)
    assert not any(".h" in name or name.endswith(".a") for name in names)


def test_fresh_environment(wheel, path, tmp_path):
    fresh = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", fresh], check=True)
    target = next(fresh.glob("lib/python*/site-packages"))
    install = [
        "-m",
        "pip",
        f"--python={fresh}/bin/python",
        "install",
        "--no-deps",
        "--no-index",
    ]
    subprocess.run([sys.executable, *install, "-q", wheel], env=bare_environment(), check=True)
    # numpy from here: the test needs no network.
    numpy = pathlib.Path(pytest.importorskip("numpy").__file__).parents[1]
    (target / "here.pth").write_text(f"{numpy}\n")
    done = subprocess.run(
        [fresh / "bin/python", "-I", "-c", SCRIPT, path, tmp_path / "out.onnx"],
        env=bare_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    version, quantized, where = done.stdout.split()
    assert quantized == "2" and where.startswith(str(fresh))
    command = [fresh / "bin/nibble", path, "-o", tmp_path / "two.onnx"]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "two.onnx").read_bytes() == (tmp_path / "out.onnx").read_bytes()
    shown = subprocess.run([fresh / "bin/nibble", "--version"], capture_output=True, text=True)
    assert shown.stdout == f"nibble {version}\n"
    truncated(fresh / "bin/python", tmp_path)


def truncated(python, tmp_path):
    weights = {f"w{i}": normal(512, 512, seed=i) for i in range(8)}
    onnx.save(chain(weights), tmp_path / "large.onnx")
    done = subprocess.run(
        [python, "-I", "-c", TRUNCATED, tmp_path / "large.onnx", tmp_path / "never.onnx"],
        env=bare_environment(),
        capture_output=True,
        text=True,
    )
    assert "large.onnx: was truncated by another program" in done.stdout, done.stderr
    assert done.returncode == -signal.SIGBUS and "Bus error" in done.stderr
    assert not (tmp_path / "never.onnx").exists()
