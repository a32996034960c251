"""struct nibble_calibration: what the library knows of a model's activations. Its calls
take numpy arrays; the mathematics is the library's (docs/calibration.md)."""

from __future__ import annotations

import ctypes
import functools
import os
from typing import Any, Union

import numpy as np

from . import _library
from ._session import Feed
from .errors import DataError

Path = Union[str, "os.PathLike[str]"]

# numpy's types as TensorProto.DataType.
TYPES = {"float32": 1, "float16": 10, "float64": 11}


@functools.cache
def _load_openblas() -> ctypes.CDLL | None:
    """OpenBLAS as pip installs it: the library finds what is loaded already. None where it
    is not there: then the library takes the system's."""
    try:
        import scipy_openblas32 as package
    except ImportError:
        return None
    try:
        return ctypes.CDLL(os.path.join(package.get_lib_dir(), package.get_library(True)))
    except OSError:
        return None


class Calibration:
    """One handle."""

    def __init__(self, path: str, options: _library.Options):
        _load_openblas()
        self._library = _library.library()
        self._handle = ctypes.c_void_p()
        self._begun: tuple[str, _library.Options] | None = None
        self._has_kept = False
        self._call("create", os.fsencode(path), options, ctypes.byref(self._handle))

    def _call(self, name: str, *arguments: Any) -> None:
        error = _library.Error()
        function = getattr(self._library, f"nibble_calibration_{name}")
        _library.check(function(*arguments, error), error)

    def close(self) -> None:
        self._library.nibble_calibration_free(self._handle)
        self._handle = ctypes.c_void_p()

    def connect(self, options: _library.Options) -> None:
        options.calibration = self._handle.value

    def tensors(self) -> list[str]:
        """Names of the tensors to observe: inputs and outputs of the instrumented model."""
        count = self._library.nibble_calibration_count(self._handle)
        return [
            self._library.nibble_calibration_tensor(self._handle, i).decode()
            for i in range(count)
        ]

    def runs(self) -> int:
        return int(self._library.nibble_calibration_runs(self._handle))

    def instrument(self, path: str) -> None:
        self._call("instrument", self._handle, os.fsencode(path))

    def save(self, path: Path) -> None:
        self._call("save", self._handle, os.fsencode(path))

    def load(self, path: Path) -> None:
        self._call("load", self._handle, os.fsencode(path))

    def observe(self, arrays: Feed) -> None:
        """Takes one run in: the tensors by name."""
        rows, kept = _rows(arrays)
        self._call("observe", self._handle, *rows)
        del kept

    # ---- trials -------------------------------------------------------------------------

    def begin_trials(self, path: str, options: _library.Options) -> list[_library.Trial]:
        """Writes the model for trials. Each trial lives until the next call of this. What
        trials kept before is gone."""
        self._has_kept = False
        self._call("begin_trials", self._handle, options, os.fsencode(path))
        self._begun = path, options
        count = self._library.nibble_calibration_trial_count(self._handle)
        return [
            self._library.nibble_calibration_trial(self._handle, i).contents
            for i in range(count)
        ]

    def attempt(self, index: int, trial: _library.Trial, keep: bool = False) -> Feed:
        """What to feed for the trial: the weight as it would be quantized, and its bias."""
        values = np.empty(trial.dims[: trial.rank], np.float32)
        feed, bias = {trial.name.decode(): values}, np.empty(0, np.float32)
        if trial.bias_name:
            bias = np.empty(trial.bias_dims[: trial.bias_rank], np.float32)
            feed[trial.bias_name.decode()] = bias
        self._has_kept |= keep
        self._call("try", self._handle, index, keep, values.ctypes.data, bias.ctypes.data)
        return feed

    def forget(self) -> None:
        """What trials have kept is gone."""
        if self._has_kept and self._begun:
            self.begin_trials(*self._begun)

    def weigh(self, index: int, noise: float) -> None:
        self._call("weigh", self._handle, index, noise)

    def observe_step(self, step: int, before: Feed, now: Feed) -> None:
        """Takes one run in: of the float model, and of what has been kept so far."""
        (rows, kept), (rows_now, kept_now) = _rows(before), _rows(now)
        self._call("observe_step", self._handle, step, *rows, *rows_now)
        del kept, kept_now


def _rows(arrays: Feed) -> tuple[tuple[Any, int], Any]:
    """(an array of struct nibble_array, its length), and what must live as long as it."""
    made = [_array(name, value) for name, value in arrays.items()]
    rows = (_library.Array * len(made))(*(row for row, _ in made))
    return (rows, len(made)), made


def _array(name: str, value: np.ndarray) -> tuple[_library.Array, Any]:
    """struct nibble_array, and what must live as long as it."""
    value = np.ascontiguousarray(value)
    if value.dtype.name not in TYPES:
        raise DataError(f"{name}: {value.dtype} can't be observed: it is no float")
    dims = (ctypes.c_int64 * max(value.ndim, 1))(*value.shape)
    name_bytes = name.encode()
    row = _library.Array(
        name_bytes, TYPES[value.dtype.name], dims, value.ndim, value.ctypes.data
    )
    return row, (value, dims, name_bytes)
