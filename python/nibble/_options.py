"""From keywords to the library's options. The keywords are the command line's names, with
"_" for "-"; tests/python/test_options.py holds them against `nibble quantize --help`."""

from __future__ import annotations

import ctypes
import difflib
import math
import numbers
import os
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, TypedDict

from . import _library
from .errors import OptionError

if TYPE_CHECKING:
    from ._calibration import Until
    from ._work import Progress
    from .data import Source


class Options(TypedDict, total=False):
    """What `quantize` and `inspect` take. None and False mean: not given."""

    type: str | None
    symmetric: bool
    asymmetric: bool
    per_channel: bool
    per_tensor: bool
    block_size: int | None
    method: str | None
    scale_type: str | None
    float16: bool
    compute: str | None
    io: str | None
    bits_per_weight: float | None
    min_snr: float | None
    decode: str | None
    format: str | None
    target: str | None
    embedding_type: str | None
    copy_below: int | None
    include: str | None
    exclude: str | None
    rules: Sequence[str] | None
    min_elements: int | None
    freeze: bool
    no_upgrade: bool
    no_links: bool
    max_size: int | None
    external_data: bool | str
    force: bool
    verify: bool
    report: str | os.PathLike[str] | None
    top: int | None
    hints: bool
    threads: int | None
    cpu: str | None
    config: str | os.PathLike[str] | Mapping[str, Any] | None
    preset: str | None


class Arguments(Options, total=False):
    """What `quantize` takes besides: how to use data, and whom to tell."""

    data: Source | None
    stats: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
    save_stats: str | os.PathLike[str] | None
    until: Until
    sequential: bool
    seed: int
    progress: Progress


TARGETS = "'onnxruntime', 'onnxruntime-web', 'openvino', 'generic' or 'portable'"
PAGE_HISTOGRAMS = 10
INT32_MAX, INT64_MAX = 2**31 - 1, 2**63 - 1
Setter = Callable[[_library.Options, str, Any], None]


def _refuse(name: str, wants: str, value: object) -> OptionError:
    return OptionError(f"{name} takes {wants}, not {value!r}")


def _named(values: str) -> Setter:
    def set_named(options: _library.Options, name: str, value: Any) -> None:
        parsed = ctypes.c_int()
        parse = getattr(_library.library(), f"nibble_{name}_parse")
        if not isinstance(value, str) or not parse(value.encode(), ctypes.byref(parsed)):
            raise _refuse(name, values, value)
        setattr(options, name, parsed.value)

    return set_named


def _number(least: int, most: int, field: str | None = None) -> Setter:
    def set_number(options: _library.Options, name: str, value: Any) -> None:
        try:
            whole = value.__index__()
        except AttributeError:
            raise _refuse(name, "a whole number", value) from None
        if not least <= whole <= most:
            raise _refuse(name, f"a whole number from {least} to {most}", value)
        setattr(options, field or name, whole)

    return set_number


def _decimal(most: float) -> Setter:
    def set_decimal(options: _library.Options, name: str, value: Any) -> None:
        try:
            real = float(value)
        except (TypeError, ValueError):
            raise _refuse(name, f"a number above 0 and up to {most:g}", value) from None
        if not (math.isfinite(real) and 0 < real <= most):
            raise _refuse(name, f"a number above 0 and up to {most:g}", value)
        setattr(options, name, real)

    return set_decimal


def _text(options: _library.Options, name: str, value: Any) -> None:
    if not isinstance(value, str) or not value or "\0" in value:
        raise _refuse(name, "a string that is not empty", value)
    setattr(options, name, os.fsencode(value))


def rule_list(value: Any) -> list[str]:
    """One rule or several, as a list."""
    rules = [value] if isinstance(value, str) else list(value or ())
    for rule in rules:
        if not isinstance(rule, str) or not rule or "\0" in rule:
            raise _refuse("rules", "strings such as 'op=Gather: type=int8'", rule)
    return rules


def _rules(options: _library.Options, _name: str, value: Any) -> None:
    texts = [os.fsencode(rule) for rule in rule_list(value)]
    options.rules = (ctypes.c_char_p * (len(texts) + 1))(*texts, None)


def _flag(options: _library.Options, name: str, value: Any) -> None:
    setattr(options, name, bool(value))


def _constant(field: str, constant: int) -> Setter:
    """A flag that chooses one of several ways."""

    def set_constant(options: _library.Options, name: str, value: Any) -> None:
        if value:
            setattr(options, field, constant)

    return set_constant


def _block_size(options: _library.Options, name: str, value: Any) -> None:
    _number(2, INT32_MAX)(options, name, value)
    options.granularity = _library.GRANULARITY_BLOCKS


def _external_data(options: _library.Options, name: str, value: Any) -> None:
    options.external_data = bool(value)
    if value is not True:
        _text(options, "data_name", value)


def _embedding_type(options: _library.Options, name: str, value: Any) -> None:
    if value not in ("int4", "int8"):
        raise _refuse(name, "'int4' or 'int8'", value)
    options.wide_embeddings = value == "int8"


def _report(options: _library.Options, name: str, value: Any) -> None:
    """The page is written when all is done. The library only has to count."""
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise _refuse(name, "a path", value)
    options.histograms = PAGE_HISTOGRAMS


# What sets each keyword, and the groups whose members exclude each other.
SETTERS: dict[str, tuple[Setter, frozenset[str]]] = {
    name: (setter, frozenset(rivals.split()))
    for name, setter, rivals in [
        ("type", _named("'int4', 'uint4', 'int8' or 'uint8'"), "type"),
        ("symmetric", _constant("symmetry", _library.SYMMETRY_SYMMETRIC), "symmetry"),
        ("asymmetric", _constant("symmetry", _library.SYMMETRY_ASYMMETRIC), "symmetry"),
        (
            "per_channel",
            _constant("granularity", _library.GRANULARITY_PER_CHANNEL),
            "granularity",
        ),
        (
            "per_tensor",
            _constant("granularity", _library.GRANULARITY_PER_TENSOR),
            "granularity",
        ),
        ("block_size", _block_size, "granularity"),
        ("method", _named("'rtn', 'search' or 'exact'"), ""),
        ("scale_type", _named("'float32' or 'float16'"), ""),
        ("float16", _flag, ""),
        ("compute", _named("'model' or 'float16'"), ""),
        ("io", _named("'float32' or 'float16'"), ""),
        ("bits_per_weight", _decimal(64), "type granularity"),
        ("min_snr", _decimal(200), "type granularity"),
        ("decode", _named("'run', 'load', 'portable' or 'auto'"), ""),
        ("format", _named("'qdq', 'nbits' or 'nbits-int8'"), ""),
        ("target", _named(TARGETS), ""),
        ("embedding_type", _embedding_type, ""),
        ("copy_below", _number(0, INT64_MAX, "copy_bytes"), ""),
        ("include", _text, ""),
        ("exclude", _text, ""),
        ("rules", _rules, ""),
        ("min_elements", _number(0, INT64_MAX), ""),
        ("freeze", _flag, ""),
        ("no_upgrade", _flag, ""),
        ("no_links", _flag, ""),
        ("max_size", _number(1, INT64_MAX), ""),
        ("force", _flag, ""),
        ("verify", _flag, ""),
        ("external_data", _external_data, ""),
        ("report", _report, ""),
        ("top", _number(1, INT32_MAX), ""),
        ("hints", _flag, "type granularity"),
        ("threads", _number(0, 1024), ""),
        ("cpu", _text, ""),
    ]
}


def command(model: Any, output: Any, keywords: Mapping[str, Any]) -> str:
    """The call as a command line. What a shell can't say is "..."."""
    words = ["nibble", "quantize", _word(model)]
    words += ["-o", _word(output)] if output is not None else []
    for name, value in keywords.items():
        option = "--rule" if name == "rules" else f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif name == "external_data" and value:
            words.append(f"{option}={_word(value)}")
        elif isinstance(value, (list, tuple)):
            words += [word for item in value for word in (option, _word(item))]
        elif value is not None and value is not False:
            words += [option, _word(value)]
    return " ".join(words)


def _word(value: Any) -> str:
    is_text = isinstance(value, (str, numbers.Real, os.PathLike))
    return shlex.quote(str(value)) if is_text else "..."


def _unknown(name: str) -> TypeError:
    near = difflib.get_close_matches(name, SETTERS, 1)
    hint = f": did you mean {near[0]}?" if near else f". Options are {', '.join(SETTERS)}"
    return TypeError(f"unknown option {name}{hint}")


def _is_given(name: str, value: object) -> bool:
    """type="int4" says nothing: so it is no rival of bits_per_weight and min_snr."""
    return value is not None and value is not False and (name, value) != ("type", "int4")


def make(keywords: Mapping[str, Any]) -> _library.Options:
    """The library's options. Raises OptionError, and TypeError for an unknown keyword."""
    for name in keywords:
        if name not in SETTERS:
            raise _unknown(name)
    options = _library.Options()
    _library.library().nibble_options_init_sized(ctypes.byref(options), ctypes.sizeof(options))
    given = {name: value for name, value in keywords.items() if _is_given(name, value)}
    if "float16" in given:
        given.setdefault("scale_type", "float16")
    for name, value in given.items():
        setter, rivals = SETTERS[name]
        for other in given:
            if other != name and SETTERS[other][1] & rivals:
                raise OptionError(f"{other} and {name} exclude each other: give one of them")
        setter(options, name, value)
    return options
