"""Inputs for models, from wherever they are. One reader for `compare` and for calibration.

    data.read("folder", inputs)      .npz files, one run each, with an array by input name;
                                     or ONNX test data: test_data_set_*/input_*.pb
    data.read("random:8", inputs)    made up, from a seed
    data.read(iterable, inputs)      dicts of arrays by input name, or ONNX Runtime's
                                     CalibrationDataReader

Every feed is checked against what the model wants before it is run. What is wrong is named
together with what the model wants, in a DataError."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Callable, Union

import numpy as np

from ._session import Feed, Input, ModelError, Session
from .errors import DataError, MissingPackageError

Source = Union[str, "os.PathLike[str]", Iterable[Mapping[str, Any]], Any]
RANDOM_RUNS = 8


class Data(Sequence[Feed]):
    """Feeds for a model, in a fixed order. Those in files are read when they are asked
    for, so they may be more than memory holds."""

    def __init__(
        self,
        name: str,
        items: Sequence[Any],
        load: Callable[[Any], Feed],
        inputs: Sequence[Input],
        optional: Iterable[str] = (),
        is_random: bool = False,
    ):
        self.name = name
        """How messages call the data."""
        self.is_random = is_random
        """The inputs are made up: they say little of what real ones would."""
        self._items, self._load = items, load
        self._inputs, self._optional = inputs, frozenset(optional)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._with(self._items[index])
        item = self._items[index]
        where = self.name if isinstance(item, Mapping) else str(item)
        if isinstance(item, Mapping):
            where += f", run {index % len(self)}"
        return check(self._load(item), self._inputs, self._optional, where)

    def __iter__(self) -> Iterator[Feed]:
        return (self[index] for index in range(len(self)))

    def _with(self, items: Sequence[Any]) -> Data:
        return Data(self.name, items, self._load, self._inputs, self._optional, self.is_random)

    def split(self, every: int = 5) -> tuple[Data, Data]:
        """(the rest, every fifth run): data to calibrate with, and data held out to
        measure with. With fewer than two runs both parts hold all."""
        if len(self) < 2:
            return self, self
        held = range(min(every, len(self)) - 1, len(self), every)
        rest = [item for i, item in enumerate(self._items) if i not in held]
        return self._with(rest), self._with([self._items[i] for i in held])


def read(source: Source, session: Session, *, seed: int = 0) -> Data:
    """The data of a source for the model of a session. Raises DataError where there is
    none; each feed is checked when it is taken."""
    inputs, optional = session.inputs, session.overridable
    if isinstance(source, str) and re.fullmatch(r"random(:\d+)?", source):
        runs = int(source[7:] or RANDOM_RUNS)
        if runs == 0:
            raise DataError("random:0: no runs: give a number from 1 on")
        items = _random(session, runs, seed)
        return Data(source, items, dict, inputs, optional, is_random=True)
    if isinstance(source, (str, os.PathLike)):
        path = pathlib.Path(source)
        paths = _files(path)
        load = _load_npz if paths[0].suffix == ".npz" else _ProtoLoader(inputs)
        return Data(str(path), paths, load, inputs, optional)
    items = _take_all(source)
    return Data("data", items, dict, inputs, optional)


# ---- checks -----------------------------------------------------------------------------


def check(feed: Feed, inputs: Sequence[Input], optional: Iterable[str], where: str) -> Feed:
    """The feed, with numpy arrays, if the model can take it."""
    wanted = {node.name: node for node in inputs}
    wants = "the model wants " + "; ".join(map(str, inputs))
    unknown = [name for name in feed if name not in wanted and name not in set(optional)]
    absent = [name for name in wanted if name not in feed]
    if absent:
        also = f", and has {', '.join(unknown)} instead" if unknown else ""
        raise DataError(f"{where}: no array {', '.join(absent)}{also}: {wants}")
    if unknown:
        raise DataError(f"{where}: {', '.join(unknown)} is no input of the model: {wants}")
    sizes: dict[str, tuple[int, str]] = {}
    arrays = {}
    for name, value in feed.items():
        arrays[name] = array = np.asarray(value)
        if name in wanted:
            _check_array(array, wanted[name], sizes, where)
    return arrays


def _check_array(
    array: np.ndarray, node: Input, sizes: dict[str, tuple[int, str]], where: str
) -> None:
    # A size is negative in none of the arrays: the first array of a name sets it.
    has = f"{where}: {node.name} has type {array.dtype} and shape {list(array.shape)}"
    wants = f"the model wants {node}"
    kind = "object" if array.dtype.kind in "USO" else array.dtype.name
    if kind != node.dtype:
        hint = "" if node.dtype == "object" else f': convert it with .astype("{node.dtype}")'
        raise DataError(f"{has}, {wants}{hint}")
    if array.ndim != len(node.shape):
        raise DataError(f"{has}, {wants}: {array.ndim} dimensions, not {len(node.shape)}")
    for axis, (size, dim) in enumerate(zip(array.shape, node.shape)):
        if isinstance(dim, int) and size != dim:
            raise DataError(f"{has}, {wants}: axis {axis} is {size}, not {dim}")
        if isinstance(dim, str):
            known, first = sizes.setdefault(dim, (size, node.name))
            if known != size:
                raise DataError(f"{has}, {wants}: {dim} is {known} in {first}")


# ---- files ------------------------------------------------------------------------------


def _natural(path: pathlib.Path) -> list[Any]:
    """Sorts "input_10" behind "input_9"."""
    parts = re.split(r"(\d+)", str(path))
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def _files(path: pathlib.Path) -> list[pathlib.Path]:
    """The .npz files of a path, or the folders of test data; one or more."""
    if path.is_file() and path.suffix == ".npz":
        return [path]
    if not path.is_dir():
        what = "is no .npz file" if path.exists() else "does not exist"
        raise DataError(f"{path}: {what}: name a folder with .npz files, one for each run")
    arrays = sorted(path.glob("*.npz"), key=_natural)
    if arrays:
        return arrays
    candidates = [path, *(folder for folder in path.iterdir() if folder.is_dir())]
    folders = sorted((f for f in candidates if any(f.glob("input_*.pb"))), key=_natural)
    if not folders:
        raise DataError(
            f"{path}: holds neither .npz files nor ONNX test data "
            "(test_data_set_0/input_0.pb): save each run with "
            'numpy.savez("0.npz", name_of_input=array)'
        )
    return folders


def _load_npz(path: pathlib.Path) -> Feed:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # zipfile, zlib, pickle: damage has many names
        raise DataError(f"{path}: can't be read as .npz: {error}") from error


class _ProtoLoader:
    """Reads a folder of input_*.pb. A tensor's name counts if it has one of an input's,
    otherwise its number does."""

    def __init__(self, inputs: Sequence[Input]):
        self._names = [node.name for node in inputs]

    def __call__(self, folder: pathlib.Path) -> Feed:
        try:
            import onnx
        except ImportError as error:
            raise MissingPackageError(
                f"{folder}: .pb files are read by onnx: pip install onnx"
            ) from error
        feed = {}
        for path in sorted(folder.glob("input_*.pb"), key=_natural):
            tensor = onnx.TensorProto()
            try:
                tensor.ParseFromString(path.read_bytes())
                array = onnx.numpy_helper.to_array(tensor)
            except Exception as error:
                raise DataError(f"{path}: can't be read as a tensor: {error}") from error
            number = int(re.findall(r"\d+", path.stem)[-1]) if path.stem[6:] else 0
            if tensor.name in self._names:
                feed[tensor.name] = array
            elif number < len(self._names):
                feed[self._names[number]] = array
            else:
                raise DataError(
                    f"{path}: the model has {len(self._names)} inputs: {', '.join(self._names)}"
                )
        return feed


# ---- objects ----------------------------------------------------------------------------


def _take_all(source: Any) -> list[Mapping[str, Any]]:
    """The runs of an iterable, or of a CalibrationDataReader. They are kept, since they
    are looked at more than once, and may be had only once."""
    if isinstance(source, Mapping):
        raise DataError("data is one run: give a list of runs, [{name: array, ...}, ...]")
    if hasattr(source, "get_next"):
        if hasattr(source, "rewind"):
            try:
                source.rewind()
            except NotImplementedError:
                pass
        runs = list(iter(source.get_next, None))
    elif isinstance(source, Iterable):
        runs = list(source)
    else:
        raise DataError(
            f"data is {type(source).__name__}: give a folder, 'random', or an iterable of "
            "{name: array}"
        )
    if not runs:
        raise DataError("data holds no run")
    for i, run in enumerate(runs):
        if not isinstance(run, Mapping):
            raise DataError(
                f"data, run {i} is {type(run).__name__}: give a dict, {{name: array}}"
            )
    return runs


# ---- random -----------------------------------------------------------------------------

# Tried in this order for sizes that the caller chooses, until the model runs.
SIZES = (16, 64, 224, 1, 2, 8, 32, 48, 128, 256, 512, 3)
# Whole numbers are ids or counts: those below some limit that nobody knows here.
LIMITS = (100, 2)


def _random(session: Session, runs: int, seed: int) -> list[Mapping[str, Any]]:
    """Runs of made-up inputs. Sizes and the range of whole numbers are those of the first
    combination that the model runs with."""
    for node in session.inputs:
        if node.dtype == "object" or "(" in node.dtype:
            raise DataError(f"random: no {node.dtype} can be made up for input {node.name}")
    trouble: ModelError | None = None
    for limit in LIMITS:
        for size in SIZES:
            rng = np.random.default_rng(seed)
            try:
                session.run(_random_feed(session.inputs, size, limit, rng))
            except ModelError as error:
                trouble = trouble or error
                continue
            rng = np.random.default_rng(seed)
            return [_random_feed(session.inputs, size, limit, rng) for _ in range(runs)]
        if all(np.dtype(node.dtype).kind not in "iu" for node in session.inputs):
            break
    raise DataError(
        f"random: the model runs with none of the shapes that were tried: {trouble}\n"
        "Give inputs of your own: --data FOLDER"
    )


def _random_feed(
    inputs: Sequence[Input], size: int, limit: int, rng: np.random.Generator
) -> Feed:
    """The first axis is taken for a batch of 1, where the model doesn't say its size."""
    feed = {}
    for node in inputs:
        dims = [
            dim if isinstance(dim, int) else 1 if axis == 0 else size
            for axis, dim in enumerate(node.shape)
        ]
        feed[node.name] = _random_array(node, dims, limit, rng)
    return feed


def _random_array(
    node: Input, dims: list[int], limit: int, rng: np.random.Generator
) -> np.ndarray:
    dtype = np.dtype(node.dtype)
    if dtype.kind == "b":
        return np.ones(dims, dtype)
    if dtype.kind in "iu":
        if "mask" in node.name.lower():
            return np.ones(dims, dtype)
        return np.asarray(rng.integers(0, limit, dims)).astype(dtype)
    return np.asarray(rng.standard_normal(dims)).astype(dtype)
