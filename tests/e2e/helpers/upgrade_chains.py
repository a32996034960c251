"""Random chains of operators that change between opsets, in the form of a source opset."""

import dataclasses
import math

import numpy as np
from onnx import helper

from upgrade_cases import FLOAT, constant, ir_of, make, value


@dataclasses.dataclass
class Chain:
    """A model in the making. One float value is passed on from node to node."""

    opset: int
    random: np.random.RandomState
    name: str = "x"
    shape: tuple = ()
    nodes: list = dataclasses.field(default_factory=list)
    initializers: list = dataclasses.field(default_factory=list)
    ops: list = dataclasses.field(default_factory=list)

    def fresh(self):
        return f"v{len(self.nodes)}"

    def constant(self, array):
        """Adds an initializer, or in bodies of functions a Constant node."""
        name = f"c{len(self.nodes)}_{len(self.initializers)}"
        self.initializers.append(constant(name, array))
        return name

    def add(self, op_type, shape, inputs=(), outputs=1, **attributes):
        """Adds a node that takes the value. Its first output is the new value."""
        name = self.fresh()
        outs = [name] + [f"{name}_{i}" for i in range(1, outputs)]
        self.nodes.append(helper.make_node(op_type, [self.name, *inputs], outs, **attributes))
        self.ops.append(op_type)
        self.name, self.shape = name, tuple(shape)

    def axis(self, low=0):
        """An axis that counts from either end, if the opset allows it."""
        rank = len(self.shape)
        axis = int(self.random.randint(low, rank))
        return axis - rank if self.opset >= 11 and self.random.rand() < 0.3 else axis

    def chance(self, p=0.5):
        return self.random.rand() < p


def softmax(c):
    op_type = ["Softmax", "LogSoftmax", "Hardmax"][c.random.randint(3)]
    given = {} if len(c.shape) > 1 and c.chance(0.3) else {"axis": c.axis()}
    c.add(op_type, c.shape, **given)


def reduction(c):
    name = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceSumSquare"][
        c.random.randint(6)]
    axis, keep = c.axis(), int(c.chance())
    if len(c.shape) == 1:
        keep = 1
    shape = list(c.shape)
    shape[axis] = 1
    if not keep:
        del shape[axis]
    if c.opset >= (13 if name == "ReduceSum" else 18):
        c.add(name, shape, [c.constant(np.array([axis]))], keepdims=keep)
    else:
        c.add(name, shape, axes=[axis], keepdims=keep)


def unsqueeze(c):
    if len(c.shape) > 4:
        return
    at = int(c.random.randint(len(c.shape) + 1))
    shape = c.shape[:at] + (1,) + c.shape[at:]
    if c.opset >= 13:
        c.add("Unsqueeze", shape, [c.constant(np.array([at]))])
    else:
        c.add("Unsqueeze", shape, axes=[at])


def squeeze(c):
    ones = [i for i, size in enumerate(c.shape) if size == 1]
    if not ones or len(c.shape) < 2:
        return
    at = ones[c.random.randint(len(ones))]
    shape = c.shape[:at] + c.shape[at + 1:]
    if c.opset >= 13:
        c.add("Squeeze", shape, [c.constant(np.array([at]))])
    else:
        c.add("Squeeze", shape, axes=[at])


def split(c):
    axis = c.axis()
    size = c.shape[axis]
    if size < 2:
        return
    even = size % 2 == 0 and c.chance()
    parts = [size // 2, size - size // 2] if even else [1, size - 1]
    shape = list(c.shape)
    shape[axis] = parts[0]
    if even:
        given = {"num_outputs": 2} if c.opset >= 18 else {}
        c.add("Split", shape, outputs=2, axis=axis, **given)
    elif c.opset >= 13:
        c.add("Split", shape, [c.constant(np.array(parts))], outputs=2, axis=axis)
    else:
        c.add("Split", shape, outputs=2, axis=axis, split=parts)
    if c.chance():
        shape[axis] = size
        c.add("Concat", shape, [f"{c.name}_1"], axis=axis)


def clip(c):
    low, high = sorted(np.float32(c.random.randn(2)))
    if c.opset >= 11:
        c.add("Clip", c.shape, [c.constant(low), c.constant(high)])
    else:
        c.add("Clip", c.shape, **({"min": float(low)} if c.chance() else {"max": float(high)}))


def pad(c):
    rank = len(c.shape)
    pads = [int(p) for p in c.random.randint(0, 2, 2 * rank)]
    shape = [size + pads[i] + pads[i + rank] for i, size in enumerate(c.shape)]
    if math.prod(shape) > 2000:
        return
    mode = "constant" if c.chance() else "edge"
    if c.opset >= 11:
        c.add("Pad", shape, [c.constant(np.array(pads)), c.constant(np.float32(0.5))], mode=mode)
    else:
        c.add("Pad", shape, pads=pads, value=0.5, mode=mode)


def slice_(c):
    axis = int(c.random.randint(len(c.shape)))
    if c.shape[axis] < 2:
        return
    shape = list(c.shape)
    shape[axis] -= 1
    if c.opset >= 10:
        c.add("Slice", shape, [c.constant(np.array([v])) for v in (0, -1, axis)])
    else:
        given = {"axes": [axis]} if axis or c.chance() else {}
        c.add("Slice", shape, starts=[0], ends=[-1], **given)


def topk(c):
    axis = c.axis()
    k = min(2, c.shape[axis])
    shape = list(c.shape)
    shape[axis] = k
    if c.opset >= 10:
        c.add("TopK", shape, [c.constant(np.array([k]))], outputs=2, axis=axis)
    else:
        c.add("TopK", shape, outputs=2, axis=axis, k=k)


def resize(c):
    rank = len(c.shape)
    choices = [1, 2, 1.5] if c.opset < 10 else [1, 2, 1.5, 0.5, 0.7]
    scales = np.float32([choices[i] for i in c.random.randint(0, len(choices), rank)])
    shape = [int(np.floor(np.float32(size) * scale)) for size, scale in zip(c.shape, scales)]
    if math.prod(shape) > 2000 or 0 in shape:
        return
    if c.opset < 9:
        c.add("Upsample", shape, scales=[float(s) for s in scales])
    elif c.opset == 9:
        c.add("Upsample", shape, [c.constant(scales)], mode="nearest")
    elif c.opset == 10:
        c.add("Resize", shape, [c.constant(scales)])
    else:
        given = {"coordinate_transformation_mode": "tf_half_pixel_for_nn"} if c.opset < 13 else {}
        given["nearest_mode"] = "floor"
        c.add("Resize", shape, [c.constant(np.float32([])), c.constant(scales)], **given)


def dropout(c):
    if c.opset < 12:
        c.add("Dropout", c.shape, outputs=1 + int(c.chance()), ratio=0.4)
    else:
        c.add("Dropout", c.shape, [c.constant(np.float32(0.4))])


def batch_normalization(c):
    if len(c.shape) < 2:
        return
    count = c.shape[1]
    statistics = [c.constant(np.float32(np.abs(c.random.randn(count)) + 0.1)) for _ in range(4)]
    given = {"spatial": 1} if c.opset < 9 and c.chance() else {}
    c.add("BatchNormalization", c.shape, statistics, **given)


def group_normalization(c):
    if c.opset < 18 or c.opset > 20 or len(c.shape) < 3 or c.shape[1] % 2:
        return
    weights = [c.constant(np.float32(c.random.randn(2))) for _ in range(2)]
    c.add("GroupNormalization", c.shape, weights, num_groups=2)


def scatter(c):
    if c.opset < 9:
        return
    index = c.constant(np.zeros([1] * len(c.shape), np.int64))
    update = c.constant(np.full([1] * len(c.shape), 2.5, np.float32))
    c.add("Scatter" if c.opset < 11 else "ScatterElements", c.shape, [index, update])


def plain(c):
    op_type = ["Neg", "Tanh", "Sigmoid", "Relu", "Identity", "Abs"][c.random.randint(6)]
    c.add(op_type, c.shape)


def transpose(c):
    order = [int(i) for i in c.random.permutation(len(c.shape))]
    c.add("Transpose", [c.shape[i] for i in order], perm=order)


STEPS = [softmax, softmax, reduction, unsqueeze, squeeze, split, clip, pad, slice_, topk, resize,
         dropout, batch_normalization, group_normalization, scatter, plain, transpose]


def build(seed):
    """A chain of three to six nodes or a few more: (opset, model, feeds)."""
    random = np.random.RandomState(seed)
    opset = int(random.randint(7, 21))
    rank = int(random.randint(1, 6))
    chain = Chain(opset, random, shape=tuple(int(s) for s in random.randint(1, 5, rank)))
    shape, length = chain.shape, random.randint(3, 7)
    while len(chain.nodes) < length:
        STEPS[random.randint(len(STEPS))](chain)
    return opset, place(chain, shape), {"x": np.float32(random.randn(*shape))}


def place(chain, shape):
    """The chain as a main graph, as the body of an If, or as a local function."""
    inputs, output = [value("x", FLOAT, list(shape))], value(chain.name, FLOAT, list(chain.shape))
    where = chain.random.randint(4)
    if where == 0:
        body = helper.make_graph(chain.nodes, "body", [], [output], chain.initializers)
        zeros = constant("o", np.zeros(chain.shape, np.float32))
        other = helper.make_graph([helper.make_node("Constant", [], ["o"], value=zeros)], "other",
                                  [], [value("o", FLOAT, list(chain.shape))])
        nodes = [helper.make_node("If", ["condition"], ["y"], then_branch=body, else_branch=other)]
        return make(nodes, chain.opset, inputs, [value("y", FLOAT, list(chain.shape))],
                    [constant("condition", np.array(True))], ir=max(4, ir_of(chain.opset)))
    if where == 1:
        made = [helper.make_node("Constant", [], [t.name], value=t) for t in chain.initializers]
        function = helper.make_function("local", "F", ["x"], [chain.name], made + chain.nodes,
                                        [helper.make_opsetid("", chain.opset)])
        nodes = [helper.make_node("F", ["x"], ["y"], domain="local")]
        return make(nodes, chain.opset, inputs, [value("y", FLOAT, list(chain.shape))],
                    functions=[function], imports=[helper.make_opsetid("local", 1)], ir=8)
    return make(chain.nodes, chain.opset, inputs, [output], chain.initializers)
