"""Quantizes and upgrades models beyond 2 GiB, runs them in ONNX Runtime, and compares the
results with numpy.

    python bench/large.py [--nibble build/nibble] [--gigabytes 3] [--folder /dev/shm]
                          [--only TEXT]

It takes minutes, and twice the size of the model in memory-backed storage. It checks that all
external data are aligned to 4096 bytes. It also checks a few rows of both models: numpy
computes those of the quantized model from codes and scales, and those of the upgraded model
from the float weights. The exit status is 1 if anything differs.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

import make_model
from measure import has_room, remove
from models import session

ALIGNMENT = 4096
ROWS = 3
TOLERANCE = {np.float32: 1e-4, np.float16: 3e-2}  # of the largest output

# Name: how the model is made, the command, whether data must lie outside.
CASES = {
    "quantize": ({}, ["quantize", "-q", "--method", "rtn"], False),
    "quantize, block 32, uint4, [N,K]":
        ({"order": "nk"}, ["quantize", "-q", "--method", "rtn", "--block-size", "32",
                           "--type", "uint4"], False),
    "quantize --external-data":
        ({}, ["quantize", "-q", "--method", "rtn", "--external-data"], True),
    "quantize --external-data, float16":
        ({"dtype": np.float16}, ["quantize", "-q", "--method", "rtn", "--external-data"],
         True),
    "quantize, most of it left float":
        ({}, ["quantize", "-q", "--method", "rtn", "--include", "^w0$"], True),
    "upgrade": ({}, ["upgrade"], True),
    "upgrade, float16": ({"dtype": np.float16}, ["upgrade"], True),
}


class Tensors:
    """The initializers of a model whose data may be outside. They are read one at a time."""

    def __init__(self, path):
        self.folder = os.path.dirname(path)
        self.model = onnx.load(path, load_external_data=False)
        self.by_name = {t.name: t for t in self.model.graph.initializer}

    def misplaced(self):
        """The names of tensors whose data is not aligned, and the number of tensors outside."""
        outside = [(t.name, int(entry(t, "offset") or 0)) for t in self.by_name.values()
                   if t.data_location == TensorProto.EXTERNAL]
        return [name for name, offset in outside if offset % ALIGNMENT], len(outside)

    def get(self, name):
        tensor = self.by_name[name]
        if tensor.data_location != TensorProto.EXTERNAL:
            return numpy_helper.to_array(tensor)
        whole = TensorProto(name=name, data_type=tensor.data_type, dims=tensor.dims)
        with open(os.path.join(self.folder, entry(tensor, "location")), "rb") as file:
            file.seek(int(entry(tensor, "offset") or 0))
            whole.raw_data = file.read(int(entry(tensor, "length")))
        return numpy_helper.to_array(whole)


def entry(tensor, key):
    return next((e.value for e in tensor.external_data if e.key == key), None)


def decoded(tensors, node):
    """The result of a DequantizeLinear, in float32."""
    axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
    block = next((a.i for a in node.attribute if a.name == "block_size"), 0)
    codes, scales = (tensors.get(name).astype(np.float32) for name in node.input[:2])
    zeros = (tensors.get(node.input[2]).astype(np.float32) if len(node.input) > 2
             else np.zeros_like(scales))
    if block:
        spread = [np.repeat(x, block, axis).take(range(codes.shape[axis]), axis)
                  for x in (scales, zeros)]
    else:
        spread = [np.expand_dims(x, 1 - axis) for x in (scales, zeros)]
    return (codes - spread[1]) * spread[0]


def by_numpy(tensors, x):
    """The chain of MatMuls and Gemms, computed from what the file holds."""
    made = {node.output[0]: node for node in tensors.model.graph.node}
    h = x.astype(np.float32)
    for node in tensors.model.graph.node:
        if node.op_type not in ("MatMul", "Gemm"):
            continue
        name = node.input[1]
        w = (decoded(tensors, made[name]) if name in made
             else tensors.get(name).astype(np.float32))
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        h = h @ (w.T if transposed else w)
        if x.dtype == np.float16:
            h = h.astype(np.float16).astype(np.float32)
    return h


def check(name, made, command, outside, args):
    """None, or a text that says what is wrong."""
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        model, out = os.path.join(folder, "model.onnx"), os.path.join(folder, "out.onnx")
        make_model.write(model, args.gigabytes, external=True, scale=args.scale, **made)
        subprocess.run([args.nibble, *command, model, "-o", out], check=True)
        remove(model, model + ".data")
        tensors = Tensors(out)
        misplaced, count = tensors.misplaced()
        size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
        print(f"{name}: {size / 1e9:.2f} GB, {count} tensors outside", flush=True)
        if misplaced:
            return f"not aligned to {ALIGNMENT}: {misplaced[:5]}"
        if outside and not count and args.gigabytes > 2:
            return "no tensor lies outside"
        dtype = made.get("dtype", np.float32)
        x = np.random.default_rng(1).standard_normal((ROWS, make_model.SIDE)).astype(dtype)
        wanted = by_numpy(tensors, x)
        got = session(out, exact=True).run(None, {"x": x})[0].astype(np.float32)
        worst = abs(wanted - got).max() / abs(wanted).max()
        print(f"{name}: differs by {worst:.1e} of the largest", flush=True)
        return None if worst <= TOLERANCE[dtype] else "wrong outputs"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nibble", default="build/nibble")
    parser.add_argument("--gigabytes", type=float, default=3)
    parser.add_argument("--folder", default="/dev/shm")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    # Sums over a chain of layers keep their size.
    args.scale = 1 / math.sqrt(make_model.SIDE * 5 / 3)
    failures = 0
    for name, (made, command, outside) in CASES.items():
        if args.only not in name:
            continue
        if not has_room(args.folder, 3e9 * args.gigabytes):
            print(f"{name}: FAILED: no room in {args.folder}")
            failures += 1
            continue
        wrong = check(name, made, command, outside, args)
        if wrong:
            print(f"{name}: FAILED: {wrong}", flush=True)
            failures += 1
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
