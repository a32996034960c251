"""nibble-quantize: the program behind `nibble quantize MODEL -o OUT --data DATA`, which
starts it as git starts git-NAME. It takes all options of that command."""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from typing import Any

from . import _calls, _options, _program
from ._files import check_report

WHOLE = {"block_size", "copy_below", "max_size", "min_elements", "threads", "top"}
REAL = {"bits_per_weight", "min_snr"}
FLAGS = {"symmetric", "asymmetric", "per_channel", "per_tensor", "freeze", "no_upgrade"}
FLAGS |= {"force", "no_links", "float16", "hints", "verify"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nibble quantize",
        description="Quantizes an ONNX model with data: 'nibble quantize --help' lists the "
        "options.",
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("-h", "--help", action="help")
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("-o", "--output", metavar="OUT", required=True)
    parser.add_argument("--data")
    parser.add_argument("--stats", action="append", default=[])
    parser.add_argument("--save-stats")
    parser.add_argument("--until")
    parser.add_argument("--sequential", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    _program.add_output_arguments(parser)
    for name in _options.SETTERS:
        option = f"--{name.replace('_', '-')}"
        letters = ["-f", option] if name == "force" else [option]
        if name == "rules":
            parser.add_argument("--rule", dest=name, action="append")
        elif name == "external_data":
            parser.add_argument(option, type=lambda value: value or True)
        elif name in FLAGS:
            parser.add_argument(*letters, action="store_true")
        else:
            kind: Any = int if name in WHOLE else float if name in REAL else str
            parser.add_argument(*letters, type=kind)
    return parser


class _Progress:
    """Runs that are done, and the time that is left, on a terminal."""

    def __init__(self) -> None:
        self._begin = self._shown = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done == 0 or total > 100_000 or now - self._shown < 0.2:
            return  # bytes of weights: those take no time beside the runs
        self._shown = now
        left = (now - self._begin) / done * (total - done)
        line = f"\rrunning {done} of {total}, {left:.0f} s left\033[K\r"
        print(line, end="", file=sys.stderr, flush=True)


def _run(asked: argparse.Namespace) -> int:
    keywords: Any = {name: getattr(asked, name) for name in _options.SETTERS}
    show = _program.shows_progress(asked)
    if asked.json:
        check_report(asked.json, (asked.model, asked.output), "--json")
    report = _calls.quantize(
        asked.model,
        asked.output,
        data=asked.data,
        stats=asked.stats,
        save_stats=asked.save_stats,
        until=asked.until,
        sequential=asked.sequential,
        seed=asked.seed,
        progress=_Progress() if show else None,
        **keywords,
    )
    if show:
        print("\033[K", end="", file=sys.stderr, flush=True)
    _program.show(asked, report, report.json, (asked.model, asked.output))
    nothing = report.quantized == 0 and report.codes_stored == 0
    missed = report.missed > 0 or nothing or report.reached is False
    missed = missed or bool(report.unmatched())
    return _program.STRICT if asked.strict and missed else _program.DONE


def _warn(message: Any, *_: Any, **__: Any) -> None:
    print(f"nibble: warning: {message}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    # A name only counts behind "=". The next word may be the model.
    words = [word + "=" if word == "--external-data" else word for word in words]
    asked = _parser().parse_args(words)
    warnings.showwarning = _warn
    return _program.run(lambda: _run(asked))


if __name__ == "__main__":
    sys.exit(main())
