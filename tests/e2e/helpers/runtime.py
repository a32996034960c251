"""Runs models in ONNX Runtime on the CPU, or in onnx's reference implementation if ONNX Runtime
lacks an operator for a type."""

import functools

import ml_dtypes
import numpy as np
import onnx
import onnx.reference
import onnxruntime as ort

NotImplementedByOrt = ort.capi.onnxruntime_pybind11_state.NotImplemented


def session(path, optimize=True):
    """A session for a file or for a model's bytes. It has one thread, and MatMulNBits computes
    in float32, so that numbers can be compared."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "0")
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    path = path if isinstance(path, bytes) else str(path)
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run_ort(path, feeds, optimize=True):
    """A list of outputs for each feed."""
    runner = session(path, optimize)
    return [runner.run(None, feed) for feed in feeds]


def run_reference(path, feeds):
    """The reference's DequantizeLinear begins at opset 19. Our operators mean the same in opset
    21."""
    model = onnx.load(path)
    for owner in (model, *model.functions):
        for opset in owner.opset_import:
            opset.version = max(opset.version, 21 if opset.domain == "" else 1)
    runner = onnx.reference.ReferenceEvaluator(model)
    return [runner.run(None, feed) for feed in feeds]


def engines(path):
    """The runtimes for this model: ONNX Runtime without and with optimization, or the
    reference."""
    try:
        session(path, False)
    except NotImplementedByOrt:
        return [run_reference]
    return [functools.partial(run_ort, optimize=False), run_ort]


def difference(a, b):
    """max |a - b| / max |a|. For values that are not floats: 0 or infinity."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return np.inf
    if a.dtype.kind != "f" and a.dtype != ml_dtypes.bfloat16:
        return 0 if np.array_equal(a, b) else np.inf
    if a.size == 0:
        return 0
    a, b = a.astype(np.float64), b.astype(np.float64)
    if not np.isfinite(a).all():
        return 0 if np.array_equal(a, b, equal_nan=True) else np.inf
    return abs(a - b).max() / max(abs(a).max(), 1e-30)


def worst(first, second):
    """The largest difference between two runs over the same feeds."""
    return max(difference(a, b) for x, y in zip(first, second, strict=True)
               for a, b in zip(x, y, strict=True))
