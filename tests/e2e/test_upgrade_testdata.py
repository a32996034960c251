"""The node tests of the onnx project, as Debian's libonnx-testdata ships them."""

from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

import upgrade_cases as cases

FOLDER = Path("/usr/share/libonnx-testdata/data")
MODELS = sorted(FOLDER.glob("*/*/model.onnx"))


def read_value(data, type_proto):
    kind = type_proto.WhichOneof("value")
    if kind == "tensor_type":
        return numpy_helper.to_array(onnx.TensorProto.FromString(data))
    if kind == "sequence_type":
        return numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    return numpy_helper.to_optional(onnx.OptionalProto.FromString(data))


def read_feeds(model, folder):
    initialized = {t.name for t in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in initialized]
    return {one.name: read_value((folder / f"input_{i}.pb").read_bytes(), one.type)
            for i, one in enumerate(inputs) if (folder / f"input_{i}.pb").exists()}


def standard_opset(model):
    return max((i.version for i in model.opset_import if i.domain in ("", "ai.onnx")), default=0)


# ONNX Runtime has different kernels for this model. They add up in another order.
ROUNDED = ("averagepool", "reduce_log_sum", "AvgPool")


@pytest.mark.skipif(not MODELS, reason="libonnx-testdata isn't installed")
@pytest.mark.parametrize("path", MODELS, ids=lambda p: f"{p.parent.parent.name}/{p.parent.name}")
def test_node(path, tmp_path):
    data = path.read_bytes()
    model = onnx.load_from_string(data)
    name, opset = path.parent.name, standard_opset(model)
    if 0 < opset < 7:
        with pytest.raises(cases.Refused, match="opset"):
            cases.upgrade(data, 21, tmp_path)
        return
    if name == "test_scan_sum":
        with pytest.raises(cases.Refused, match="batch axis"):
            cases.upgrade(data, 21, tmp_path)
        return
    feeds = read_feeds(model, path.parent / "test_data_set_0")
    try:
        cases.run(data, feeds)
    except Exception as error:  # pylint: disable=broad-except
        pytest.skip(f"ONNX Runtime doesn't run it: {str(error)[:80]}")
    tolerance = 1e-5 if any(word in name for word in ROUNDED) else 0.0
    cases.check(data, feeds, tmp_path, tolerance=tolerance)


@pytest.mark.skipif(not MODELS, reason="libonnx-testdata isn't installed")
def test_there_are_enough():
    assert len(MODELS) > 900
