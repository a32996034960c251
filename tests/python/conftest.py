"""Fixtures of the package's tests. ./dev test runs them on the package in python/ and on
the library that was just built (NIBBLE_LIBRARY)."""

import importlib.metadata
import os
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

try:
    RUNTIME = importlib.metadata.version("onnxruntime")
except importlib.metadata.PackageNotFoundError:
    RUNTIME = "0.0"
# Python 3.9 has none later than 1.19. That lacks some operators of opset 21 and of its own
# domain, and does not find external data of a model that it gets as bytes.
new_runtime = pytest.mark.skipif(
    tuple(map(int, RUNTIME.split(".")[:2])) < (1, 22), reason="ONNX Runtime before 1.22"
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "models")]
LIBRARY = ROOT / "build/src/libnibble.so"
if LIBRARY.exists():
    os.environ.setdefault("NIBBLE_LIBRARY", str(LIBRARY))


def chain(weights, opset=21, ir=10):
    """A ModelProto of MatMul after MatMul; weights: {name: array}."""
    nodes, value = [], "x"
    for i, name in enumerate(weights):
        nodes.append(helper.make_node("MatMul", [value, name], [f"h{i}"], name=f"node{i}"))
        value = f"h{i}"
    first, *_, last = [*weights.values(), *weights.values()]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", first.shape[0]])],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, ["n", last.shape[1]])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir
    )


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture
def model():
    """Two weights that are quantized, and one that is too small."""
    return chain({"a": normal(64, 48), "b": normal(48, 64, seed=1), "small": normal(64, 3)})


@pytest.fixture
def path(model, tmp_path):
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


@pytest.fixture(scope="session")
def program():
    """Runs the program: program(*words) -> CompletedProcess."""
    name = pathlib.Path(os.environ.get("NIBBLE", ROOT / "build/nibble")).absolute()

    def run(*words):
        return subprocess.run([name, *map(str, words)], capture_output=True, text=True)

    return run
