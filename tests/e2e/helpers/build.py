"""Small models: an operator with one weight, in the places where a weight may stand, and with
the ways to store its values."""

import dataclasses

import ml_dtypes
import numpy as np
from onnx import TensorProto, helper, numpy_helper

TYPES = {"float": (np.float32, TensorProto.FLOAT), "float16": (np.float16, TensorProto.FLOAT16),
         "double": (np.float64, TensorProto.DOUBLE),
         "bfloat16": (ml_dtypes.bfloat16, TensorProto.BFLOAT16)}


@dataclasses.dataclass
class Layer:
    """An operator. The weight is its input `side`, and X is its other operand."""
    op: str
    weight: tuple  # shape
    x: tuple
    side: int = 1
    attributes: dict = dataclasses.field(default_factory=dict)
    rank: int = None  # of the output; that of X where None
    bias: int = 0  # elements

    def inputs(self, x, weight):
        pair = [x, weight] if self.side else [weight, x]
        return pair + ["bias"] * bool(self.bias)

    def node(self, x="X", weight="W", y="Y", name="layer"):
        return helper.make_node(self.op, self.inputs(x, weight), [y], name, **self.attributes)


LAYERS = {
    "matmul": Layer("MatMul", (70, 40), (3, 70)),
    "matmul-odd": Layer("MatMul", (127, 13), (5, 127)),
    "matmul-vector": Layer("MatMul", (301, 7), (301,)),
    "matmul-column": Layer("MatMul", (1031, 1), (2, 1031)),
    "matmul-long": Layer("MatMul", (515, 3), (2, 515)),
    "matmul-batch": Layer("MatMul", (33, 31), (2, 3, 33)),
    "matmul-rank3": Layer("MatMul", (3, 37, 11), (3, 2, 37)),
    "matmul-rank5": Layer("MatMul", (2, 1, 3, 17, 13), (4, 17), rank=5),
    "matmul-a": Layer("MatMul", (41, 29), (29, 3), side=0),
    "matmul-a-rank3": Layer("MatMul", (3, 11, 37), (37, 2), side=0, rank=3),
    "gemm": Layer("Gemm", (70, 40), (3, 70)),
    "gemm-transb": Layer("Gemm", (41, 71), (3, 71), attributes={"transB": 1}),
    "gemm-bias": Layer("Gemm", (31, 45), (3, 45), attributes={"transB": 1}, bias=31),
    "gemm-scaled": Layer("Gemm", (33, 35), (33, 2), bias=35,
                         attributes={"transA": 1, "alpha": 0.5, "beta": 2.0}),
    "gemm-a": Layer("Gemm", (29, 47), (47, 3), side=0),
    "gemm-a-transa": Layer("Gemm", (47, 29), (3, 47), side=0,
                           attributes={"transA": 1, "transB": 1}),
    "conv1d": Layer("Conv", (12, 18, 5), (2, 18, 9)),
    "conv2d": Layer("Conv", (24, 17, 3, 3), (1, 17, 7, 6),
                    attributes={"pads": [1, 0, 1, 2], "strides": [2, 1], "dilations": [1, 2]}),
    "conv2d-bias": Layer("Conv", (31, 9, 2, 2), (1, 9, 4, 4), bias=31),
    "conv2d-1x1": Layer("Conv", (19, 57, 1, 1), (1, 57, 4, 4)),
    "conv3d": Layer("Conv", (7, 6, 3, 3, 3), (1, 6, 4, 4, 5)),
    "conv-group": Layer("Conv", (20, 6, 3, 3), (1, 24, 5, 5), attributes={"group": 4}),
    "conv-depthwise": Layer("Conv", (23, 1, 7, 7), (1, 23, 9, 9), attributes={"group": 23}),
    "transpose1d": Layer("ConvTranspose", (21, 11, 5), (1, 21, 6), attributes={"strides": [2]}),
    "transpose2d": Layer("ConvTranspose", (18, 12, 3, 3), (1, 18, 4, 4)),
    "transpose-group": Layer("ConvTranspose", (24, 5, 3, 3), (1, 24, 4, 4),
                             attributes={"group": 4}),
    "transpose-depthwise": Layer("ConvTranspose", (23, 1, 7, 7), (1, 23, 3, 3),
                                 attributes={"group": 23}),
    "transpose-depthwise-2": Layer("ConvTranspose", (17, 2, 5, 5), (1, 17, 3, 3),
                                   attributes={"group": 17}),
}


# ---- values ----------------------------------------------------------------

def weight(layer, dtype="float", name="W", seed=0):
    """Heavy-tailed values that differ in size along every axis."""
    rng = np.random.default_rng(seed)
    x = rng.standard_t(4, layer.weight) * rng.uniform(0.2, 1, layer.weight)
    return tensor(x * 0.1, name, dtype)


def extremes(layer, dtype="float"):
    """The same with zeros, ties, denormals and large values in between."""
    x = numpy_helper.to_array(weight(layer, "double")).copy()
    flat = x.reshape(-1)
    for i, value in enumerate([0, -0.0, 0.5, -0.5, 1.5, 3.5, 7, -7, 1e-41, -1e-45, 6e-5, 30000]):
        flat[i::29 + 2 * i] = value
    return tensor(x, "W", dtype)


def tensor(array, name="W", dtype="float"):
    return numpy_helper.from_array(np.asarray(array).astype(TYPES[dtype][0]), name)


def bias(layer, dtype="float"):
    """A bias for layers that want one."""
    return [tensor(np.linspace(-1, 1, layer.bias), "bias", dtype)] if layer.bias else []


def feeds(layer, dtype="float", **more):
    x = np.random.default_rng(7).standard_normal(layer.x)
    return {"X": x.astype(TYPES[dtype][0])} | more


# ---- models ----------------------------------------------------------------

def info(name, dtype="float", shape=None, rank=0):
    kind = TYPES[dtype][1] if isinstance(dtype, str) else dtype
    return helper.make_tensor_value_info(name, kind, [None] * rank if shape is None else shape)


def output_rank(layer):
    return layer.rank or len(layer.x)


def model(nodes, inputs, outputs, initializers=(), opset=17, ir=8, functions=(), domains=()):
    graph = helper.make_graph(nodes, "main", inputs, outputs, initializers)
    opsets = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in domains]
    return helper.make_model(graph, ir_version=ir, opset_imports=opsets,
                             functions=list(functions), producer_name="test")


def layer_model(layer, w, nodes=None, dtype="float", inputs=(), initializers=None, rank=None,
                **options):
    """A model over X and Y around the nodes. W is an initializer by default."""
    if initializers is None:
        initializers = [w]
    if dtype == "bfloat16":  # Conv takes it from opset 22
        options |= {"opset": 22, "ir": 10}
    rank = output_rank(layer) if rank is None else rank
    return model(nodes or [layer.node(weight=w.name)],
                 [info("X", dtype, layer.x), *inputs], [info("Y", dtype, rank=rank)],
                 [*initializers, *bias(layer, dtype)], **options)


def constant(w, name=""):
    return helper.make_node("Constant", [], [w.name], name, value=w)


def renamed(w, name):
    copy = TensorProto()
    copy.CopyFrom(w)
    copy.name = name
    return copy


def in_constant(layer, w, dtype):
    """The weight stands behind its consumer, since nodes of real models are not always sorted."""
    nodes = [constant(w), layer.node(weight=w.name)]
    return layer_model(layer, w, nodes, dtype, initializers=[])


def branch(layer, w, name, dtype, as_node=False):
    """A body with a layer and its weight."""
    y = info(f"{name}_Y", dtype, rank=output_rank(layer))
    nodes = [constant(w)] * as_node + [layer.node(weight=w.name, y=y.name)]
    return helper.make_graph(nodes, name, [], [y], [] if as_node else [w])


def in_if(layer, w, dtype):
    """Both branches have a weight of that name. One of them is a Constant node."""
    other = weight(layer, dtype, w.name, seed=1)
    node = helper.make_node("If", ["cond"], ["Y"], "choose",
                            then_branch=branch(layer, w, "then", dtype),
                            else_branch=branch(layer, other, "else", dtype, True))
    return layer_model(layer, w, [node], dtype, [info("cond", TensorProto.BOOL, [])], [])


def nested(layer, w, dtype):
    """An If inside a branch of an If. The weight belongs to the outer branch."""
    inner = [helper.make_graph([layer.node(weight=w.name, y=f"{name}_Y", name=name)], name, [],
                               [info(f"{name}_Y", dtype, rank=output_rank(layer))])
             for name in ("a", "b")]
    node = helper.make_node("If", ["cond"], ["inner"], "", then_branch=inner[0],
                            else_branch=inner[1])
    outer = helper.make_graph([node], "then", [], [info("inner", dtype, rank=output_rank(layer))],
                              [w])
    other = branch(layer, renamed(w, "V"), "else", dtype)
    node = helper.make_node("If", ["cond"], ["Y"], "", then_branch=outer, else_branch=other)
    return layer_model(layer, w, [node], dtype, [info("cond", TensorProto.BOOL, [])], [])


def captured(layer, w, dtype):
    """A main-graph weight that only the branches of an If use."""
    bodies = [helper.make_graph([layer.node(weight=w.name, y=f"{name}_Y", name=name)], name, [],
                                [info(f"{name}_Y", dtype, rank=output_rank(layer))])
              for name in ("then", "else")]
    node = helper.make_node("If", ["cond"], ["Y"], "choose", then_branch=bodies[0],
                            else_branch=bodies[1])
    return layer_model(layer, w, [node], dtype, [info("cond", TensorProto.BOOL, [])], [w])


def in_loop(layer, w, dtype, outside=False):
    """Three iterations, whose results are stacked."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), layer.node(weight=w.name, y="part")],
        "body", [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, [])],
        [info("on", TensorProto.BOOL, []), info("part", dtype, rank=output_rank(layer))],
        [] if outside else [w])
    count = numpy_helper.from_array(np.array(3), "count")
    go = numpy_helper.from_array(np.array(True), "always")
    node = helper.make_node("Loop", ["count", "always"], ["Y"], "loop", body=body)
    return layer_model(layer, w, [node], dtype, initializers=[count, go] + [w] * outside,
                       rank=output_rank(layer) + 1)


def captured_by_loop(layer, w, dtype):
    return in_loop(layer, w, dtype, outside=True)


def in_function(layer, w, dtype):
    """A local function with a weight, called twice."""
    opset = [helper.make_opsetid("", 22 if dtype == "bfloat16" else 17)]
    inputs = ["X"] + ["bias"] * bool(layer.bias)
    function = helper.make_function("test.layers", "Layer", inputs, ["Y"],
                                    [constant(w, "weight"), layer.node(weight=w.name)], opset)
    calls = [helper.make_node("Layer", inputs, [f"Y{i}"], f"call {i}", domain="test.layers")
             for i in (0, 1)]
    nodes = calls + [helper.make_node("Add", ["Y0", "Y1"], ["Y"])]
    return layer_model(layer, w, nodes, dtype, initializers=[], functions=[function],
                       domains=["test.layers"])


def shared(layer, w, dtype):
    """Two consumers."""
    nodes = [layer.node(weight=w.name, y=f"Y{i}", name=f"layer {i}") for i in (0, 1)]
    nodes.append(helper.make_node("Add", ["Y0", "Y1"], ["Y"]))
    return layer_model(layer, w, nodes, dtype)


def in_old_style(layer, w, dtype):
    """IR 3, where every initializer is a graph input, too."""
    extra = [info(t.name, dtype, list(t.dims)) for t in [w, *bias(layer, dtype)]]
    return layer_model(layer, w, None, dtype, extra, opset=13, ir=3)


def as_input(layer, w, dtype):
    """A graph input with a default. A caller may override it."""
    return layer_model(layer, w, None, dtype, [info(w.name, dtype, list(w.dims))], opset=21, ir=10)


def as_initializer(layer, w, dtype):
    return layer_model(layer, w, None, dtype)


PLACES = {"initializer": as_initializer, "constant": in_constant, "if": in_if, "nested": nested,
          "captured": captured, "loop": in_loop, "loop-captured": captured_by_loop,
          "function": in_function, "shared": shared, "ir3": in_old_style}


def all_feeds(model, layer, dtype="float"):
    """The feeds that go through all branches."""
    if any(i.name == "cond" for i in model.graph.input):
        return [feeds(layer, dtype, cond=np.array(c)) for c in (True, False)]
    return [feeds(layer, dtype)]


# ---- storage ---------------------------------------------------------------

def every_tensor(message):
    """All tensors anywhere in a message."""
    if isinstance(message, TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for item in value if field.is_repeated else [value]:
                yield from every_tensor(item)


def typed(t):
    """Moves values from raw_data into the field of their type."""
    raw = t.raw_data
    fields = {TensorProto.FLOAT: ("float_data", np.float32),
              TensorProto.DOUBLE: ("double_data", np.float64),
              TensorProto.FLOAT16: ("int32_data", np.uint16),
              TensorProto.BFLOAT16: ("int32_data", np.uint16),
              TensorProto.INT64: ("int64_data", np.int64)}
    if t.data_type in fields:
        name, kind = fields[t.data_type]
        t.ClearField("raw_data")
        getattr(t, name).extend(np.frombuffer(raw, kind).tolist())


def raw(t):
    """The reverse of `typed`, for any type with a fixed size."""
    if t.data_type != TensorProto.STRING and not t.raw_data:
        array = numpy_helper.to_array(t)
        for name in ("float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
            t.ClearField(name)
        t.raw_data = array.tobytes()


def external(t, location, offset=None, length=None):
    """Makes a tensor point to a file."""
    t.ClearField("raw_data")
    t.data_location = TensorProto.EXTERNAL
    for key, value in ("location", location), ("offset", offset), ("length", length):
        if value is not None:
            t.external_data.add(key=key, value=str(value))


def save(model, path, storage="raw"):
    """raw: values in raw_data. typed: in float_data and similar fields. external: in one file
    at odd offsets. files: in a file for each tensor, which only has a location."""
    tensors = list(every_tensor(model))
    data = b"gap"
    for i, t in enumerate(tensors):
        if storage == "typed":
            typed(t)
        elif storage == "external":
            raw = t.raw_data
            external(t, f"{path.name}.data", len(data), len(raw))
            data += raw + b"gap"
        elif storage == "files":
            (path.parent / f"tensor {i}.bin").write_bytes(t.raw_data)
            external(t, f"tensor {i}.bin")
    if storage == "external":
        path.with_name(f"{path.name}.data").write_bytes(data)
    path.write_bytes(model.SerializeToString())
    return path
