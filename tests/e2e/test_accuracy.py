"""What quantizing costs on real data, on a quarter of it. The figures are printed at the end of
the run. `./dev bench accuracy` takes all of it."""

import evaluate
import pytest

PART = 4

# name -> options, and the limit of the metric's loss: points of top-1, or bits per
# character
VARIANTS = {
    "float": (None, 0, 0),
    "int8": (["--type", "int8"], 0.3, 0.01),
    "int4 block 32": (["--block-size", "32"], 1.5, 0.1),
    "int4 per channel": (["--per-channel"], 2, 0.2),
    "int4 default": ([], 2, 0.2),
    "uint4 block 32": (["--type", "uint4", "--block-size", "32"], 1.5, 0.1),
}


@pytest.mark.parametrize("name, kind", [("fashion_cnn_ts17.onnx", "top-1 %"),
                                        ("bible_lm_ts17.onnx", "bits per character")])
def test_accuracy(name, kind, quantize, real_model, need, print_at_end):
    path = real_model(name)
    metric, reference = need(lambda: evaluate.evaluate(path, part=PART))
    assert metric == kind
    print_at_end(f"{name}: {metric}")
    for variant, (options, points, bits) in VARIANTS.items():
        model, value, snr = path, reference, ""
        if options is not None:
            result = quantize(path, *options)
            model, snr = result.output, f"{result.report['bits_per_weight']:.2f} bits a weight"
            value = evaluate.evaluate(model, part=PART)[1]
        print_at_end(f"    {variant:<18}{value:8.3f}{model.stat().st_size:12,} bytes  {snr}")
        loss = reference - value if kind == "top-1 %" else value - reference
        assert loss <= (points if kind == "top-1 %" else bits), variant
