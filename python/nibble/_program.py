"""What the two programs share that `nibble` starts: arguments, files, and exit statuses."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Callable

from ._files import write_report
from .errors import NibbleError

# STRICT is also that of a comparison below its limits.
DONE, FAILED, USAGE, STRICT, INTERRUPTED = 0, 1, 2, 3, 130


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """How much is printed, and where else the result goes."""
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON (-: stdout)")
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors only")


def shows_progress(asked: argparse.Namespace) -> bool:
    return sys.stderr.isatty() and not asked.quiet


def show(asked: argparse.Namespace, result: Any, text: str, models: tuple[str, str]) -> None:
    """Writes the JSON that was asked for. Prints the result, unless standard output is
    needed for a report."""
    if asked.json:
        write_report(asked.json, text + "\n", models)
    if not asked.quiet and "-" not in (asked.json, asked.report):
        print(result)


def run(work: Callable[[], int]) -> int:
    """The exit status of the work. Errors are one line each, without a trace."""
    try:
        return work()
    except KeyboardInterrupt:
        return INTERRUPTED
    except (NibbleError, OSError, TypeError, ValueError) as error:
        print(f"nibble: {error}", file=sys.stderr)
        return USAGE if getattr(error, "status", "") == "invalid" else FAILED
