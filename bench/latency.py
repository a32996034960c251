"""Compares the latency of int4 and float models that are mostly MatMul, at few rows.

    python bench/latency.py [--nibble build/nibble] [--models build/models]
                            [--runs 30] [--hidden 1024] [--method search]
                            [--json FILE]

The models are minilm at few tokens and a generated transformer (make_stack.py), in the forms
run and nbits. The figures are ratios to the float model: medians of runs that alternate between
all variants, with one thread and ONNX Runtime's default session settings. Prints a Markdown
table.
"""

import argparse
import json
import os
import sys
import tempfile

import numpy as np

import make_stack
import models
from models import feeds

ROWS = [1, 2, 4, 8]
GOAL = 0.6
FORMS = {"run": [], "nbits": ["--format", "nbits"],
         "nbits-int8": ["--format", "nbits-int8"]}
LAYOUTS = {"default": [], "block 32": ["--block-size", "32"]}
KINDS = {"int4": ["--type", "int4", "--symmetric"], "uint4": ["--type", "uint4", "--asymmetric"]}
VARIANTS = {(form, layout, kind): FORMS[form] + LAYOUTS[layout] + KINDS[kind]
            for kind in KINDS for layout in LAYOUTS for form in FORMS}


def stack_feed(hidden, rows):
    x = np.random.default_rng(0).standard_normal((1, rows, hidden), np.float32)
    return {"x": x}


def inputs_of(path, hidden):
    """{what: feed}"""
    if hidden:
        return {f"{rows} rows": stack_feed(hidden, rows) for rows in ROWS}
    named = {f"{rows} tokens": feeds.sentence(rows) for rows in ROWS}
    whole = feeds.feeds(path)
    batch, length = whole["input_ids"].shape
    return named | {f"{batch} x {length} tokens": whole}


def measure(name, path, hidden, args):
    """The rows of the table for one model."""
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        sessions = {"float": models.session(path)}
        for number, (variant, options) in enumerate(VARIANTS.items()):
            out = os.path.join(folder, f"{number}.onnx")
            models.quantize(args.nibble, path, out, ["--method", args.method, *options])
            sessions[variant] = models.session(out)
        rows = []
        for what, feed in inputs_of(path, hidden).items():
            times = models.latencies(sessions, feed, args.runs)
            rows += [{"model": name, "input": what, "form": form, "layout": layout,
                      "type": kind, "milliseconds": 1e3 * times[form, layout, kind],
                      "float_milliseconds": 1e3 * times["float"],
                      "latency": times[form, layout, kind] / times["float"]}
                     for form, layout, kind in VARIANTS]
            show(rows[-len(VARIANTS):])
    return rows


def show(rows):
    cells = [f"{row['latency']:.2f}" for row in rows]
    print(f"| {rows[0]['model']} | {rows[0]['input']} | "
          f"{rows[0]['float_milliseconds']:.2f} | {' | '.join(cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nibble", default="build/nibble")
    parser.add_argument("--models", default="build/models")
    parser.add_argument("--folder", default="/dev/shm")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--method", default="search")
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--json")
    args = parser.parse_args()
    print("| model | input | float, ms | "
          + " | ".join(f"{kind}, {layout}, {form}" for form, layout, kind in VARIANTS)
          + " |\n|---|---|---:" + "|---:" * len(VARIANTS) + "|")
    rows = []
    minilm = os.path.join(args.models, "minilm.onnx")
    if os.path.exists(minilm):
        rows += measure("minilm", minilm, 0, args)
    else:
        print("minilm: skipped, not downloaded", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        stack = os.path.join(folder, "stack.onnx")
        make_stack.write(stack, args.hidden)
        rows += measure(f"8 layers of {args.hidden}", stack, args.hidden, args)
    below = sum(row["latency"] < GOAL for row in rows)
    print(f"\n{below} of {len(rows)} below {GOAL} of float")
    if args.json:
        with open(args.json, "w") as out:
            json.dump(rows, out, indent=2)


if __name__ == "__main__":
    main()
