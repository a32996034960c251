"""Constants behind Transpose, Reshape, Slice and similar operators. onnx's reference
implementation computes them, and they become initializers of the float model."""

import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import oracle

MOVERS = {"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Cast", "Slice", "Split",
          "Concat"}


def fold(model, keys):
    """A copy of the model in which the values of these keys are initializers. Nodes and
    constants that nothing needs any more are removed. Keys of other values are ignored."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    idle = unused(copy)
    for place in list(oracle.places(copy)):
        for node in list(place.owner.node):
            for i, name in enumerate(node.output):
                if (place.path, name) in keys and node.op_type in MOVERS:
                    value = numpy_helper.from_array(evaluate(copy, place, name), name)
                    node.output[i] = f"{name} as it was"
                    put(place.owner, value)
    while drop(copy, idle):
        pass
    return copy


def put(owner, tensor):
    if hasattr(owner, "initializer"):
        owner.initializer.append(tensor)
    else:
        owner.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))


def evaluate(model, place, name):
    """The value of a name whose origins are all constants."""
    home = place.home(name)
    if home.values[name]:
        return numpy_helper.to_array(home.values[name].tensor)
    node, = [n for n in home.owner.node if name in n.output]
    assert node.op_type in MOVERS, f"{name} is no constant"
    feeds = {n: evaluate(model, home, n) for n in node.input if n}
    graph = helper.make_graph([node], "g", [onnx.ValueInfoProto(name=n) for n in feeds],
                              [onnx.ValueInfoProto(name=name)])
    one = helper.make_model(graph, opset_imports=model.opset_import)
    return ReferenceEvaluator(one).run(None, feeds)[0]


def unused(model):
    """The keys of constants, and of the results of movers, that nothing uses."""
    used = oracle.uses(model)
    keys = set(oracle.constants(model))
    for place in oracle.places(model):
        keys |= {(place.path, name) for node in place.owner.node
                 if node.op_type in MOVERS for name in node.output}
    return {key for key in keys if not used.get(key)}


def drop(model, idle):
    """Removes nodes and initializers that have become useless. False if there are none."""
    gone = unused(model) - idle
    if not gone:
        return False
    done = False
    for place in oracle.places(model):
        owner = place.owner
        for field in ["node"] + ["initializer"] * hasattr(owner, "initializer"):
            items = getattr(owner, field)
            kept = [item for item in items
                    if not all((place.path, name) in gone for name in names_of(item))]
            done |= len(kept) < len(items)
            del items[:]
            items.extend(kept)
    return done


def names_of(item):
    if isinstance(item, onnx.TensorProto):
        return [item.name]
    return item.output if item.op_type in MOVERS | {"Constant"} and item.output else [None]
