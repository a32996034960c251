"""The kinds of model that the calls of this package take, and give back: a path, bytes,
onnx.ModelProto, onnx_ir.Model, and the ONNXProgram of torch.onnx.export. The last four are
written to a temporary folder for the library. A kind's own package is imported only where
an object of that kind was given, so nothing here needs it to be installed."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import tempfile
from collections.abc import Iterator
from typing import Any, Callable, NamedTuple

from .errors import NibbleError

PROTOBUF_LIMIT = 2**31 - 2**26  # near 2 GiB, which a protobuf message can't reach


class Kind(NamedTuple):
    """How a kind of model is written to a path and read from one again."""

    name: str
    save: Callable[[Any, str], None]
    load: Callable[[Any, str], Any]  # takes the model that came in, too


def kind_of(model: object) -> Kind | None:
    """The kind of a model that is not a path, None where it is one."""
    if isinstance(model, (str, os.PathLike)):
        return None
    if isinstance(model, (bytes, bytearray, memoryview)):
        return BYTES
    names = {
        f"{base.__module__.partition('.')[0]}.{base.__name__}" for base in type(model).__mro__
    }
    for name, kind in KINDS.items():
        if name in names:
            return kind
    raise TypeError(
        "model is a path, bytes, onnx.ModelProto, onnx_ir.Model or what "
        f"torch.onnx.export(..., dynamo=True) returns, not {type(model).__name__}"
    )


def path_of(path: str | os.PathLike[str], what: str) -> str:
    """A path as the library takes it: there, "-" would mean a standard stream."""
    if isinstance(path, str) and not path:
        raise ValueError(f"{what} is an empty path")
    text = os.fspath(path)
    return os.path.join(".", text) if text == "-" else text


PREFIX = "nibble-model-"


def without_folder(text: str) -> str:
    """A text of the library that doesn't name temporary folders: they mean nothing to
    whoever gave a model that is no file."""
    return re.sub(rf'[^"\s]*/{PREFIX}\w+/(\w+)\.onnx', r"(\1 in memory)", text)


@contextlib.contextmanager
def at_path(model: Any, kind: Kind) -> Iterator[str]:
    """The path of a model that is no path, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        path = os.path.join(folder, "model.onnx")
        kind.save(model, path)
        try:
            yield path
        except NibbleError as error:
            raise type(error)(without_folder(str(error))) from None


# ---- bytes ------------------------------------------------------------------------------


def _save_bytes(model: bytes | bytearray | memoryview, path: str) -> None:
    pathlib.Path(path).write_bytes(model)


def _load_bytes(_model: object, path: str) -> bytes:
    return pathlib.Path(path).read_bytes()


# ---- onnx.ModelProto --------------------------------------------------------------------


def _save_proto(model: Any, path: str) -> None:
    import onnx

    if model.ByteSize() <= PROTOBUF_LIMIT:
        pathlib.Path(path).write_bytes(model.SerializeToString())
        return
    copy = onnx.ModelProto()
    copy.CopyFrom(model)  # saving moves the values out of what it is given
    onnx.save_model(copy, path, save_as_external_data=True)


def _load_proto(_model: object, path: str) -> Any:
    import onnx

    return onnx.load(path)


# ---- onnx_ir.Model ----------------------------------------------------------------------


def _save_ir(model: Any, path: str) -> None:
    import onnx_ir

    size = sum(
        value.const_value.nbytes
        for graph in model.graphs()
        for value in graph.initializers.values()
        if value.const_value is not None
    )
    onnx_ir.save(model, path, external_data="data" if size > PROTOBUF_LIMIT else None)


def _load_ir(_model: object, path: str) -> Any:
    import onnx_ir

    # The folder is removed afterwards: external data must not stay behind in it.
    return onnx_ir.external_data.load_to_model(onnx_ir.load(path))


# ---- torch.onnx.ONNXProgram -------------------------------------------------------------


def _save_program(program: Any, path: str) -> None:
    _save_ir(program.model, path)


def _load_program(program: Any, path: str) -> Any:
    return type(program)(_load_ir(None, path), program.exported_program)


BYTES = Kind("bytes", _save_bytes, _load_bytes)
# By top-level package and class: where a class is defined differs between versions.
KINDS = {
    "onnx.ModelProto": Kind("onnx.ModelProto", _save_proto, _load_proto),
    "onnx_ir.Model": Kind("onnx_ir.Model", _save_ir, _load_ir),
    "torch.ONNXProgram": Kind("torch.onnx.ONNXProgram", _save_program, _load_program),
}
