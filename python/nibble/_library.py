"""The C library, through ctypes.

ctypes rather than an extension module: one wheel then serves every version of Python, it
needs nothing but the standard library, and it releases the GIL during a call. Few calls
cross the border, and none of them in a loop. Reports cross it as JSON (docs/report.md),
whose fields never change their meaning, so only four structs have their layout repeated
here. tests/python/test_layout.py holds them against nibble.h."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import pathlib
from ctypes import (
    POINTER,
    c_bool,
    c_char,
    c_char_p,
    c_double,
    c_int,
    c_int64,
    c_size_t,
    c_uint64,
    c_void_p,
)
from typing import TYPE_CHECKING, Any

from . import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

Progress = ctypes.CFUNCTYPE(None, c_void_p, c_uint64, c_uint64)


class Options(ctypes.Structure):
    """struct nibble_options"""

    _fields_ = [
        ("size", c_size_t),
        ("type", c_int),
        ("symmetry", c_int),
        ("granularity", c_int),
        ("block_size", c_size_t),
        ("bits_per_weight", c_double),
        ("min_snr", c_double),
        ("method", c_int),
        ("scale_type", c_int),
        ("include", c_char_p),
        ("exclude", c_char_p),
        ("decode", c_int),
        ("format", c_int),
        ("target", c_int),
        ("wide_embeddings", c_bool),
        ("copy_bytes", c_uint64),
        ("min_elements", c_size_t),
        ("freeze", c_bool),
        ("no_upgrade", c_bool),
        ("external_data", c_bool),
        ("force", c_bool),
        ("unmeasured", c_bool),
        ("threads", c_int),
        ("cpu", c_char_p),
        ("progress", Progress),
        ("progress_data", c_void_p),
        ("cancel", POINTER(c_int)),
        ("guard", c_void_p),
        ("calibration", c_void_p),
        ("data_name", c_char_p),
        ("json", c_char_p),
        ("no_links", c_uint64),
        ("rules", POINTER(c_char_p)),
        ("max_size", c_uint64),
        ("page", c_char_p),
        ("command", c_char_p),
        ("histograms", c_size_t),
        ("verify", c_uint64),
        ("float16", c_uint64),
        ("top", c_size_t),
        ("hints", c_uint64),
        ("compute", c_int),
        ("io", c_int),
    ]


class Array(ctypes.Structure):
    """struct nibble_array"""

    _fields_ = [
        ("name", c_char_p),
        ("type", c_int),
        ("dims", POINTER(c_int64)),
        ("rank", c_size_t),
        ("data", c_void_p),
    ]


class Trial(ctypes.Structure):
    """struct nibble_trial"""

    _fields_ = [
        ("name", c_char_p),
        ("dims", POINTER(c_int64)),
        ("rank", c_size_t),
        ("elements", c_uint64),
        ("bias_name", c_char_p),
        ("bias_dims", POINTER(c_int64)),
        ("bias_rank", c_size_t),
        ("bias_elements", c_uint64),
        ("step", c_size_t),
        ("tensors", c_char_p * 2),
        ("noise", c_double),
    ]


class Error(ctypes.Structure):
    """struct nibble_error"""

    _fields_ = [("status", c_int), ("message", c_char * 4096)]


# Enumerators of nibble.h that have no names on the command line.
SYMMETRY_SYMMETRIC, SYMMETRY_ASYMMETRIC = 1, 2
GRANULARITY_PER_CHANNEL, GRANULARITY_PER_TENSOR, GRANULARITY_BLOCKS = 1, 2, 3

# enum nibble_status, in its order; a status that is newer than this list is an error, too.
STATUSES: list[type[errors.NibbleError] | None] = [
    None,
    errors.OptionError,
    errors.ReadError,
    errors.WriteError,
    errors.MalformedModelError,
    errors.UnsupportedModelError,
    errors.OutOfMemoryError,
    errors.CancelledError,
]

# Results that are freed by the caller come as c_void_p: as c_char_p, ctypes would copy
# them and forget the pointer.
PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {
    "nibble_version": (c_char_p, []),
    "nibble_opset_max": (c_int64, []),
    "nibble_preset_name": (c_char_p, [c_size_t]),
    "nibble_preset_config": (c_char_p, [c_char_p]),
    "nibble_options_init_sized": (None, [POINTER(Options), c_size_t]),
    "nibble_quantize": (
        c_int,
        [c_char_p, c_char_p, POINTER(Options), POINTER(c_void_p), POINTER(Error)],
    ),
    "nibble_upgrade": (
        c_int,
        [c_char_p, c_char_p, c_int64, POINTER(Options), POINTER(Error)],
    ),
    "nibble_publish": (
        c_int,
        [c_char_p, c_char_p, c_char_p, POINTER(Options), POINTER(Error)],
    ),
    "nibble_report_text": (c_void_p, [c_void_p, c_int, c_bool]),
    "nibble_report_json": (c_void_p, [c_void_p]),
    "nibble_report_free": (None, [c_void_p]),
    "nibble_snr_warning": (c_void_p, [c_double, c_bool, c_bool]),
    "nibble_page": (
        c_int,
        [c_char_p, c_char_p, c_char_p, POINTER(c_void_p), POINTER(Error)],
    ),
    "nibble_compare": (
        c_int,
        [c_char_p, c_char_p, POINTER(Options), POINTER(c_void_p), POINTER(Error)],
    ),
    "nibble_comparison_json": (c_void_p, [c_void_p]),
    "nibble_comparison_free": (None, [c_void_p]),
}
_calibration: dict[str, list[Any]] = {
    "create": [c_char_p, POINTER(Options), POINTER(c_void_p)],
    "instrument": [c_void_p, c_char_p],
    "observe": [c_void_p, POINTER(Array), c_size_t],
    "save": [c_void_p, c_char_p],
    "load": [c_void_p, c_char_p],
    "begin_trials": [c_void_p, POINTER(Options), c_char_p],
    "try": [c_void_p, c_size_t, c_bool, c_void_p, c_void_p],
    "weigh": [c_void_p, c_size_t, c_double],
    "observe_step": [
        c_void_p,
        c_size_t,
        POINTER(Array),
        c_size_t,
        POINTER(Array),
        c_size_t,
    ],
}
for _name, _arguments in _calibration.items():
    PROTOTYPES[f"nibble_calibration_{_name}"] = (c_int, [*_arguments, POINTER(Error)])
PROTOTYPES["nibble_calibration_count"] = (c_size_t, [c_void_p])
PROTOTYPES["nibble_calibration_tensor"] = (c_char_p, [c_void_p, c_size_t])
PROTOTYPES["nibble_calibration_runs"] = (c_uint64, [c_void_p])
PROTOTYPES["nibble_calibration_trial_count"] = (c_size_t, [c_void_p])
PROTOTYPES["nibble_calibration_trial"] = (POINTER(Trial), [c_void_p, c_size_t])
PROTOTYPES["nibble_calibration_free"] = (None, [c_void_p])
NAMED = ("type", "method", "scale_type", "decode", "format", "target")
for _name in NAMED:
    PROTOTYPES[f"nibble_{_name}_parse"] = (c_bool, [c_char_p, POINTER(c_int)])
    PROTOTYPES[f"nibble_{_name}_name"] = (c_char_p, [c_int])


def _path() -> pathlib.Path:
    """Where the library is. Developers may name one that is not installed."""
    named = os.environ.get("NIBBLE_LIBRARY")
    return pathlib.Path(named or pathlib.Path(__file__).parent / "libnibble.so")


@functools.cache
def library() -> ctypes.CDLL:
    """The library, loaded when it is first needed."""
    path = _path()
    try:
        loaded = ctypes.CDLL(os.fspath(path))
    except OSError as error:
        raise ImportError(
            f"{path}: the library of nibble can't be loaded: {error}\n"
            "Install the package with 'pip install nibble-onnx', or name a library that "
            "you have built in NIBBLE_LIBRARY."
        ) from error
    for name, (result, arguments) in PROTOTYPES.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    if hasattr(loaded, "nibble_guard_enter"):
        loaded.nibble_guard_enter.restype, loaded.nibble_guard_enter.argtypes = c_void_p, []
        loaded.nibble_guard_leave.restype, loaded.nibble_guard_leave.argtypes = None, [c_void_p]
    return loaded


@contextlib.contextmanager
def guarded() -> Iterator[int | None]:
    """A guard for options.guard: a model that another program truncates is an error then,
    and doesn't end the process (python/sigbus.c). None with a library that was built for
    programs: that one installs no handlers of signals."""
    if not hasattr(library(), "nibble_guard_enter"):
        yield None
        return
    guard = library().nibble_guard_enter()
    try:
        yield guard
    finally:
        library().nibble_guard_leave(guard)


def version() -> str:
    """The library's version, "MAJOR.MINOR.PATCH"."""
    return str(library().nibble_version().decode())


def opset_max() -> int:
    """The highest opset that `upgrade` raises models to."""
    return int(library().nibble_opset_max())


def take_string(pointer: int | None) -> str:
    """The string at a pointer that the library gives away, which is freed."""
    if not pointer:
        raise errors.OutOfMemoryError("out of memory while writing the report")
    try:
        return ctypes.string_at(pointer).decode("utf-8", "replace")
    finally:
        _free(pointer)


def snr_warning(snr_db: float, narrow: bool) -> str | None:
    """What to warn of if outputs have this SNR on the caller's data. None: nothing."""
    return take_string(library().nibble_snr_warning(snr_db, True, narrow)) or None


def page(report: str, other: str | None = None) -> str:
    """The HTML page of one or two JSON reports."""
    error, made = Error(), c_void_p()
    second = None if other is None else other.encode()
    check(library().nibble_page(report.encode(), second, None, made, error), error)
    return take_string(made.value)


@functools.cache
def _libc_free() -> ctypes._NamedFuncPointer:
    function = ctypes.CDLL(None).free
    function.restype, function.argtypes = None, [c_void_p]
    return function


def _free(pointer: int) -> None:
    _libc_free()(pointer)


def check(status: int, error: Error) -> None:
    """Raises what a call's status stands for."""
    if status == 0:
        return
    known = STATUSES[status] if 0 < status < len(STATUSES) else None
    raise (known or errors.NibbleError)(error.message.decode("utf-8", "replace"))
