"""Measures real models in every form: size, share of quantized weights, error, latency.

    python bench/models.py [--nibble build/nibble] [--models build/models]
                           [--runs 30] [--method search] [--json FILE]
                           [MODEL ...]

Latency is a ratio to the float model: medians of runs that alternate between all variants of
a model, with one thread and ONNX Runtime's default session settings. SNR compares the outputs
with those of the float model, with activations in float (accuracy level 0). Prints a Markdown
table.
"""

import argparse
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime as ort

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "models"))
import feeds  # noqa: E402

FORMS = [
    ("run", []),
    ("load", ["--decode", "load"]),
    ("portable", ["--decode", "portable"]),
    ("auto", ["--decode", "auto"]),
    ("nbits", ["--format", "nbits"]),
]
LAYOUTS = [("default", []), ("block 32", ["--block-size", "32"])]


def session(path, exact=False):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if exact:
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "0")
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def quantize(nibble, model, out, extra):
    """Runs nibble. Returns the share of float weight bytes that became codes."""
    report = out + ".json"
    subprocess.run([nibble, "quantize", model, "-o", out, "-q", "--json", report, *extra],
                   check=True)
    with open(report) as file:
        weights = json.load(file)["weights"]
    matrices = [w for w in weights if len(w["dims"]) >= 2]
    total = sum(w["bytes"]["before"] for w in matrices)
    return sum(w["bytes"]["before"] for w in matrices if w["quantized"]) / max(total, 1)


def snr(reference, outputs):
    """The SNR of the output with the most noise, among float outputs."""
    values = []
    for want, got in zip(reference, outputs):
        if want.dtype.kind != "f":
            continue
        want, got = want.astype(np.float64), got.astype(np.float64)
        noise = ((want - got) ** 2).sum()
        values.append(10 * np.log10((want ** 2).sum() / noise) if noise else np.inf)
    return min(values)


def seconds(runner, feed):
    start = time.perf_counter()
    runner.run(None, feed)
    return time.perf_counter() - start


def latencies(sessions, feed, runs):
    """The median seconds of each session, over rounds in which each runs once."""
    times = {name: [] for name in sessions}
    for _ in range(runs + 2):
        for name, runner in sessions.items():
            times[name].append(seconds(runner, feed))
    return {name: statistics.median(column[2:]) for name, column in times.items()}


def measure(model, args, folder):
    feed = feeds.feeds(model)
    reference = session(model, exact=True).run(None, feed)
    rows, sessions = [], {"float": session(model)}
    for layout, layout_options in LAYOUTS:
        for form, form_options in FORMS:
            out = os.path.join(folder, f"{len(rows)}.onnx")
            share = quantize(args.nibble, model, out,
                             ["--method", args.method, *layout_options, *form_options])
            rows.append({"model": os.path.basename(model)[:-5], "layout": layout,
                         "form": form, "bytes": os.path.getsize(out), "share": share,
                         "snr": snr(reference, session(out, exact=True).run(None, feed))})
            sessions[len(rows) - 1] = session(out)
    times = latencies(sessions, feed, args.runs)
    for i, row in enumerate(rows):
        row["times_smaller"] = os.path.getsize(model) / row["bytes"]
        row["latency"] = times[i] / times["float"]
    return rows


def show(rows):
    for row in rows:
        print(f"| {row['model']} | {row['layout']} | {row['form']} | "
              f"{row['times_smaller']:.2f} | {100 * row['share']:.1f} % | "
              f"{row['snr']:.1f} | {row['latency']:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nibble", default="build/nibble")
    parser.add_argument("--models", default="build/models")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--method", default="search")
    parser.add_argument("--json")
    parser.add_argument("model", nargs="*")
    args = parser.parse_args()
    models = args.model or sorted(glob.glob(os.path.join(HERE, "..", "models", "*.onnx")) +
                                  glob.glob(os.path.join(args.models, "*.onnx")))
    print("| model | layout | form | times smaller | weights quantized | SNR, dB | "
          "latency / float |\n|---|---|---|---:|---:|---:|---:|")
    rows = []
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            rows += measure(model, args, folder)
        show(rows[-len(FORMS) * len(LAYOUTS):])
    if args.json:
        with open(args.json, "w") as out:
            json.dump(rows, out, indent=2)


if __name__ == "__main__":
    main()
