"""Small models, made with the onnx package. Each function returns the bytes of a file."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def chain(weights, opset=21, ir=10):
    """A chain of MatMuls. `weights` is {name: array}."""
    nodes, value = [], "x"
    for i, name in enumerate(weights):
        nodes.append(helper.make_node("MatMul", [value, name], [f"h{i}"]))
        value = f"h{i}"
    first, last = list(weights.values())[0], list(weights.values())[-1]
    graph = helper.make_graph(
        nodes, "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", first.shape[0]])],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, ["n", last.shape[1]])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = ir
    return model


def integers(rows, columns):
    """Whole numbers from -7 to 7, with a 7 in every column: int4 keeps them exactly."""
    array = np.random.default_rng(rows * columns).integers(-7, 8, (rows, columns))
    array = array.astype(np.float32)
    array[0] = 7
    return array


def plain():
    """A weight that int4 keeps exactly, and one that is too small to be quantized."""
    return chain({"layers.0.weight": integers(64, 32),
                  "small": integers(32, 4)}).SerializeToString()


def tiny():
    """A model whose weights are all too small to be quantized."""
    return chain({"small": integers(16, 4)}).SerializeToString()


def external(folder, name, location, seed=0):
    """Saves a model with nothing to quantize, whose values are in another file."""
    model = chain({"small": integers(16, 4) + seed})
    tensor = model.graph.initializer[0]
    (folder / location).parent.mkdir(exist_ok=True)
    (folder / location).write_bytes(tensor.raw_data + b"unused")
    for key, text in [("location", location), ("length", str(len(tensor.raw_data)))]:
        tensor.external_data.add(key=key, value=text)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    (folder / name).write_bytes(model.SerializeToString())


def broken():
    """A weight with a NaN, beside a sound one. Its name would turn a terminal red."""
    bad = integers(64, 64)
    bad[3, 3] = np.nan
    return chain({"sound": integers(64, 64), "bad\x1b[31m\nname": bad}).SerializeToString()


def sparse(folder, gigabytes):
    """A model of that size. Its external data is a file that is one hole."""
    side = 16384
    model = chain({"weight": np.zeros((1, 1), np.float32)})
    graph = model.graph
    del graph.node[:], graph.initializer[:]
    graph.input[0].type.tensor_type.shape.dim[1].dim_value = side
    graph.output[0].type.tensor_type.shape.dim[1].dim_value = side
    value = "x"
    for i in range(gigabytes):
        tensor = graph.initializer.add(name=f"weight{i}", dims=[side, side],
                                       data_type=TensorProto.FLOAT,
                                       data_location=TensorProto.EXTERNAL)
        for key, text in [("location", "hole.bin"), ("offset", str(i * side * side * 4)),
                          ("length", str(side * side * 4))]:
            tensor.external_data.add(key=key, value=text)
        graph.node.append(helper.make_node("MatMul", [value, tensor.name], [f"y{i}"]))
        value = f"y{i}"
    graph.output[0].name = value
    with open(folder / "hole.bin", "wb") as file:
        file.truncate(gigabytes * side * side * 4)
    (folder / "large.onnx").write_bytes(model.SerializeToString())


def codes(path):
    """The types of a model's initializers, by name."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    return {tensor.name: TensorProto.DataType.Name(tensor.data_type)
            for tensor in model.graph.initializer}
