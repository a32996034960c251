"""Writes ONNX models of many small parts, to see how time and memory grow.

    python bench/make_many.py KIND COUNT OUT.onnx

weights: COUNT MatMuls with a weight of 2 kB each. nodes: COUNT nodes without weights.
bodies: COUNT nodes in branches of If, 20 deep. Each branch uses a weight of the main graph.
The same call writes the same bytes.
"""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8
ROWS, COLUMNS = 16, 32  # 2 kB of float32
DEEP = 20
MIN_ELEMENTS = ["--min-elements", "16"]  # without this everything stays float


def tensor(name, rng, shape=(ROWS, COLUMNS)):
    return numpy_helper.from_array(rng.standard_normal(shape, np.float32), name)


def weights(count, rng):
    """Pairs of MatMuls: to 32 columns and back to 16."""
    nodes, tensors = [], []
    for i in range(count):
        shape = (COLUMNS, ROWS) if i % 2 else (ROWS, COLUMNS)
        tensors.append(tensor(f"layers.{i}.weight", rng, shape))
        nodes.append(helper.make_node("MatMul", [f"h{i}", f"layers.{i}.weight"], [f"h{i + 1}"],
                                      f"/layers.{i}/MatMul"))
    return nodes, tensors, [ROWS, COLUMNS][count % 2]


def nodes(count, rng):
    """Additions and similar operators in a long chain, and one weight."""
    made = []
    for i in range(count):
        op = ("Add", "Mul", "Sub")[i % 3]
        made.append(helper.make_node(op, [f"h{i}", f"h{max(i - 1, 0)}"], [f"h{i + 1}"],
                                     f"/chain.{i}/{op}"))
    made.append(helper.make_node("MatMul", [f"h{count}", "w"], [f"h{count + 1}"], "/MatMul"))
    return made, [tensor("w", rng)], COLUMNS


def body(name, nodes, output):
    value = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    return helper.make_graph(nodes, name, [], [value])


def nest(start, deep):
    """An If whose branches hold a MatMul and, down to a depth, another If."""
    x, then, other = f"{start}.{deep}.x", f"{start}.{deep}.then", f"{start}.{deep}.else"
    name = f"/nest.{start}/{deep}"
    inner = [helper.make_node("MatMul", ["x", f"w{start}"], [then], f"{name}/MatMul")]
    if deep > 1:
        inner.append(nest(start, deep - 1))
        inner.append(helper.make_node("Add", [then, inner[-1].output[0]], [f"{then}.y"]))
    else:
        inner.append(helper.make_node("Neg", [then], [f"{then}.y"]))
    rest = [helper.make_node("MatMul", ["x", f"w{start}"], [other], f"{name}/else/MatMul")]
    return helper.make_node(
        "If", ["condition"], [x], name,
        then_branch=body(f"{name}/then", inner, f"{then}.y"),
        else_branch=body(f"{name}/else", rest, other))


def bodies(count, rng):
    """Every level of a nest is an If and three nodes in its branches."""
    made, tensors, last = [], [], None
    for start in range(max(1, count // (4 * DEEP))):
        tensors.append(tensor(f"w{start}", rng))
        made.append(nest(start, DEEP))
        if last:
            made.append(helper.make_node("Add", [last, made[-1].output[0]], [f"sum{start}"]))
        last = made[-1].output[0]
    return made, tensors, COLUMNS


KINDS = {"weights": weights, "nodes": nodes, "bodies": bodies}


def write(kind, count, path):
    """Writes the model. Returns the number of bytes that are values of weights."""
    made, tensors, columns = KINDS[kind](count, np.random.default_rng(0))
    first = "x" if kind == "bodies" else "h0"
    inputs = [helper.make_tensor_value_info(first, TensorProto.FLOAT, ["rows", ROWS])]
    if kind == "bodies":
        inputs.append(helper.make_tensor_value_info("condition", TensorProto.BOOL, []))
    output = helper.make_tensor_value_info(made[-1].output[0], TensorProto.FLOAT,
                                           ["rows", columns])
    graph = helper.make_graph(made, kind, inputs, [output], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)],
                              ir_version=IR_VERSION)
    onnx.save(model, path)
    return sum(len(t.raw_data) for t in tensors)


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in KINDS:
        sys.exit(__doc__)
    write(sys.argv[1], int(sys.argv[2]), sys.argv[3])
