"""A table that is looked up, and that other operators use in ways of their own: a Cast, a
Shape, an Unsqueeze. Each gets what it needs, and the table is quantized."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import build
from build import info
from forms_check import check
from forms_models import node, noise
from oracle import Scheme

V, H = 60, 32
SCHEME = Scheme("int4", min_elements=256)
FEEDS = [{"ids": np.array([[1, 2, 59], [0, 7, 7]])}]
FORMS = ["run", "auto", "load", "portable", "nbits", "generic"]
FLOAT = TensorProto.FLOAT


def table(nodes, outputs, tensors=(), dtype=np.float32, opset=17):
    """E is looked up, and used by the nodes."""
    constants = [numpy_helper.from_array(noise((V, H), 1).astype(dtype), "E"), *tensors]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return build.model([node("Gather", ["E", "ids"], "h"), *nodes],
                       [info("ids", TensorProto.INT64, [2, 3])],
                       [info("h", kind, rank=3), *outputs], constants, opset, ir=8)


def head(x):
    return [node("Transpose", [x], "Et", perm=[1, 0]), node("MatMul", ["h", "Et"], "Y")]


CASES = {
    "cast": lambda: table([node("Cast", ["E"], "Eh", to=TensorProto.FLOAT16),
                           node("Cast", ["Eh"], "Z", to=FLOAT)], [info("Z", rank=2)]),
    "neg": lambda: table([node("Neg", ["E"], "Z")], [info("Z", rank=2)]),
    "neg and head": lambda: table([*head("E"), node("Neg", ["E"], "Z")],
                                  [info("Z", rank=2), info("Y", rank=3)]),
    "neg of the transposed": lambda: table([*head("E"), node("Neg", ["Et"], "Z")],
                                           [info("Z", rank=2), info("Y", rank=3)]),
    "unsqueeze": lambda: table(
        [node("Unsqueeze", ["E", "axes"], "E3"), node("Transpose", ["E3"], "Et", perm=[0, 2, 1]),
         node("MatMul", ["h", "Et"], "Y")], [info("Y", rank=3)],
        [numpy_helper.from_array(np.array([0]), "axes")]),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES)
def test_other_uses(case, form, quantize):
    result, _ = check(CASES[case](), FEEDS, SCHEME, form, quantize)
    assert result.names == {"E"}


@pytest.mark.parametrize("form", FORMS)
def test_half_table_with_a_head_in_float(form, quantize):
    model = table([node("Cast", ["h"], "hf", to=FLOAT), node("Cast", ["E"], "Ef", to=FLOAT),
                   node("Transpose", ["Ef"], "Et", perm=[1, 0]),
                   node("MatMul", ["hf", "Et"], "Y")], [info("Y", rank=3)], dtype=np.float16)
    result, _ = check(model, FEEDS, SCHEME, form, quantize, dtype="float16")
    assert result.names == {"E"}


@pytest.mark.parametrize("op_type, attributes, wanted", [
    ("Shape", {}, [V, H]), ("Shape", {"start": 1}, [H]), ("Shape", {"start": -2, "end": -1}, [V]),
    ("Shape", {"start": 1, "end": 1}, []), ("Size", {}, V * H)])
@pytest.mark.parametrize("place", ["output", "used"])
def test_shapes(place, op_type, attributes, wanted, quantize):
    """They are constants, and no longer need the table."""
    more = [node("Cast", ["s"], "Z", to=FLOAT)] if place == "used" else []
    out = info("Z", rank=1) if more else info("s", TensorProto.INT64, rank=np.ndim(wanted))
    model = table([*head("E"), node(op_type, ["E"], "s", **attributes), *more],
                  [info("Y", rank=3), out])
    if np.ndim(wanted) == 0 and more:
        model.graph.output[-1].CopyFrom(info("Z", rank=0))
    result, left = check(model, FEEDS, SCHEME, "run", quantize)
    assert result.names == {"E"} and left["MatMulNBits"] == 1
    made, = [n for n in result.load().graph.node if "s" in n.output]
    assert made.op_type == "Constant"
    assert np.array_equal(numpy_helper.to_array(made.attribute[0].t), wanted)


def test_shape_alone(quantize):
    """A table of which only the shape is used is not quantized, but nothing is wrong."""
    model = table([node("Shape", ["F"], "s")], [info("s", TensorProto.INT64, rank=1)],
                  [build.tensor(noise((V, H), 2), "F")])
    result, _ = check(model, FEEDS, SCHEME, "run", quantize)
    assert result.names == {"E"}
    assert "F" not in {t.name for t in result.load().graph.initializer}


def test_output_of_the_graph(quantize):
    """What the model gives back must stay exact."""
    result = quantize(table([], [info("E", rank=2)]),
                      *SCHEME.options())
    assert "E" in result.reasons
