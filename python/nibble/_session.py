"""A model in ONNX Runtime: what it takes, what it gives, and how long that takes."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import time
from typing import Any, Callable

import numpy as np

from . import _models
from .errors import MissingPackageError, NibbleError

Feed = dict[str, np.ndarray]

# What ONNX Runtime calls element types, and numpy.
TYPES = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    "bool": "bool",
    "string": "object",
    **{
        f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
    },
}


@dataclasses.dataclass(frozen=True)
class Input:
    """What a model says of one of its inputs."""

    name: str
    dtype: str
    """numpy's name; ONNX Runtime's, such as "seq(tensor(float))", where numpy has none."""
    shape: tuple[int | str | None, ...]
    """A number, the name of a size that the caller chooses, or None: any size."""

    def __str__(self) -> str:
        dims = ", ".join("?" if dim is None else str(dim) for dim in self.shape)
        return f"{self.name}: {self.dtype} [{dims}]"


def onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingPackageError(
            "models are run by ONNX Runtime: pip install onnxruntime (or onnxruntime-gpu)"
        ) from error
    return onnxruntime


class ModelError(NibbleError):
    """ONNX Runtime does not load or run a model."""

    status = "runtime"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


class Memory:
    """What the float model gives in each run, so that it need not run again. What exceeds
    this many bytes is computed
    again."""

    MOST = 1 << 30

    def __init__(self) -> None:
        self._known: dict[int, dict[str, Any]] = {}
        self._bytes = 0

    def get(self, index: int, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if index in self._known:
            return self._known[index]
        found = run()
        size = sum(getattr(value, "nbytes", 0) for value in found.values())
        if self._bytes + size <= self.MOST:
            self._bytes += size
            self._known[index] = found
        return found


class Session:
    """A model at a path, loaded by ONNX Runtime on the CPU."""

    def __init__(
        self,
        path: str,
        label: str,
        *,
        threads: int = 0,
        proto: bytes | None = None,
        exact: bool = False,
        spin: bool = False,
    ):
        """proto: the same model with other outputs, in place of the file's contents.
        exact: MatMulNBits, which DequantizeLinear and MatMul become, does not round its
        input to 8 bits: the weights alone make the difference.
        spin: threads that wait for work keep their cores busy, as ONNX Runtime does by
        default. That is a bit faster if nothing else runs, and takes twice the CPU time."""
        runtime = onnxruntime()
        self.label = label
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        if not spin:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if exact:
            options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "0")
        if proto is not None:
            folder = os.path.dirname(os.path.abspath(path))
            options.add_session_config_entry(
                "session.model_external_initializers_file_folder_path", folder
            )
        source = _source(path) if proto is None else proto
        try:
            self._session = runtime.InferenceSession(
                source, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ModelError(
                f"{label}: ONNX Runtime {runtime.__version__} does not load it: "
                f"{_first_line(error)}"
            ) from error
        self.inputs = [_input(node) for node in self._session.get_inputs()]
        optional = map(_input, self._session.get_overridable_initializers())
        self.overridable = {node.name: node.dtype for node in optional}
        self.outputs = [node.name for node in self._session.get_outputs()]

    def run(self, feed: Feed, names: list[str] | None = None) -> dict[str, Any]:
        """The outputs of one run, by name: all, or those that are named."""
        names = self.outputs if names is None else names
        try:
            return dict(zip(names, self._session.run(names, feed)))
        except Exception as error:
            raise ModelError(
                f"{self.label}: ONNX Runtime does not run it: {_first_line(error)}"
            ) from error

    def seconds(self, feed: Feed) -> float:
        """How long one run takes."""
        begin = time.perf_counter()
        self._session.run(self.outputs, feed)
        return time.perf_counter() - begin


def _source(path: str) -> str | bytes:
    """ONNX Runtime doesn't read .onnx.gz."""
    with open(path, "rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return path
    import gzip

    return gzip.decompress(pathlib.Path(path).read_bytes())


def _input(node: Any) -> Input:
    match = re.fullmatch(r"tensor\((\w+)\)", node.type)
    dtype = TYPES.get(match[1], node.type) if match else node.type
    shape = tuple(
        dim if isinstance(dim, int) and dim >= 0 else dim or None for dim in node.shape
    )
    return Input(node.name, dtype, shape)


def path_and_label(model: Any, stack: Any, what: str) -> tuple[str, str]:
    """A path for a model of any kind, and how messages call it. The path is good until the
    ExitStack ends."""
    kind = _models.kind_of(model)
    if kind is None:
        path = _models.path_of(model, what)
        return path, path
    return stack.enter_context(_models.at_path(model, kind)), f"({what} in memory)"
