"""Writes a transformer without embeddings for benchmarks. It computes what a language model
computes for each token.

    python bench/make_stack.py OUT.onnx [HIDDEN [LAYERS]]

Layers of self-attention (16 heads) and a feed-forward part four times as wide with
Gelu, all weights [K, N] of MatMuls, no biases; x is [batch, rows, hidden]. Weights
follow Student's t with 5 degrees of freedom, scaled so that sums keep their size.
"""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEADS = 16


class Graph:
    """Collects nodes and initializers. Their names are those of outputs."""

    def __init__(self):
        self.nodes, self.tensors = [], []
        self.rng = np.random.default_rng(0)

    def add(self, op, *inputs, **attributes):
        name = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name, **attributes))
        return name

    def constant(self, value, name=None):
        name = name or f"c{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(value, name))
        return name

    def linear(self, x, k, n):
        w = self.rng.standard_t(5, (k, n)).astype(np.float32) * np.float32((0.6 / k) ** 0.5)
        return self.add("MatMul", x, self.constant(w, f"w{len(self.tensors)}"))

    def norm(self, x, hidden):
        ones = self.constant(np.ones(hidden, np.float32))
        return self.add("LayerNormalization", x, ones, axis=-1)


def attention(g, x, hidden):
    split = g.constant(np.array([0, 0, HEADS, hidden // HEADS], np.int64))
    join = g.constant(np.array([0, 0, hidden], np.int64))
    q, k, v = (g.add("Reshape", g.linear(x, hidden, hidden), split) for _ in "qkv")
    q, v = (g.add("Transpose", t, perm=[0, 2, 1, 3]) for t in (q, v))
    k = g.add("Transpose", k, perm=[0, 2, 3, 1])
    scale = g.constant(np.float32((hidden // HEADS) ** -0.5))
    scores = g.add("Softmax", g.add("Mul", g.add("MatMul", q, k), scale), axis=-1)
    mixed = g.add("Transpose", g.add("MatMul", scores, v), perm=[0, 2, 1, 3])
    return g.linear(g.add("Reshape", mixed, join), hidden, hidden)


def gelu(g, x):
    root, one, half = (g.constant(np.float32(value)) for value in (2 ** -0.5, 1, 0.5))
    bell = g.add("Add", g.add("Erf", g.add("Mul", x, root)), one)
    return g.add("Mul", g.add("Mul", x, bell), half)


def write(path, hidden=1024, layers=8):
    g, x = Graph(), "x"
    for _ in range(layers):
        x = g.add("Add", x, attention(g, g.norm(x, hidden), hidden))
        wide = gelu(g, g.linear(g.norm(x, hidden), hidden, 4 * hidden))
        x = g.add("Add", x, g.linear(wide, 4 * hidden, hidden))
    io = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "rows", hidden])
          for name in ("x", x)]
    graph = helper.make_graph(g.nodes, "stack", io[:1], io[1:], g.tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                                ir_version=8), path)


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 4:
        sys.exit(__doc__)
    write(sys.argv[1], *map(int, sys.argv[2:]))
