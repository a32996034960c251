"""Runs models before and after `nibble upgrade`, for the tests of the upgrade."""

import os
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnx.checker
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = os.environ.get("NIBBLE", str(ROOT / "build" / "nibble"))

IR_OF_OPSET = [(8, 3), (9, 4), (10, 5), (11, 6), (14, 7), (18, 8), (20, 9), (22, 10), (23, 11),
               (24, 12), (27, 13), (28, 14)]

FLOAT, FLOAT16, DOUBLE, INT32, INT64, BOOL = (
    TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT32,
    TensorProto.INT64, TensorProto.BOOL)


def ir_of(opset):
    return next(ir for last, ir in IR_OF_OPSET if opset <= last)


# ---- making models ------------------------------------------------------------------


def value(name, element=FLOAT, shape=None):
    return helper.make_tensor_value_info(name, element, shape)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def make(nodes, opset, inputs, outputs, initializers=(), functions=(), value_info=(), ir=None,
         imports=()):
    """A model. Initializers are inputs as well if the IR version asks for it (below 4)."""
    ir = ir or ir_of(opset)
    inputs = list(inputs)
    if ir < 4:
        inputs += [value(t.name, t.data_type, list(t.dims)) for t in initializers]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, list(initializers),
                              value_info=list(value_info))
    return helper.make_model(graph, ir_version=ir, functions=list(functions),
                             opset_imports=[helper.make_opsetid("", opset), *imports])


# ---- the program --------------------------------------------------------------------


class Refused(Exception):
    """nibble upgrade refused the model. The message is what it printed."""


def upgrade(model, target, folder):
    """The model after the program has raised it to opset `target`."""
    source, result = Path(folder) / "source.onnx", Path(folder) / "result.onnx"
    source.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    result.unlink(missing_ok=True)
    done = subprocess.run(
        [PROGRAM, "upgrade", str(source), "-o", str(result), "--opset", str(target)],
        capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        assert done.returncode == 1, f"exit {done.returncode}: {done.stderr}"
        assert not result.exists(), "an output in spite of an error"
        raise Refused(done.stderr)
    return onnx.load_from_string(result.read_bytes())


def opset_of(model):
    return max(i.version for i in model.opset_import if i.domain in ("", "ai.onnx"))


# ---- ONNX Runtime -------------------------------------------------------------------


class Unsupported(Exception):
    """ONNX Runtime lacks an operator that the model needs."""


class NoBefore(Exception):
    """ONNX Runtime can't even run the source model."""


def run(model, feeds):
    """The outputs of the model, without graph optimization."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    data = model if isinstance(model, bytes) else model.SerializeToString()
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # pylint: disable=broad-except
        if "NOT_IMPLEMENTED" in str(error):
            raise Unsupported(str(error)) from error
        raise
    return session.run(None, {name: array if isinstance(array, list) else np.asarray(array)
                              for name, array in feeds.items()})


def highest_opset():
    """The highest opset that both nibble and the installed ONNX Runtime take."""
    for opset in range(28, 20, -1):
        node = helper.make_node("Relu", ["x"], ["y"])
        try:
            run(make([node], opset, [value("x")], [value("y")]), {"x": np.ones(1, np.float32)})
            return opset
        except Exception:  # pylint: disable=broad-except
            continue
    raise AssertionError("ONNX Runtime takes no opset from 21 on")


TARGETS = (21, 22, 23, highest_opset())


# ---- comparing ----------------------------------------------------------------------


def bits(array):
    return array.tobytes() if isinstance(array, np.ndarray) and array.dtype != object else array


def same(before, after, tolerance=0.0):
    """Asserts that two lists of outputs agree. Tolerance 0 asks for equal bits."""
    assert len(before) == len(after)
    for one, other in zip(before, after):
        if isinstance(one, list):
            same(one, other, tolerance)
        elif not isinstance(one, np.ndarray):
            assert one == other
        else:
            assert one.dtype == other.dtype and one.shape == other.shape
            if one.dtype == object:
                assert (one == other).all()
            elif tolerance and one.dtype.kind == "f":
                np.testing.assert_allclose(other, one, rtol=tolerance, atol=tolerance)
            elif bits(one) != bits(other):
                np.testing.assert_array_equal(other, one)  # NaNs with different bits are equal, too


def declare_outputs(model, results):
    """Gives outputs without a shape as many free dimensions as the results have."""
    for output, result in zip(model.graph.output, results):
        tensor = output.type.tensor_type
        if output.type.HasField("tensor_type") and not tensor.HasField("shape"):
            tensor.shape.CopyFrom(onnx.TensorShapeProto())
            for i in range(np.ndim(result)):
                tensor.shape.dim.add().dim_param = f"{output.name}_{i}"


def is_valid(model):
    """True if onnx's checker takes the model, or refuses it only because of deprecation."""
    try:
        onnx.checker.check_model(model, full_check=True)
        return True
    except Exception as error:  # pylint: disable=broad-except
        return "deprecated" in str(error)


def check(model, feeds, folder, targets=TARGETS, tolerance=0.0, expected=None):
    """Raises the model to each target and checks that it is valid, has the right versions and
    gives the same outputs.

    `expected` replaces the outputs before, if ONNX Runtime can't compute them. Returns the
    raised models. If ONNX Runtime lacks operators of a target above 21, outputs are not
    checked."""
    try:
        before = run(model, feeds) if expected is None else expected
    except Unsupported as error:
        raise NoBefore(str(error)) from error
    if not isinstance(model, bytes):
        declare_outputs(model, before)
    valid = is_valid(model)
    results = []
    for target in targets:
        result = upgrade(model, target, folder)
        assert opset_of(result) == target
        assert result.ir_version >= ir_of(opset_of(result))
        if valid:
            onnx.checker.check_model(result, full_check=True)
        results.append(result)
        try:
            same(before, run(result, feeds), tolerance)
        except Unsupported:
            if target == 21:
                raise
    return results


def ops(model):
    """The operators of the main graph, in order."""
    return [node.op_type for node in model.graph.node]
