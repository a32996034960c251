"""Every kind of model comes back as its own kind, with what the program writes in it."""

import io
import math
import os
import warnings

import numpy as np
import onnx
import onnx_ir
import pytest

import nibble
from conftest import chain, normal


def as_bytes(model):
    return model.SerializeToString()


def as_ir(model):
    return onnx_ir.serde.deserialize_model(model)


KINDS = {
    bytes: (as_bytes, onnx.load_model_from_string),
    onnx.ModelProto: (lambda model: model, lambda model: model),
    onnx_ir.Model: (as_ir, onnx_ir.to_proto),
}


def initializers(proto):
    """As values, since onnx_ir keeps them in another order."""
    return {
        tensor.name: (tensor.data_type, onnx.numpy_helper.to_array(tensor).tobytes())
        for tensor in proto.graph.initializer
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_kind(kind, model, path, tmp_path):
    make, read = KINDS[kind]
    given = make(model)
    quantized, report = nibble.quantize(given, return_report=True)
    assert type(quantized) is type(given)
    nibble.quantize(path, tmp_path / "out.onnx")
    assert initializers(read(quantized)) == initializers(onnx.load(tmp_path / "out.onnx"))
    assert report.quantized == 2 and report.model == "(model in memory)"
    assert "nibble-model-" not in report.text + report.json
    # To a file, too; the model that was given is as it was.
    assert nibble.quantize(given, tmp_path / "two.onnx").quantized == 2
    assert initializers(onnx.load(tmp_path / "two.onnx")) == initializers(read(quantized))
    assert initializers(read(given)) == initializers(model)
    raised = nibble.upgrade(given, opset=22)
    assert type(raised) is type(given) and read(raised).opset_import[0].version == 22
    assert nibble.inspect(given).quantized == 2


def test_subclasses_and_views_of_bytes(model):
    plain = nibble.quantize(as_bytes(model))
    for given in (bytearray(as_bytes(model)), memoryview(as_bytes(model))):
        assert nibble.quantize(given) == plain


@pytest.mark.parametrize("wrong", [None, 3, io.BytesIO(), np.zeros(3), onnx.TensorProto()])
def test_no_model(wrong, tmp_path):
    with pytest.raises(TypeError, match="model is a path, bytes"):
        nibble.quantize(wrong, tmp_path / "out.onnx")


def test_path_without_output(path):
    with pytest.raises(TypeError, match="output is missing"):
        nibble.quantize(path)
    with pytest.raises(TypeError, match="output is missing"):
        nibble.upgrade(path)
    with pytest.raises(TypeError, match="leave out output"):
        nibble.quantize(path, path, return_report=True)


def test_paths(model, tmp_path, monkeypatch):
    """A path may be of any kind; "-" is a file here, no standard stream."""
    monkeypatch.chdir(tmp_path)
    for name in ("-", "näme with ' and \" \udcff.onnx"):
        (tmp_path / name).write_bytes(as_bytes(model))
        assert nibble.quantize(name, f"{name}.out").quantized == 2
        assert (tmp_path / f"{name}.out").exists()
    with pytest.raises(ValueError, match="empty path"):
        nibble.quantize("", "x")


def test_errors(path, tmp_path):
    with pytest.raises(nibble.ReadError, match="missing") as caught:
        nibble.quantize(tmp_path / "missing.onnx", tmp_path / "out.onnx")
    assert isinstance(caught.value, OSError) and caught.value.status == "read"
    with pytest.raises(nibble.WriteError, match="nowhere"):
        nibble.quantize(path, tmp_path / "nowhere/out.onnx")
    with pytest.raises(nibble.MalformedModelError, match=r"^\(model in memory\)"):
        nibble.quantize(b"\x08")
    with pytest.raises(nibble.UnsupportedModelError):
        nibble.quantize(chain({"a": normal(64, 64)}, opset=17), no_upgrade=True)
    with pytest.raises(nibble.OptionError, match="opset"):
        nibble.upgrade(path, tmp_path / "out.onnx", opset=20)


def test_warnings(tmp_path):
    bad = normal(64, 64)
    bad[3, 3] = np.nan
    with pytest.warns(nibble.NibbleWarning, match="bad stays float"):
        report = nibble.quantize(
            as_bytes(chain({"bad": bad, "good": normal(64, 64)})), tmp_path / "o"
        )
    assert report.warnings == 1
    with pytest.warns(nibble.NibbleWarning, match="nothing to quantize"):
        small = chain({"small": normal(4, 4)})
        assert initializers(nibble.quantize(small)) == initializers(small)


def test_estimate(tmp_path):
    """Without data the report warns where the outputs are likely to be ruined."""
    weights = {f"w{i}": normal(64, 64, seed=i) for i in range(30)}
    with pytest.warns(nibble.NibbleWarning, match="int4 is likely to ruin this model"):
        _, deep = nibble.quantize(chain(weights), return_report=True)
    assert deep.estimated_snr_db < 10 and deep.notes[0] in str(deep)
    _, wide = nibble.quantize(chain(weights), return_report=True, type="int8")
    assert wide.estimated_snr_db > 20 and wide.notes == ()


def test_report(path, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = nibble.quantize(path, tmp_path / "out.onnx", type="int8")
    assert str(report) == report.text and "constants" in report.text
    assert report.bytes_after == (tmp_path / "out.onnx").stat().st_size
    by_name = {weight.name: weight for weight in report.weights}
    a = by_name["a"]
    assert (a.dims, a.elements, a.type, a.op_type) == ((64, 48), 64 * 48, "int8", "MatMul")
    assert 30 < a.snr_db < 60 and a.bytes_before == 4 * a.elements
    small = by_name["small"]
    assert not small.quantized and small.reason and math.isnan(small.snr_db)
    frame = report.to_pandas()
    assert list(frame.name) == [weight.name for weight in report.weights]
    page = report._repr_html_()
    assert page.count("<tr>") == 1 + 2 + 1 + 1 and "int8" in page
    dry = nibble.inspect(path)
    assert dry.output is None and dry.bytes_after is None and math.isnan(dry.weights[0].snr_db)


def test_exact_weights_and_html_names():
    whole = np.random.default_rng(0).integers(-7, 8, (64, 32)).astype(np.float32)
    whole[0] = 7
    _, report = nibble.quantize(chain({"<b>": whole}), return_report=True)
    assert report.weights[0].snr_db == math.inf
    assert "&lt;b&gt;" in report._repr_html_() and "exact" in report._repr_html_()


def test_links(tmp_path):
    model = chain({"a": normal(64, 64)})
    onnx.save(
        model, tmp_path / "m.onnx", save_as_external_data=True, location="w", size_threshold=0
    )
    os.rename(tmp_path / "w", tmp_path / "elsewhere")
    os.symlink("elsewhere", tmp_path / "w")
    path, output = tmp_path / "m.onnx", tmp_path / "out.onnx"
    assert nibble.quantize(path, output).weights[0].quantized
    nibble.upgrade(path, tmp_path / "up.onnx")
    assert nibble.compare(path, output).weights
    for call in (
        lambda: nibble.quantize(path, output, no_links=True),
        lambda: nibble.inspect(path, no_links=True),
        lambda: nibble.upgrade(path, output, no_links=True),
        lambda: nibble.compare(path, output, no_links=True),
    ):
        with pytest.raises(nibble.ReadError, match="symbolic link"):
            call()
