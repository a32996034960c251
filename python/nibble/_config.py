"""Sets of options: configs of `nibble --print-config`, and presets. What a call says wins
over its config, and a config wins over a preset."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from . import _library, _options
from .errors import OptionError

# What a config may say besides options: arguments of quantize, and what the program alone has.
ARGUMENTS = ("data", "stats", "save_stats", "until", "sequential", "seed")
OF_THE_PROGRAM = ("nibble", "json", "strict", "verbose", "quiet")


def preset_names() -> list[str]:
    """The names of all presets."""
    found: list[str] = []
    while name := _library.library().nibble_preset_name(len(found)):
        found.append(name.decode())
    return found


def _preset(name: str) -> dict[str, Any]:
    text = _library.library().nibble_preset_config(os.fsencode(name))
    if text is None:
        raise OptionError(f"preset takes one of {', '.join(preset_names())}, not {name!r}")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _read(config: Any) -> dict[str, Any]:
    if isinstance(config, Mapping):
        loaded: Any = dict(config)
    else:
        try:
            with open(config, encoding="utf-8") as file:
                loaded = json.load(file)
        except (OSError, ValueError) as error:
            raise OptionError(f"config {config}: {error}") from error
    if not isinstance(loaded, dict):
        raise OptionError(f"config {config}: is no JSON object")
    keywords = {key.replace("-", "_"): value for key, value in loaded.items()}
    if "rule" in keywords:
        keywords["rules"] = keywords.pop("rule")
    for key in keywords:
        if key not in (*_options.SETTERS, *ARGUMENTS, *OF_THE_PROGRAM):
            raise OptionError(f"config {config}: there is no option {key!r}")
    return {key: value for key, value in keywords.items() if key not in OF_THE_PROGRAM}


def _rivals(name: str) -> frozenset[str]:
    return _options.SETTERS[name][1] if name in _options.SETTERS else frozenset()


def _add_layer(options: dict[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """`options`, and what the layer says where they leave it open."""
    result = dict(options)
    for name, value in layer.items():
        if name == "rules":
            result[name] = [*_options.rule_list(options.get(name)), *_options.rule_list(value)]
        elif not any(other == name or _rivals(other) & _rivals(name) for other in options):
            result[name] = value
    return result


def expand(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Puts the options of config and preset in their place. Returns options, and arguments
    of quantize that are none."""
    found = {
        k: value for k, value in options.items() if value is not None and value is not False
    }
    config, preset = found.pop("config", None), found.pop("preset", None)
    if config is not None:
        found = _add_layer(found, _read(config))
    if preset is not None:
        found = _add_layer(found, {k.replace("-", "_"): v for k, v in _preset(preset).items()})
    arguments = {name: found.pop(name) for name in ARGUMENTS if name in found}
    return found, arguments
