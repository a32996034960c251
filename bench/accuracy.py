"""What quantizing costs: output SNR and accuracy of real models, for round to nearest
and the search, types, layouts, and budgets of bits.

    python bench/accuracy.py [--nibble build/nibble] [--models build/models]
                             [--json FILE] [MODEL ...]

SNR is that of the outputs against the float model's, on 64 inputs of models/feeds.py;
accuracy is that of models/evaluate.py, for models that have a measure. MatMulNBits
computes in float32. Options that the program does not know are skipped, with a word.
Prints a Markdown table: SNR in dB, then accuracy.
"""

import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile

from measure import note
from models import HERE, feeds, session, snr

import evaluate  # noqa: E402  (models put its folder on the path)

LAYOUTS = {"channel": ["--per-channel"], "block 128": ["--block-size", "128"],
           "block 32": ["--block-size", "32"]}
METHODS = ["rtn", "search"]
BITS = [4.5, 6]
COUNT = 64  # inputs that SNR is taken over

# (what, method): options
VARIANTS = {(f"{kind}, {layout}", method): ["--type", kind, *options]
            for kind in ("int4", "uint4") for layout, options in LAYOUTS.items()
            for method in METHODS}
VARIANTS |= {("int8, channel", method): ["--type", "int8", "--per-channel"]
             for method in METHODS}
VARIANTS |= {(f"{bits} bits a weight", "search"): ["--bits-per-weight", str(bits)]
             for bits in BITS}
USAGE = 2  # exit status of the program for an option that it does not know


def quantize(nibble, model, out, options):
    """The report, or None where the program does not know an option."""
    report = out + ".json"
    done = subprocess.run([nibble, "quantize", model, "-o", out, "-q", "--json", report,
                           *options], capture_output=True, text=True)
    if done.returncode == USAGE:
        return None
    if done.returncode:
        sys.exit(f"{model}: {done.stderr}")
    with open(report) as file:
        return json.load(file)


def outputs(path):
    runner = session(path, exact=True)
    return runner.run(None, feeds.inputs(runner, COUNT))


def metric(path):
    """(name, value), or None where the model has no measure or its data is missing."""
    try:
        return evaluate.evaluate(path)
    except (ValueError, SystemExit):
        return None


def measure(model, args):
    """The rows of a model, float first."""
    name = os.path.basename(model)[:-5]
    reference, has_metric = outputs(model), metric(model)
    rows = [{"model": name, "what": "float", "method": "", "bytes": os.path.getsize(model),
             "metric": has_metric}]
    for (what, method), options in VARIANTS.items():
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out.onnx")
            report = quantize(args.nibble, model, out, ["--method", method, *options])
            if not report:
                print(f"{what}: skipped, {options[0]} is not known", file=sys.stderr)
                continue
            rows.append({"model": name, "what": what, "method": method,
                         "bytes": os.path.getsize(out),
                         "bits_per_weight": report["bits_per_weight"],
                         "snr_db": snr(reference, outputs(out)),
                         "metric": metric(out) if has_metric else None})
        note(f"{name}, {what}, {method}: {cell(rows[-1])}")
    return rows


def number(pair):
    """A metric for people."""
    name, value = pair
    return f"{value:.2f} %" if name == "top-1 %" else f"{value:.3f} bits"


def cell(row):
    parts = [f"{row['snr_db']:.1f}"] if "snr_db" in row else []
    return ", ".join(parts + ([number(row["metric"])] if row["metric"] else []))


def table(rows):
    """A row for each variant, a column for each model."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    print(f"| weights | method | bits a weight | {' | '.join(models)} |\n"
          "|---|---|---:" + "|---:" * len(models) + "|")
    for what, method in dict.fromkeys((row["what"], row["method"]) for row in rows):
        mine = {row["model"]: row for row in rows
                if (row["what"], row["method"]) == (what, method)}
        bits = [row["bits_per_weight"] for row in mine.values() if "bits_per_weight" in row]
        span = " to ".join(dict.fromkeys(f"{f(bits):.2f}" for f in (min, max))) if bits else ""
        cells = [cell(mine[name]) if name in mine else "" for name in models]
        print(f"| {what} | {method} | {span} | {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nibble", default="build/nibble")
    parser.add_argument("--models", default="build/models")
    parser.add_argument("--json")
    parser.add_argument("model", nargs="*")
    args = parser.parse_args()
    # Of models that are there in two exports, one.
    models = args.model or [path for path in sorted(
        glob.glob(os.path.join(HERE, "..", "models", "*.onnx")) +
        glob.glob(os.path.join(args.models, "*.onnx"))) if "dynamo" not in path]
    rows = [row for model in models for row in measure(model, args)]
    table(rows)
    if args.json:
        with open(args.json, "w") as out:
            json.dump(rows, out, indent=2)


if __name__ == "__main__":
    main()
