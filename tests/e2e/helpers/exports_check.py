"""Inputs for the models in tests/e2e/exports."""

import pathlib

import numpy as np
from onnx import helper

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "exports"
PAST, TOKENS = 3, 4
LENGTHS = {"batch_size": 1, "past_sequence_length": PAST, "total_sequence_length": PAST + TOKENS,
           "kv_cache_dim": 16}


def feeds(model):
    """Runs of the model: with each value of an input of type bool."""
    rng = np.random.default_rng(0)
    run, switches = {}, []
    for value in model.graph.input:
        tensor = value.type.tensor_type
        dims = [dim.dim_value or LENGTHS.get(dim.dim_param, TOKENS) for dim in tensor.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        if dtype == np.bool_:
            switches.append(value.name)
        elif "mask" in value.name:
            run[value.name] = np.ones(dims, dtype)
        elif dtype.kind == "i":
            run[value.name] = np.arange(np.prod(dims), dtype=dtype).reshape(dims) % 100
        else:
            run[value.name] = rng.standard_normal(dims).astype(dtype)
    if not switches:
        return [run]
    return [{**run, name: np.array([on])} for name in switches for on in (True, False)]
