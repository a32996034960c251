"""Writes a large ONNX model for benchmarks, piece by piece, in little memory.

    python bench/make_model.py OUT.onnx [--gigabytes 1.5] [--order kn|nk]
                               [--type float32|float16] [--external] [--opset 17]

A chain of square MatMuls (order kn: weights [K, N]) or Gemms with transB
(order nk: [N, K]) whose weights follow Student's t with 5 degrees of freedom,
about as heavy-tailed as trained ones. The same call writes the same bytes.
"""

import argparse
import os

import numpy as np
import onnx
from onnx import TensorProto, helper

SIDE = 4096
OPSET = 17
IR_VERSION = 10  # what opset 21 came with; older opsets may have it too


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, size):
    """The key and the length of a nested field."""
    return varint(number << 3 | 2) + varint(size)


def weights(count, dtype, scale, side):
    """Yields `count` weights. All come from one random pool, which is rotated."""
    pool = np.random.default_rng(0).standard_t(5, side * side).astype(dtype)
    pool *= dtype(scale)
    for i in range(count):
        yield np.roll(pool, i * 7919).tobytes()


def skeleton(count, order, elem, opset, side):
    nodes = []
    for i in range(count):
        x, y = (f"h{i}" if i else "x"), f"h{i + 1}" if i + 1 < count else "y"
        if order == "kn":
            nodes.append(helper.make_node("MatMul", [x, f"w{i}"], [y], f"n{i}"))
        else:
            nodes.append(helper.make_node("Gemm", [x, f"w{i}"], [y], f"n{i}", transB=1))
    io = [helper.make_tensor_value_info(n, elem, ["batch", side]) for n in "xy"]
    graph = helper.make_graph(nodes, "bench", io[:1], io[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)],
                             ir_version=IR_VERSION)


def tensor(i, elem, size, location, side):
    """The bytes of an initializer up to its values, and the length of the whole."""
    proto = TensorProto(name=f"w{i}", data_type=elem, dims=[side, side])
    if location:
        proto.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", i * size), ("length", size)):
            proto.external_data.add(key=key, value=str(value))
        return proto.SerializeToString(), 0
    return proto.SerializeToString() + field(9, size), size


def write(path, gigabytes, order="kn", dtype=np.float32, external=False, opset=OPSET,
          scale=0.02, side=SIDE):
    """Writes the model. Returns the number of bytes that are values of weights."""
    elem = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    size = side * side * np.dtype(dtype).itemsize
    count = max(1, round(gigabytes * 1e9 / size))
    model = skeleton(count, order, elem, opset, side)
    location = os.path.basename(path) + ".data" if external else None
    heads = [tensor(i, elem, size, location, side) for i in range(count)]
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    total = len(graph) + sum(
        len(field(5, len(head) + inside)) + len(head) + inside for head, inside in heads)
    data = open(path + ".data", "wb") if external else None
    with open(path, "wb") as out:
        out.write(model.SerializeToString() + field(7, total) + graph)
        for (head, inside), values in zip(heads, weights(count, dtype, scale, side)):
            out.write(field(5, len(head) + inside) + head)
            (data or out).write(values)
    if data:
        data.close()
    return count * size


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("path")
    parser.add_argument("--gigabytes", type=float, default=1.5)
    parser.add_argument("--order", choices=["kn", "nk"], default="kn")
    parser.add_argument("--type", choices=["float32", "float16"], default="float32")
    parser.add_argument("--external", action="store_true")
    parser.add_argument("--opset", type=int, default=OPSET)
    args = parser.parse_args()
    write(args.path, args.gigabytes, args.order, getattr(np, args.type), args.external,
          args.opset)
    print(f"{args.path}: {os.path.getsize(args.path) / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
