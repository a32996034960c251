"""Whole-process benchmark: nibble against cp of the same file.

    python bench/process.py [--nibble build/nibble] [--runs 5] [--gigabytes 1.5]
                            [--folder /dev/shm] [--json FILE]

All files lie in memory-backed storage. Every command of a group runs once a
round, one after the other, so that a slow spell of the machine meets them all;
the table shows medians, and ratios to cp of medians taken in the same rounds.
Peak memory is the resident set, mapped file pages included.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))

# Groups of commands that share a model: its options, then name and arguments.
GROUPS = [
    ("[K,N] float32, one file", ["--order", "kn"], [
        ("default, 1 thread", ["--threads", "1"]),
        ("default, all cores", []),
        ("per channel, 1 thread", ["--threads", "1", "--per-channel"]),
        ("block 32, 1 thread", ["--threads", "1", "--block-size", "32"]),
    ]),
    ("[N,K] float32, one file", ["--order", "nk"], [
        ("default, 1 thread", ["--threads", "1"]),
        ("per channel, 1 thread", ["--threads", "1", "--per-channel"]),
        ("block 32, 1 thread", ["--threads", "1", "--block-size", "32"]),
    ]),
    ("[K,N] float32, external data", ["--order", "kn", "--external"], [
        ("default, 1 thread", ["--threads", "1"]),
    ]),
    ("[K,N] float16, one file", ["--order", "kn", "--type", "float16"], [
        ("default, 1 thread", ["--threads", "1"]),
    ]),
]


def measure(command):
    """Wall seconds and peak memory in MB of one command.

    GNU time starts it: the peak of a process counts from its start on, and this
    one would begin with all that Python takes.
    """
    with tempfile.NamedTemporaryFile("r") as peak:
        start = time.perf_counter()
        status = subprocess.run(["time", "-f", "%M", "-o", peak.name, *command],
                                stdout=subprocess.DEVNULL).returncode
        wall = time.perf_counter() - start
        if status != 0:
            sys.exit(f"failed: {' '.join(command)}")
        return wall, int(peak.read()) * 1024 / 1e6


def alternate(commands, outputs, runs):
    """Medians of (wall, memory) for each command, over alternating runs."""
    results = {name: [] for name in commands}
    for _ in range(runs + 1):
        for name, command in commands.items():
            for path in outputs:
                if os.path.exists(path):
                    os.remove(path)
            results[name].append(measure(command))
    # The first round warms up and is not counted.
    return {name: [statistics.median(column) for column in zip(*rows[1:])]
            for name, rows in results.items()}


def run_group(options, rows, args, folder):
    model, out = os.path.join(folder, "model.onnx"), os.path.join(folder, "out.onnx")
    subprocess.run([sys.executable, os.path.join(HERE, "make_model.py"), model,
                    "--gigabytes", str(args.gigabytes), *options], check=True,
                   stdout=subprocess.DEVNULL)
    payload = model + ".data" if "--external" in options else model
    quantize = [args.nibble, "quantize", "--method", "rtn", "-q", model, "-o", out]
    commands = {"cp": ["cp", payload, out], "cat > /dev/null": ["cat", payload]}
    commands.update({name: quantize + extra for name, extra in rows})
    results = alternate(commands, [out], args.runs)
    for path in (model, payload, out):
        if os.path.exists(path):
            os.remove(path)
    return results


def show(title, results):
    cp, cat = results["cp"][0], results["cat > /dev/null"][0]
    print(f"\n{title}\n{'':26}{'seconds':>8}{'/ cp':>8}{'/ cat':>8}{'peak MB':>9}")
    for name, (wall, memory) in results.items():
        print(f"{name:26}{wall:8.3f}{wall / cp:8.2f}{wall / cat:8.2f}{memory:9.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nibble", default="build/nibble")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--gigabytes", type=float, default=1.5)
    parser.add_argument("--folder", default="/dev/shm")
    parser.add_argument("--json")
    args = parser.parse_args()
    report = {}
    for title, options, rows in GROUPS:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            report[title] = run_group(options, rows, args, folder)
        show(title, report[title])
    if args.json:
        with open(args.json, "w") as out:
            json.dump({"gigabytes": args.gigabytes, "runs": args.runs,
                       "results": {title: {name: {"seconds": wall, "peak_mb": memory}
                                           for name, (wall, memory) in rows.items()}
                                   for title, rows in report.items()}}, out, indent=2)


if __name__ == "__main__":
    main()
