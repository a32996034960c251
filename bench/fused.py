"""Finds out where ONNX Runtime's fused int4 MatMul is faster than a float one.

    python bench/fused.py [--nibble build/nibble] [--runs 25] [--method rtn]

Measures one MatMul of [K, N] in the default layout, for several K and numbers of rows.
Latency is a ratio to float: medians of alternating runs, with one thread and default session
settings. The rule of `--decode auto` comes from here. Prints a Markdown table.
"""

import argparse
import os
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import models

SHAPES = [(64, 256), (96, 384), (128, 512), (160, 640), (192, 768), (224, 224), (256, 256),
          (264, 512), (288, 512), (320, 640), (384, 1536), (512, 512), (544, 512), (768, 3072)]
ROWS = [1, 8, 64, 197]


def write(path, k, n):
    weight = np.random.default_rng(0).standard_normal((k, n), np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "matmul",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "rows", k])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "rows", n])],
        [numpy_helper.from_array(weight, "w")])
    onnx.save(helper.make_model(graph, ir_version=10,
                                opset_imports=[helper.make_opsetid("", 21)]), path)


def measure(k, n, args, folder):
    """The ratio for each number of rows."""
    path, out = os.path.join(folder, "float.onnx"), os.path.join(folder, "int4.onnx")
    write(path, k, n)
    models.quantize(args.nibble, path, out, ["--method", args.method])
    sessions = {"float": models.session(path), "int4": models.session(out)}
    ratios = []
    for rows in ROWS:
        x = np.random.default_rng(rows).standard_normal((1, rows, k), np.float32)
        times = models.latencies(sessions, {"x": x}, args.runs)
        ratios.append(times["int4"] / times["float"])
    return ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nibble", default="build/nibble")
    parser.add_argument("--method", default="rtn")
    parser.add_argument("--runs", type=int, default=25)
    args = parser.parse_args()
    print(f"| K x N | {' | '.join(f'{rows} rows' for rows in ROWS)} |\n"
          f"|---|{'---:|' * len(ROWS)}")
    with tempfile.TemporaryDirectory() as folder:
        for k, n in SHAPES:
            ratios = measure(k, n, args, folder)
            print(f"| {k} x {n} | {' | '.join(f'{r:.2f}' for r in ratios)} |", flush=True)


if __name__ == "__main__":
    main()
