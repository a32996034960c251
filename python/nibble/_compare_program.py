"""nibble-compare: the program behind `nibble compare FLOAT QUANT --data DATA`, which
starts it as git starts git-NAME."""

from __future__ import annotations

import argparse
import sys

from . import _library, _program
from ._files import write_report
from .comparison import compare

DESCRIPTION = """\
Compares a quantized model with its float model: the error of each weight and, with
--data, of each output, both models run in ONNX Runtime."""

EPILOG = """\
DATA is a folder of .npz files, one run each, with an array for each input by its name; a
folder of ONNX test data (test_data_set_0/input_0.pb); or random[:N], N runs of made-up
inputs, which say little about real ones.

Exit status: 0 done, 1 failed, 2 wrong usage, 3 below --min-snr or --min-top1."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nibble compare",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("float", metavar="FLOAT", help="the float model")
    parser.add_argument("quantized", metavar="QUANT", help="the quantized model")
    parser.add_argument("--data", metavar="DATA", help="inputs to run both models with")
    parser.add_argument(
        "--layers", action="store_true", help="tell where in the graph the SNR drops first"
    )
    parser.add_argument("--report", metavar="FILE", help="write the result as an HTML page")
    parser.add_argument(
        "--min-snr", metavar="DB", type=float, help="exit with 3 if an output has less"
    )
    parser.add_argument(
        "--min-top1",
        metavar="X",
        type=float,
        help="exit with 3 if an output's top-1 agreement (0 to 1) is less",
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of random data (0)")
    parser.add_argument(
        "--threads", metavar="N", type=int, default=0, help="of ONNX Runtime (0: all cores)"
    )
    parser.add_argument(
        "--no-links",
        action="store_true",
        help="refuse external data behind symbolic links",
    )
    _program.add_output_arguments(parser)
    parser.add_argument("--version", action="version", version=f"nibble {_library.version()}")
    return parser


def _show_progress(done: int, total: int) -> None:
    end = "\r" if done < total else "\r\033[K"
    print(f"\rrunning {done} of {total}", end=end, file=sys.stderr, flush=True)


def _run(asked: argparse.Namespace) -> int:
    result = compare(
        asked.float,
        asked.quantized,
        data=asked.data,
        layers=asked.layers,
        seed=asked.seed,
        threads=asked.threads,
        no_links=asked.no_links,
        progress=_show_progress if _program.shows_progress(asked) else None,
    )
    models = (asked.float, asked.quantized)
    if asked.report:
        write_report(asked.report, result.to_html() + "\n", models, "--report")
    _program.show(asked, result, result.to_json(), models)
    failures = result.failures(asked.min_snr, asked.min_top1)
    for line in failures:
        print(f"nibble: {line}", file=sys.stderr)
    return _program.STRICT if failures else _program.DONE


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    asked = parser.parse_args(arguments)
    if asked.data is None and (asked.layers or asked.min_top1 is not None):
        name = "--layers" if asked.layers else "--min-top1"
        parser.error(f"{name} needs --data: both models are run")
    return _program.run(lambda: _run(asked))


if __name__ == "__main__":
    sys.exit(main())
