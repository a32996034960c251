"""Models for the tests of forms: operators with their weights, and the places where a weight
may stand. W is the weight under test. Its rival in another branch is V."""

import dataclasses
import functools

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import build
import oracle
from build import TYPES, constant, info

DOMAIN = "test.layers"
MICROSOFT = "com.microsoft"


@dataclasses.dataclass
class Operator:
    """nodes(x, w, y) -> NodeProtos that compute y from x and the weight w."""
    nodes: object
    weight: tuple  # shape
    x: tuple
    rank: int  # of y
    others: dict = dataclasses.field(default_factory=dict)  # name -> shape
    rows: int = 0  # x holds indices: this many are allowed, negative ones too
    index: object = np.int64
    axes: tuple = None  # channel, reduction, whether cut: where nodes don't tell
    kind: str = "plain"  # fused, rows, recurrent: what may be done with codes
    domains: tuple = ()


def node(op_type, inputs, y, domain="", **attributes):
    return helper.make_node(op_type, inputs, [y], domain=domain, **attributes)


# ---- operators -------------------------------------------------------------

def of_layer(layer):
    """An operator from the list in build."""
    def nodes(x, w, y):
        return [layer.node(x, w, y, "")]
    matmul = layer.op == "MatMul" and layer.side and len(layer.weight) == 2
    odd = {"transA", "alpha"} & set(layer.attributes)
    gemm = layer.op == "Gemm" and layer.side and not odd
    return Operator(nodes, layer.weight, layer.x, build.output_rank(layer),
                    {"bias": (layer.bias,)} if layer.bias else {},
                    kind="fused" if matmul or gemm else "plain")


def matmul(k, n, x=None, **options):
    return Operator(lambda x, w, y: [node("MatMul", [x, w], y)], (k, n), x or (3, k),
                    len(x or "mk"), kind="fused", **options)


def gemm(side, trans_a, trans_b, scaled, bias):
    """K = 44, and the weight has 36 channels. `bias` is none, a vector, or a bias that is fused
    nowhere."""
    attributes = {"transA": trans_a, "transB": trans_b}
    if scaled:
        attributes |= {"alpha": 0.5, "beta": 2.0}
    transposed = trans_b if side else trans_a
    weight, x = (44, 36), (3, 44)
    if not side:
        weight, x = (36, 44), (44, 3)
    others = {"none": {}, "vector": {"C": (36 if side else 3,)},
              "matrix": {"C": (3, 36) if side else (36, 3)},
              "row": {"C": (1, 36)}, "scalar": {"C": ()}, "one": {"C": (1,)}}[bias]

    def nodes(x, w, y):
        return [node("Gemm", ([x, w] if side else [w, x]) + list(others), y, **attributes)]
    x_transposed = trans_a if side else trans_b
    fused = side and not trans_a and not scaled and bias in ("none", "vector")
    return Operator(nodes, weight[::-1] if transposed else weight,
                    x[::-1] if x_transposed else x, 2, others,
                    kind="fused" if fused else "plain")


GEMMS = {f"side{'AB'[side]}-{a}{b}-{'scaled' if s else 'plain'}-{bias}":
         gemm(side, a, b, s, bias)
         for side in (1, 0) for a in (0, 1) for b in (0, 1) for s in (0, 1)
         for bias in ("none", "vector", "matrix") if side or (bias == "vector" and not s)}
GEMMS |= {f"bias-{bias}": gemm(1, 0, 1, 0, bias) for bias in ("row", "scalar", "one")}


def gather(table, x, axis=0, index=np.int64):
    rank = len(table) - 1 + len(x)
    return Operator(lambda x, w, y: [node("Gather", [w, x], y, axis=axis)], table, x, rank,
                    rows=table[axis], index=index, kind="plain" if axis else "rows")


def gather_computed(table, x):
    """The indices are computed beside the Gather, wherever that is."""
    def nodes(x, w, y):
        return [node("Cast", [x], f"{y}_i", to=TensorProto.INT64),
                node("Gather", [w, f"{y}_i"], y)]
    return Operator(nodes, table, x, 1 + len(x), rows=table[0], index=np.int32, kind="rows")


def recurrent(op_type, gates, directions, inputs=24, hidden=20):
    others = {"R": (directions, gates * hidden, hidden)}
    if op_type == "LSTM":
        others["B"] = directions, 2 * gates * hidden
    direction = "bidirectional" if directions == 2 else "forward"

    def nodes(x, w, y):
        return [node(op_type, [x, w, *others], y, hidden_size=hidden, direction=direction)]
    return Operator(nodes, (directions, gates * hidden, inputs), (3, 2, inputs), 4, others,
                    kind="recurrent")


def einsum(equation, weight, x, rank, axes, side=1):
    def nodes(x, w, y):
        return [node("Einsum", [x, w] if side else [w, x], y, equation=equation)]
    return Operator(nodes, weight, x, rank, axes=axes)


def fused_matmul(trans_a, trans_b):
    def nodes(x, w, y):
        return [node("FusedMatMul", [x, w], y, MICROSOFT, transA=trans_a, transB=trans_b,
                     alpha=0.5)]
    weight, x = (44, 36), (3, 44)
    return Operator(nodes, weight[::-1] if trans_b else weight,
                    x[::-1] if trans_a else x, 2,
                    domains=(MICROSOFT,))


def transposed(weight, x, op_type="MatMul", **options):
    """The usual export of a linear layer: the weight goes through a Transpose."""
    def nodes(x, w, y):
        return [node("Transpose", [w], f"{y}_t", perm=[1, 0]),
                node(op_type, [x, f"{y}_t"], y)]
    return Operator(nodes, weight, x, len(x), axes=(0, 1, True), kind="fused", **options)


def matmul_add(k, n):
    def nodes(x, w, y):
        return [node("MatMul", [x, w], f"{y}_m"), node("Add", [f"{y}_m", "bias"], y)]
    return Operator(nodes, (k, n), (3, k), 2, {"bias": (n,)}, kind="fused")


def fused_conv():
    def nodes(x, w, y):
        return [node("FusedConv", [x, w], y, MICROSOFT, activation="Relu")]
    return Operator(nodes, (20, 12, 3, 3), (1, 12, 6, 6), 4, domains=(MICROSOFT,))


def fused_gemm():
    def nodes(x, w, y):
        return [node("FusedGemm", [x, w, "bias"], y, MICROSOFT, transB=1,
                     activation="Relu")]
    return Operator(nodes, (36, 44), (3, 44), 2, {"bias": (36,)}, axes=(0, 1, True),
                    domains=(MICROSOFT,))


def attention():
    def nodes(x, w, y):
        return [node("Attention", [x, w, "bias"], y, MICROSOFT, num_heads=2)]
    return Operator(nodes, (32, 96), (2, 5, 32), 3, {"bias": (96,)}, axes=(1, 0, True),
                    domains=(MICROSOFT,))


def embed_norm():
    """Words and positions are both tables. They are looked up and normalized."""
    def nodes(x, w, y):
        inputs = [f"{y}_i", "", w, "P", "", "gamma", "bias"]
        return [node("Abs", [x], f"{y}_i"),
                helper.make_node("EmbedLayerNormalization", inputs, [y, f"{y}_mask"],
                                 domain=MICROSOFT)]
    return Operator(nodes, (51, 40), (2, 5), 3, {"P": (8, 40), "gamma": (40,), "bias": (40,)},
                    rows=50, index=np.int32, domains=(MICROSOFT,))


def deform_conv():
    def nodes(x, w, y):
        return [node("DeformConv", [x, w, "O"], y, pads=[1, 1, 1, 1])]
    return Operator(nodes, (20, 12, 3, 3), (1, 12, 4, 4), 4, {"O": (1, 18, 4, 4)})


OPERATORS = {name: of_layer(layer) for name, layer in build.LAYERS.items()} | {
    "matmul-whole": matmul(512, 9),
    "matmul-rank3-x": matmul(64, 30, (2, 3, 64)),
    "matmul-add": matmul_add(72, 40),
    "matmul-transpose": transposed((40, 70), (3, 70)),
    "gemm-transpose": transposed((40, 70), (3, 70), "Gemm"),
    "fusedmatmul": fused_matmul(0, 0),
    "fusedmatmul-b": fused_matmul(0, 1),
    "fusedmatmul-ab": fused_matmul(1, 1),
    "fusedconv": fused_conv(),
    "fusedgemm": fused_gemm(),
    "attention": attention(),
    "embednorm": embed_norm(),
    "gather": gather((51, 40), (3, 5)),
    "gather-scalar": gather((50, 32), ()),
    "gather-odd": gather((40, 37), (4,)),
    "gather-wide": gather((20, 512), (2, 2)),
    "gather-int32": gather((50, 64), (7,), index=np.int32),
    "gather-computed": gather_computed((60, 38), (2, 3)),
    "gather-column": gather((64, 33), (5,), axis=1),
    "gather-rank3": gather((9, 12, 20), (2, 2)),
    "lstm": recurrent("LSTM", 4, 1),
    "lstm-2": recurrent("LSTM", 4, 2),
    "gru": recurrent("GRU", 3, 1),
    "gru-2": recurrent("GRU", 3, 2, 25, 17),
    "rnn": recurrent("RNN", 1, 1, 40, 32),
    "rnn-2": recurrent("RNN", 1, 2),
    "einsum": einsum("bij,jk->bik", (44, 36), (2, 3, 44), 3, (1, 0, False)),
    "einsum-back": einsum("bij,kj->bik", (36, 44), (2, 3, 44), 3, (0, 1, False)),
    "einsum-first": einsum("jk,bij->bik", (44, 36), (2, 3, 44), 3, (1, 0, False), side=0),
    "einsum-heads": einsum("bid,dhk->bihk", (44, 3, 12), (2, 3, 44), 4, (2, 0, False)),
}


# ---- values ----------------------------------------------------------------

@functools.cache
def noise(shape, seed):
    """Heavy-tailed values that differ in size along every axis."""
    rng = np.random.default_rng(seed)
    return rng.standard_t(4, shape) * rng.uniform(0.2, 1, shape) * 0.1


def weight(operator, dtype="float", name="W"):
    return build.tensor(noise(operator.weight, len(name) + ord(name[0])), name, dtype)


def others(operator, dtype="float"):
    return [build.tensor(noise(shape, 3), name, dtype)
            for name, shape in operator.others.items()]


def feeds(operator, dtype="float"):
    rng = np.random.default_rng(7)
    if operator.rows:
        x = rng.integers(-operator.rows, operator.rows, operator.x)
        return {"X": np.asarray(x, operator.index)}
    return {"X": rng.standard_normal(operator.x).astype(TYPES[dtype][0])}


def all_feeds(model, operator, dtype="float"):
    """The feeds that go through all branches."""
    first = feeds(operator, dtype)
    if any(i.name == "cond" for i in model.graph.input):
        return [first | {"cond": np.array(c)} for c in (True, False)]
    return [first]


# ---- places ----------------------------------------------------------------

def finish(operator, dtype, nodes, tensors=(), rank=None, inputs=(), functions=(), opset=17,
           **options):
    index = helper.np_dtype_to_tensor_dtype(np.dtype(operator.index))
    x = index if operator.rows else dtype
    domains = [*operator.domains, *[DOMAIN] * bool(functions)]
    return build.model(nodes, [info("X", x, operator.x), *inputs],
                       [info("Y", dtype, rank=operator.rank if rank is None else rank)],
                       [*tensors, *others(operator, dtype)], opset, functions=functions,
                       domains=domains, **options)


def as_initializer(operator, w, dtype):
    return finish(operator, dtype, operator.nodes("X", "W", "Y"), [w])


def as_constant(operator, w, dtype):
    return finish(operator, dtype, [constant(w), *operator.nodes("X", "W", "Y")])


def choose(then_branch, else_branch):
    return helper.make_node("If", ["cond"], ["Y"], then_branch=then_branch,
                            else_branch=else_branch)


def body(operator, dtype, w, tensors=(), nodes=()):
    y = f"Y_{w}"
    return helper.make_graph([*nodes, *operator.nodes("X", w, y)], w, [],
                             [info(y, dtype, rank=operator.rank)], tensors)


COND = info("cond", TensorProto.BOOL, [])


def in_if(operator, w, dtype):
    v = weight(operator, dtype, "V")
    branches = choose(body(operator, dtype, "W", [w]),
                      body(operator, dtype, "V", (), [constant(v)]))
    return finish(operator, dtype, [branches], inputs=[COND])


def captured(operator, w, dtype):
    branches = choose(body(operator, dtype, "W"), body(operator, dtype, "V"))
    return finish(operator, dtype, [branches], [w, weight(operator, dtype, "V")],
                  inputs=[COND])


LOOP = [numpy_helper.from_array(np.array(2), "count"),
        numpy_helper.from_array(np.array(True), "always")]


def loop(operator, dtype, state, nodes, tensors, outside=()):
    """`state`: the weight is a state variable of the loop."""
    inputs = [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, [])]
    outputs = [info("on", TensorProto.BOOL, []), info("part", dtype, rank=operator.rank)]
    nodes = [helper.make_node("Identity", ["go"], ["on"]), *nodes]
    results = ["Y"]
    if state:
        inputs.append(info("W_in", dtype, operator.weight))
        outputs.insert(1, info("W_out", dtype, operator.weight))
        nodes.append(helper.make_node("Identity", ["W_in"], ["W_out"]))
        results.insert(0, "W_after")
    graph = helper.make_graph(nodes, "body", inputs, outputs, tensors)
    turn = helper.make_node("Loop", ["count", "always", *state], results, body=graph)
    return finish(operator, dtype, [turn], [*LOOP, *outside], operator.rank + 1)


def in_loop(operator, w, dtype):
    return loop(operator, dtype, [], operator.nodes("X", "W", "part"), [w])


def loop_state(operator, w, dtype):
    return loop(operator, dtype, ["W"], operator.nodes("X", "W_in", "part"), [], [w])


# No Add: ONNX Runtime turns a sum of products into a Gemm, and does not fuse that.
CONCAT = node("Concat", ["Y0", "Y1"], "Y", axis=0)


def function(operator, dtype, handed, nodes):
    """A local function that is called twice. `handed`: constants come as inputs."""
    opsets = [helper.make_opsetid("", 17),
              *[helper.make_opsetid(domain, 1) for domain in operator.domains]]
    inputs = ["X", *handed, *operator.others]
    made = helper.make_function(DOMAIN, "Layer", inputs, ["Y"], nodes, opsets)
    calls = [helper.make_node("Layer", inputs, [f"Y{i}"], domain=DOMAIN) for i in (0, 1)]
    return {"nodes": [*calls, CONCAT], "functions": [made]}


def in_function(operator, w, dtype):
    nodes = [constant(w), *operator.nodes("X", "W", "Y")]
    return finish(operator, dtype, **function(operator, dtype, [], nodes))


def function_input(operator, w, dtype):
    nodes = operator.nodes("X", "W", "Y")
    return finish(operator, dtype, tensors=[w], **function(operator, dtype, ["W"], nodes))


def shared(operator, w, dtype):
    nodes = [*operator.nodes("X", "W", "Y0"), *operator.nodes("X", "W", "Y1"), CONCAT]
    return finish(operator, dtype, nodes, [w])


PLACES = {"initializer": as_initializer, "constant": as_constant, "if": in_if,
          "captured": captured, "loop": in_loop, "loop-state": loop_state,
          "function": in_function, "function-input": function_input, "shared": shared}
HANDED = {"loop-state", "function-input"}  # into a body: decoded outside of it
BODIES = {"if", "captured", "loop"}  # the weight is used in a body
UNFUSED = {"captured"}  # ONNX Runtime fuses what stands in one graph


# ---- how weights lie -------------------------------------------------------

def layout(made, index, shape):
    """(channel axis, reduction axis, True if channels are cut) of one input."""
    last = len(shape) - 1
    if made.op_type == "FusedMatMul" and index == 1:
        swap = oracle.attribute(made, "transB", 0)
        return (last - 1, last, True) if swap else (last, last - 1, True)
    if made.op_type in ("FusedConv", "DeformConv") and index == 1:
        return 0, 1, False
    if made.op_type == "EmbedLayerNormalization" and index in (2, 3):
        return 0, 1, False
    return oracle.layout(made, index, shape)


def weights(model, operator):
    """{name: (channel axis, reduction axis, True if cut)} of all weights."""
    found = {}
    for (_, name), c in oracle.constants(model).items():
        shape = tuple(c.tensor.dims)
        if len(shape) < 2 or c.tensor.data_type not in oracle.FLOAT_TYPE:
            continue
        as_w = "W" if name == "V" else name
        lies = operator.axes if as_w == "W" else None
        for made in operator.nodes("X", "W", "Y") if not lies else ():
            for i, used in enumerate(made.input):
                lies = lies or (layout(made, i, shape) if used == as_w else None)
        if lies:
            found[name] = lies
    return found
