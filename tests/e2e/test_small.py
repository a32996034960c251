"""Small weights: by default the model decides how small is too small."""

import math

import numpy as np
import pytest
from onnx import helper, numpy_helper

import build
import runtime
from build import info

CHANNELS, KERNEL, LAYERS = 24, 5, 6  # 600 elements of a depthwise weight, 576 of a pointwise one


def detector(dtype="float", layers=LAYERS, more=0):
    """Depthwise and pointwise convolutions, and a head with `more` values."""
    nodes, tensors, x, rng = [], [], "X", np.random.default_rng(3)
    shapes = [shape for _ in range(layers)
              for shape in ((CHANNELS, 1, KERNEL, KERNEL), (CHANNELS, CHANNELS, 1, 1))]
    shapes += [(more // CHANNELS, CHANNELS, 1, 1)] if more else []
    for i, shape in enumerate(shapes):
        array = rng.standard_normal(shape) / math.sqrt(math.prod(shape[1:]))
        tensors.append(numpy_helper.from_array(array.astype(build.TYPES[dtype][0]), f"W{i}"))
        depthwise = shape[2] == KERNEL
        nodes.append(helper.make_node(
            "Conv", [x, f"W{i}"], [f"y{i}"], group=CHANNELS if depthwise else 1,
            pads=[2] * 4 if depthwise else [0] * 4))
        x = f"y{i}"
    nodes[-1].output[0] = "Y"
    kind = build.TYPES[dtype][1]
    model = build.model(nodes, [info("X", kind, [1, CHANNELS, 16, 16])], [info("Y", kind, rank=4)],
                        tensors, 17, ir=8)
    x = rng.standard_normal((1, CHANNELS, 16, 16)).astype(build.TYPES[dtype][0])
    return model, [{"X": x}]


@pytest.mark.parametrize("form", [[], ["--decode", "auto"], ["--decode", "portable"],
                                  ["--target", "generic"]])
def test_small_weights_of_a_small_model(form, quantize):
    """They are quantized, and the default decodes them at load: runs cost no more."""
    model, feeds = detector(more=24 * 2048)
    result = quantize(model, *form)
    assert len(result.names) == 2 * LAYERS + 1
    if not form:
        forms = {row["form"] for row in result.report["weights"] if row["elements"] < 1024}
        assert forms == {"portable"}  # ONNX Runtime 1.22 can't load the other one
        old = quantize(model, "--min-elements", 1024, output="old.onnx")
        assert result.output.stat().st_size < 0.95 * old.output.stat().st_size
        assert len(old.names) == 1
        whole = next(row for row in result.report["weights"] if row["elements"] >= 1024)
        assert whole["form"] == "DequantizeLinear"
    assert result.output.stat().st_size < result.model.stat().st_size
    wanted, got = (runtime.run_ort(path, feeds)[0][0].astype(np.float64)
                   for path in (result.model, result.output))
    assert 10 * np.log10((wanted**2).sum() / ((wanted - got)**2).sum()) > 8


def test_small_weights_of_a_large_model(quantize):
    """They stay float: nodes of their own are not worth it."""
    model, _ = detector(layers=1, more=24 * 8192)
    result = quantize(model)
    assert result.names == {"W2"}
    assert "fewer than 1024 elements" in result.reasons["W0"]


def test_16_bits(quantize):
    """Nodes would take more than small weights save."""
    model, _ = detector("float16", more=24 * 2048)
    assert quantize(model).names == {f"W{2 * LAYERS}"}


def test_asked(quantize):
    """The option counts as it is."""
    model, _ = detector(more=24 * 2048)
    assert len(quantize(model, "--min-elements", 577).names) == LAYERS + 1
    result = quantize(model, "--min-elements", 1)
    assert len(result.names) == 2 * LAYERS + 1
    assert {row["form"] for row in result.report["weights"]} == {"DequantizeLinear"}
