"""What quantizing costs on real tasks. For each model of models/tasks.py it prints bits per
weight, the SNR of the outputs, and how well the model still does its job.

    python bench/accuracy.py [--nibble build/nibble] [--variants RE] [--json FILE]
                             [TASK ...]

A variant with data is calibrated on the task's calibration data through `nibble --data`.
Tests use other data. ONNX Runtime runs the models that nibble wrote.
MatMulNBits computes in float32. Prints Markdown.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "models"))
import tasks  # noqa: E402

CHANNEL = ["--per-channel", "--scale-type", "float16"]
VARIANTS = {
    "default": [],
    "per channel": CHANNEL,
    "4.5 bits": ["--bits-per-weight", "4.5", "--scale-type", "float16"],
    "6 bits": ["--bits-per-weight", "6", "--scale-type", "float16"],
    "data": ["--data"],
    "data, per channel": ["--data", *CHANNEL],
    "data, 4.25 bits": ["--data", "--bits-per-weight", "4.25", "--scale-type", "float16"],
    "data, 4.5 bits": ["--data", "--bits-per-weight", "4.5", "--scale-type", "float16"],
    "data, 5 bits": ["--data", "--bits-per-weight", "5", "--scale-type", "float16"],
    "data, sequential, per channel": ["--data", "--sequential", *CHANNEL],
    "data, sequential, 4.5 bits": ["--data", "--sequential", "--bits-per-weight", "4.5",
                                   "--scale-type", "float16"],
}
USAGE = 2  # exit status of the program for an option that it does not know


def quantize(nibble, task, options, folder):
    """The report and the seconds, or None if the program does not know an option."""
    words = []
    for option in options:
        words += ["--data", folder / "data"] if option == "--data" else [option]
    start = time.perf_counter()
    done = subprocess.run([nibble, "quantize", task.model, "-o", folder / "out.onnx", "-q",
                           "--json", folder / "report.json", *words],
                          capture_output=True, text=True)
    if done.returncode == USAGE:
        return None
    if done.returncode:
        sys.exit(f"{task.model}: {done.stderr}")
    return json.loads((folder / "report.json").read_text()), time.perf_counter() - start


def measure(name, args):
    """The rows of a task. The float model comes first."""
    task = tasks.TASKS[name]()
    reference = task.answers(tasks.runner(task.model))
    rows = [{"task": name, "what": "float", "score": task.score(reference, reference)}]
    show(rows[0])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        tasks.save(task.calibration(task.count), folder / "data")
        for what, options in VARIANTS.items():
            if not re.search(args.variants, what):
                continue
            made = quantize(args.nibble, task, options, folder)
            if not made:
                print(f"{what}: skipped, an option is not known", file=sys.stderr)
                continue
            report, seconds = made
            answers = task.answers(tasks.runner(folder / "out.onnx"))
            rows.append({"task": name, "what": what, "seconds": seconds,
                         "bits_per_weight": report["bits_per_weight"],
                         "bytes": (folder / "out.onnx").stat().st_size,
                         "snr_db": task.snr(reference, answers),
                         "score": task.score(answers, reference)})
            show(rows[-1])
    return rows


def show(row):
    score = ", ".join(f"{value:.4g} {name}" if "%" not in name else
                      f"{value:.2f} % {name.removesuffix(', %')}"
                      for name, value in row["score"].items())
    cells = ["", "", ""]
    if "snr_db" in row:
        cells = [f"{row['bits_per_weight']:.2f}", f"{row['snr_db']:.1f}",
                 f"{row['seconds']:.1f}"]
    print(f"| {row['task']} | {row['what']} | {' | '.join(cells)} | {score} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--nibble", default="build/nibble")
    parser.add_argument("--variants", default=".", metavar="RE")
    parser.add_argument("--json")
    parser.add_argument("task", nargs="*")
    args = parser.parse_args()
    print("| model | weights | bits per weight | SNR, dB | seconds | on the task |\n"
          "|---|---|---:|---:|---:|---|")
    rows = []
    for name in args.task or tasks.TASKS:
        if tasks.TASKS[name].model.exists():
            rows += measure(name, args)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
