"""Environments for other programs, each in a folder of its own below build/. They are made on
demand: virtual environments of Python, and folders of npm packages."""

import pathlib
import shutil
import subprocess
import sys
import venv

BUILD = pathlib.Path(__file__).resolve().parents[1] / "build"


def python(name, *packages):
    """The Python in build/NAME with these packages."""
    folder = BUILD / name
    program = folder / "bin" / "python"
    if not _is_ready(folder, packages):
        venv.create(folder, with_pip=True, clear=True)
        _run([program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
              *packages], folder)
        _set_ready(folder, packages)
    return program


def node(name, *packages):
    """The folder build/NAME, whose node_modules has these packages."""
    folder = BUILD / name
    if not _is_ready(folder, packages):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts",
              *packages], folder)
        _set_ready(folder, packages)
    return folder


def _is_ready(folder, packages):
    stamp = folder / "packages.txt"
    return stamp.exists() and stamp.read_text() == "\n".join(packages)


def _set_ready(folder, packages):
    (folder / "packages.txt").write_text("\n".join(packages))


def _run(command, folder):
    subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)
