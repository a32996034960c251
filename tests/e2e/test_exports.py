"""Models as exporters and optimizers of others write them: every form loads, and answers as
weights do that plain arithmetic decodes. ./dev exports tries many more."""

import onnx
import pytest

import exports_check as exports
import runtime
import upgrade_cases as cases

MODES = {"default": [], "auto": ["--decode", "auto"], "load": ["--decode", "load"],
         "nbits": ["--format", "nbits"], "web": ["--target", "onnxruntime-web"]}
PORTABLE = ["--decode", "portable", "--min-elements", "512"]
SHARE = {"llama_genai": 0.97}  # the rest are tables of RoPE


@pytest.mark.parametrize("name", ["bert_optimized", "llama_genai", "whisper_decoder"])
def test_export(name, quantize):
    path = exports.FOLDER / f"{name}.onnx"
    model = onnx.load(path)
    feeds = exports.feeds(model)
    portable = quantize(model, *PORTABLE, output="portable.onnx")
    matrices = [row for row in portable.report["weights"] if len(row["dims"]) > 1]
    done = sum(row["bytes"]["before"] for row in matrices if row["quantized"])
    assert done >= SHARE.get(name, 0.98) * sum(row["bytes"]["before"] for row in matrices)
    decoded = [runtime.run_ort(portable.output, [one], optimize=False) for one in feeds]
    for mode, options in MODES.items():
        result = quantize(model, *options, "--min-elements", "512", output=f"{mode}.onnx")
        for one, wanted in zip(feeds, decoded):
            got = runtime.run_ort(result.output, [one], optimize=False)
            assert runtime.worst(wanted, got) < 1e-4, mode
            loaded = runtime.run_ort(result.output, [one])
            assert runtime.worst(wanted, loaded) < 3e-2, mode  # int8 activations


def test_float_models_keep_their_answers(tmp_path):
    """The optimizer's model at opset 14, raised."""
    model = onnx.load(exports.FOLDER / "bert_optimized.onnx")
    assert "LayerNormalization" in cases.ops(model) and cases.opset_of(model) == 14
    for feeds in exports.feeds(model):
        cases.check(model, feeds, tmp_path, [21], tolerance=1e-5)
