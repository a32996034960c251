"""Files that the programs write: whole or not at all, and never over a file of the run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator

from .errors import OptionError


def data_files(model: str) -> list[str]:
    """The files of external data that a model names. Empty if onnx is not installed."""
    try:
        import onnx
        from onnx.external_data_helper import ExternalDataInfo, _get_all_tensors
    except ImportError:
        return []
    if model.endswith(".gz") or not os.path.exists(model):
        return []
    try:
        loaded = onnx.load(model, load_external_data=False)
    except Exception:  # an old output may be anything
        return []
    folder = os.path.dirname(model)
    names = {
        ExternalDataInfo(tensor).location
        for tensor in _get_all_tensors(loaded)
        if tensor.data_location == onnx.TensorProto.EXTERNAL
    }
    return [os.path.join(folder, name) for name in sorted(names)]


def _place(path: str) -> tuple[object, ...]:
    """What two names of one file have in common, whether it exists or not."""
    real = os.path.realpath(path)
    try:
        found = os.stat(real)
    except OSError:
        return (real,)
    return (found.st_dev, found.st_ino)


def check_report(path: str, models: Iterable[str], option: str) -> None:
    """Refuses a report that would replace a model or its data. Call it before the work, and
    again before the report is written: by then the output has its data."""
    if path == "-":
        return
    files = [name for model in models for name in (model, *data_files(model))]
    if _place(path) in map(_place, files):
        raise OptionError(
            f"{option} would replace {path}, a file of a model: name another file"
        )


@contextlib.contextmanager
def work_folder(output: str) -> Iterator[str]:
    """A folder beside an output, for what it is made of. Removes those that processes have
    left which were killed: a living one has its folder locked."""
    folder, name = os.path.split(os.path.realpath(output))
    prefix = f".{name[:200]}.work-"
    for entry in os.scandir(folder or "."):
        if entry.name.startswith(prefix) and entry.is_dir(follow_symlinks=False):
            with _locked(entry.path) as locked:
                if locked:
                    shutil.rmtree(entry.path, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder) as made, _locked(made):
        yield made


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[bool]:
    """Whether no other process had it locked. The lock ends with the process."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = True
    except OSError:
        free = False
    try:
        yield free
    finally:
        os.close(descriptor)


def write_report(path: str, text: str, models: Iterable[str], option: str = "--json") -> None:
    """Replaces a file in one rename. Refuses to replace a model or its data. "-" is standard
    output."""
    check_report(path, models, option)
    if path == "-":
        print(text, end="")
        return
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "w", encoding="utf-8") as stream:  # a pipe or a device
            stream.write(text)
        return
    folder, name = os.path.split(path)
    descriptor, temporary = tempfile.mkstemp(
        prefix=f".{name[:200]}.", suffix=".tmp", dir=folder
    )
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            mask = os.umask(0)
            os.umask(mask)
            mode = os.stat(path).st_mode if os.path.exists(path) else 0o666 & ~mask
            os.fchmod(file.fileno(), mode & 0o777)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
