"""Whole-process benchmarks: nibble against cp and cat of the same file, other commands,
compressed models, ONNX Runtime's own quantizer, memory, and growth.

    python bench/process.py [--nibble build/nibble] [--runs 5] [--gigabytes 1.5]
                            [--folder /dev/shm] [--only RE] [--quick] [--list]
                            [--tool-python PYTHON] [--json FILE]

All files are in memory-backed storage. Every command of a group runs once in each round, one
after the other, so that a slow spell of the machine meets them all. The tables show medians,
and ratios of these to the medians of cp in the same rounds. Peak memory is the resident set
and includes pages of mapped files. --only measures the groups whose names match, and --list
prints the names. --quick leaves the largest models out.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np

import make_model
import memory
import scaling
from measure import (HERE, Failed, alternate, has_room, heading, measure, note, remove, row,
                     sorry)

RTN, SEARCH = ["--method", "rtn"], ["--method", "search"]
ONE, TWO = ["--threads", "1"], ["--threads", "2"]
CHANNEL, BLOCK32 = ["--per-channel"], ["--block-size", "32"]
ASYMMETRIC = ["--type", "uint4"]
QUIET = ["quantize", "-q"]

# Rows: name and command with options. Models differ in the order, the type and the place of
# their weights, so each group has its own rows.
BY_LAYOUT = [
    ("rtn, default, 1 thread", [*QUIET, *RTN, *ONE]),
    ("rtn, per channel, 1 thread", [*QUIET, *RTN, *ONE, *CHANNEL]),
    ("rtn, block 32, 1 thread", [*QUIET, *RTN, *ONE, *BLOCK32]),
]
SEARCHES = [(f"search, {layout}, {sign}", [*QUIET, *SEARCH, *TWO, *options, *kind])
            for sign, kind in (("int4", []), ("uint4", ASYMMETRIC))
            for layout, options in (("default", []), ("per channel", CHANNEL),
                                    ("block 32", BLOCK32))]
COMMANDS = [("upgrade", ["upgrade"]), ("inspect", ["inspect"]),
            ("--dry-run", [*QUIET, "--dry-run"])]

# The time of the system without any arithmetic: pages in and out, codes written. For [K,N]
# per channel all weights are read twice.
PAGES, PAGES_TWICE = "pages alone", "pages alone, read twice"

# Groups of commands that share a model: how it is made, and then the rows.
GROUPS = {
    "[K,N] float32": ({}, BY_LAYOUT + [("rtn, default, 2 threads", [*QUIET, *RTN, *TWO])]),
    "[N,K] float32": ({"order": "nk"}, BY_LAYOUT),
    "[K,N] float32, external": ({"external": True}, BY_LAYOUT),
    "[N,K] float32, external": ({"order": "nk", "external": True}, BY_LAYOUT),
    "[K,N] float16": ({"dtype": np.float16}, BY_LAYOUT),
    "[N,K] float16": ({"order": "nk", "dtype": np.float16}, BY_LAYOUT),
    "[K,N] float32, search, 2 threads": ({}, SEARCHES),
    "[N,K] float32, search, 2 threads": ({"order": "nk"}, SEARCHES),
    "other commands": ({}, COMMANDS),
}


def words(nibble, command, model, out):
    """The command line of a row."""
    writes = command[0] != "inspect" and "--dry-run" not in command
    return [nibble, *command, model] + (["-o", out] if writes else [])


def run_group(made, rows, args, folder):
    model, out = os.path.join(folder, "model.onnx"), os.path.join(folder, "out.onnx")
    make_model.write(model, args.gigabytes, **made)
    payload = model + ".data" if made.get("external") else model
    commands = {"cp": ["cp", payload, out], "cat > /dev/null": ["cat", payload]}
    if rows[0] == BY_LAYOUT[0]:
        bits = np.dtype(made.get("dtype", np.float32)).itemsize * 8
        commands[PAGES] = [args.pages, payload, out, bits // 4]
        commands[PAGES_TWICE] = [*commands[PAGES], 2]
    commands.update({name: words(args.nibble, command, model, out) for name, command in rows})
    return alternate(commands, args.runs, lambda: remove(out))


def show(title, results, ratios):
    """`ratios` is {column: the row that is 1}."""
    heading(title, ["seconds", *ratios, "peak MB"])
    for name, result in results.items():
        if "failed" in result:
            sorry(name, result["failed"])
            continue
        for column, base in ratios.items():
            result[column] = result["seconds"] / results[base]["seconds"]
        row(name, [result["seconds"], *(f"{result[c]:.2f}" for c in ratios),
                   result["peak_mb"]])


# ---- compressed models -----------------------------------------------------

GZIP_PART = 0.2  # of the gigabytes that other groups take: gzip itself is slow


def gzip_group(args, folder):
    """A .gz as input or output, compared with gzip itself on the same bytes."""
    plain, out = os.path.join(folder, "model.onnx"), os.path.join(folder, "out.onnx")
    packed, packed_out = plain + ".gz", out + ".gz"
    make_model.write(plain, GZIP_PART * args.gigabytes)
    measure(["gzip", "-1", "-c", plain], packed)
    quantize = [args.nibble, *QUIET, *RTN, *ONE]
    subprocess.run([*quantize, plain, "-o", out], check=True)
    codes = os.path.join(folder, "codes")
    os.rename(out, codes)
    commands = {"gzip -dc > /dev/null": ["gzip", "-dc", packed],
                "gzip -c > /dev/null, of codes": ["gzip", "-c", codes],
                "plain in, plain out": [*quantize, plain, "-o", out],
                ".gz in, plain out": [*quantize, packed, "-o", out],
                "plain in, .gz out": [*quantize, plain, "-o", packed_out],
                ".gz in, .gz out": [*quantize, packed, "-o", packed_out]}
    return alternate(commands, args.runs, lambda: remove(out, packed_out))


# ---- ONNX Runtime's own tool -----------------------------------------------

def tool_group(args, folder):
    """onnxruntime.quantization.matmul_nbits_quantizer. It runs once, because it takes long."""
    model, out = os.path.join(folder, "model.onnx"), os.path.join(folder, "out.onnx")
    make_model.write(model, args.gigabytes)
    note("ONNX Runtime's quantizer")
    tool = [args.tool_python, os.path.join(HERE, "ort_quantizer.py")]
    results = alternate({"cp": ["cp", model, out], "nibble, rtn, block 32, 1 thread":
                         [args.nibble, *QUIET, *RTN, *ONE, *BLOCK32, model, "-o", out]},
                        args.runs, lambda: remove(out))
    name = "ONNX Runtime's tool, once"
    try:
        measure([*tool, "--try"])
    except Failed as reason:
        results[name] = {"failed": f"not installed: {reason}"}
        return results
    try:
        remove(out)
        results[name] = measure([*tool, model, out])
    except Failed as reason:
        results[name] = {"failed": str(reason)}
    return results


# ---- the parts -------------------------------------------------------------

def speed_parts():
    """{name: (function, columns of ratios)}"""
    def group(made, rows):
        return lambda args, folder: run_group(made, rows, args, folder)
    usual = {"/ cp": "cp", "/ cat": "cat > /dev/null"}
    parts = {title: (group(*both), usual) for title, both in GROUPS.items()}
    parts[".onnx.gz"] = gzip_group, {"/ plain": "plain in, plain out",
                                     "/ -dc": "gzip -dc > /dev/null"}
    parts["int4 block 32, ONNX Runtime's tool"] = tool_group, {"/ cp": "cp"}
    return parts


def speed(name, part, args):
    function, ratios = part
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        results = function(args, folder)
    size = args.gigabytes * (GZIP_PART if name == ".onnx.gz" else 1)
    show(f"{name}, {size:g} GB", results, ratios)
    return results


def all_parts():
    """{name: function(args) -> results}"""
    parts = {f"speed: {name}": lambda args, name=name, part=part: speed(name, part, args)
             for name, part in speed_parts().items()}
    return parts | memory.PARTS | scaling.PARTS


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nibble", default="build/nibble")
    parser.add_argument("--pages", default="build/bench/bench-pages")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--gigabytes", type=float, default=1.5)
    parser.add_argument("--folder", default="/dev/shm")
    parser.add_argument("--only", default="")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--tool-python", default=sys.executable,
                        help="a Python that has onnxruntime, onnx and onnx_ir")
    parser.add_argument("--json")
    args = parser.parse_args()
    parts = {name: part for name, part in all_parts().items()
             if re.search(args.only, name)}
    if args.list or not parts:
        print("\n".join(parts or all_parts()))
        sys.exit(0 if args.list else f"no such part: {args.only}")
    report = {}
    for name, part in parts.items():
        if name.startswith("speed") and not has_room(args.folder, 3e9 * args.gigabytes):
            sorry(name, f"skipped: no room in {args.folder}")
            continue
        note(name)
        report[name] = part(args)
    if args.json:
        with open(args.json, "w") as out:
            json.dump({"gigabytes": args.gigabytes, "runs": args.runs, "results": report},
                      out, indent=2)


if __name__ == "__main__":
    main()
