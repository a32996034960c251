"""Float weights between QuantizeLinear and DequantizeLinear. ONNX Runtime joins these with the
operator between them."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
MICROSOFT = "com.microsoft"
DOMAIN = "test.layers"
CODES = {"uint8": (np.uint8, 128), "int8": (np.int8, 3), "uint16": (np.uint16, 32768)}
RANGE = 8.0  # activations are standard normal, and so are results


def weight(shape, axis):
    """Values that are uneven along the reduction axis, so that blocks differ."""
    rng = np.random.default_rng(1)
    size = np.moveaxis(np.zeros(shape), axis, 0).shape
    values = rng.standard_normal(size)
    values *= np.linspace(.3, 3, size[0]).reshape(-1, *[1] * (len(size) - 1))
    values = np.moveaxis(values, 0, axis)
    return (values / np.sqrt(2 * np.prod(shape) / max(shape[0], shape[-1]))).astype("f4")


def node(op_type, inputs, **attributes):
    return lambda x, y: [helper.make_node(op_type, [x if i == "x" else i for i in inputs], [y],
                                          **attributes)]


def turned(x, y):
    """MatMul by a transposed weight"""
    return [helper.make_node("Transpose", ["W"], ["Wt"], perm=[1, 0]),
            helper.make_node("MatMul", [x, "Wt"], [y])]


def biased(x, y):
    return [helper.make_node("MatMul", [x, "W"], [f"{y}_sum"]),
            helper.make_node("Add", [f"{y}_sum", "b64"], [y])]


# name -> nodes, shape of W, its reduction axis, shape of x
OPERATORS = {
    "matmul": (node("MatMul", ["x", "W"]), (128, 64), 0, (3, 128)),
    "matmul-row": (node("MatMul", ["x", "W"]), (128, 64), 0, (1, 128)),
    "matmul-rank3": (node("MatMul", ["x", "W"]), (128, 64), 0, (2, 3, 128)),
    "matmul-stack": (node("MatMul", ["x", "W"]), (2, 128, 64), 1, (2, 3, 128)),
    "matmul-square": (node("MatMul", ["x", "W"]), (64, 64), 0, (3, 64)),
    "matmul-a": (node("MatMul", ["W", "x"]), (64, 128), 1, (128, 3)),
    "matmul-bias": (biased, (128, 64), 0, (3, 128)),
    "matmul-transpose": (turned, (64, 128), 1, (3, 128)),
    "matmul-transpose-square": (turned, (64, 64), 1, (3, 64)),
    "gemm": (node("Gemm", ["x", "W"]), (128, 64), 0, (3, 128)),
    "gemm-bias": (node("Gemm", ["x", "W", "b64"]), (128, 64), 0, (3, 128)),
    "gemm-transb": (node("Gemm", ["x", "W", "b64"], transB=1), (64, 128), 1, (3, 128)),
    "gemm-a": (node("Gemm", ["W", "x"]), (64, 128), 1, (128, 3)),
    "conv": (node("Conv", ["x", "W"]), (64, 32, 3, 3), 1, (1, 32, 6, 6)),
    "conv-bias": (node("Conv", ["x", "W", "b64"]), (64, 32, 3, 3), 1, (1, 32, 6, 6)),
    "conv-1d": (node("Conv", ["x", "W", "b64"]), (64, 32, 3), 1, (1, 32, 6)),
    "conv-group": (node("Conv", ["x", "W"], group=2), (64, 16, 3, 3), 1, (1, 32, 6, 6)),
    "conv-transpose": (node("ConvTranspose", ["x", "W", "b64"]), (32, 64, 3, 3), 0, (1, 32, 6, 6)),
    "einsum": (node("Einsum", ["x", "W"], equation="mk,kn->mn"), (128, 64), 0, (3, 128)),
}


def pair(x, y, kind, domain=""):
    return [helper.make_node("QuantizeLinear", [x, "s", "z"], [f"{y}_q"], domain=domain),
            helper.make_node("DequantizeLinear", [f"{y}_q", "s", "z"], [y], domain=domain)]


def shaped(x, y, name):
    return [helper.make_node("Reshape", [x, name], [y])]


# name -> the op types in front of the operator, and those behind it
PLACES = {
    "front": (["Q"], []), "behind": ([], ["Q"]), "both": (["Q"], ["Q"]),
    "reshape": (["Q", "Unsqueeze", "Squeeze"], ["Q"]),
    "reshape-front": (["Q", "Unsqueeze", "Squeeze"], []),
    "identity": (["Q", "Identity"], ["Identity", "Q"]),
    "relu": (["Q"], ["Relu", "Q"]), "noop": (["Q", "Mul"], []),
    "behind-reshape": (["Q"], ["Unsqueeze", "Squeeze", "Q"]),
    "microsoft": (["M"], ["M"]), "none": ([], []),
}


def step(op_type, x, y, kind):
    if op_type in "QM":
        return pair(x, y, kind, MICROSOFT if op_type == "M" else "")
    if op_type in ("Unsqueeze", "Squeeze"):
        return [helper.make_node(op_type, [x, "axes"], [y])]
    inputs = [x, "one"] if op_type == "Mul" else [x]
    return [helper.make_node(op_type, inputs, [y])]


def chain(steps, x, y, kind):
    nodes = []
    for i, op_type in enumerate(steps):
        after = y if i + 1 == len(steps) else f"{y}_{i}"
        nodes += step(op_type, x, after, kind)
        x = after
    return nodes


def model(operator, place, kind="uint8", opset=21):
    """A model with the input X, the output Y and the weight W."""
    make, shape, axis, x = OPERATORS[operator]
    front, behind = PLACES[place]
    dtype, middle = CODES[kind]
    step_size = np.float32(RANGE / 2 ** (8 * dtype().itemsize - 1))
    nodes = chain(front, "X", "x", kind) + make("x" if front else "X", "h" if behind else "Y")
    nodes += chain(behind, "h", "Y", kind)
    constants = {"W": weight(shape, axis), "s": step_size, "z": np.array(middle, dtype),
                 "one": np.float32(1), "axes": np.array([0]),
                 "b64": np.linspace(-1, 1, 64, dtype="f4")}
    names = {name for n in nodes for name in n.input}
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("X", FLOAT, x)],
        [helper.make_tensor_value_info("Y", FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items() if k in names])
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def in_function(operator, place, kind="uint8", opset=21):
    """Only the operator is in a local function. The weight is an input of the function."""
    whole = model(operator, place, kind, opset)
    graph = whole.graph
    at, inner = next((i, n) for i, n in enumerate(graph.node) if "W" in n.input)
    inputs = list(inner.input)
    call = helper.make_node("Layer", inputs, list(inner.output), domain=DOMAIN)
    body = helper.make_function(DOMAIN, "Layer", inputs, list(inner.output), [inner],
                                [helper.make_opsetid("", opset)])
    graph.node[at].CopyFrom(call)
    whole.functions.append(body)
    whole.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return whole


def feed(operator):
    return {"X": np.random.default_rng(7).standard_normal(OPERATORS[operator][3]).astype("f4")}
