"""The methods that choose scales, seen from outside: what they reach, what they never do, and
whether every form carries their zero points. numpy decodes and compares."""

import feeds as models_feeds
import numpy as np
import onnx
import pytest

import build
import folding
import oracle
import runtime
import verify
from forms_check import FORMS

BLOCK = 32
LAYER = build.Layer("MatMul", (1024, 128), (1, 1024))
# dB on Gaussian weights (docs/developers/numbers.md), minus a margin for other seeds
GAUSS = {"int4": 21.80, "uint4": 22.26}


def blocked(x):
    return oracle.blocks(x, 0, BLOCK)


def noise(weight, decoded):
    """The squared error of each block."""
    return np.square(blocked(weight.astype(np.float64) - decoded)).sum(1)


def decoder(result):
    found = oracle.decoders(result.load())
    return found[(), "W"]


@pytest.fixture
def gauss():
    return np.random.default_rng(5).standard_normal(LAYER.weight).astype(np.float32)


def model_of(weight):
    return build.as_initializer(LAYER, build.tensor(weight), "float")


@pytest.mark.parametrize("kind", GAUSS)
@pytest.mark.parametrize("method", [(), ("--method", "exact")], ids=["default", "exact"])
def test_gauss(method, kind, gauss, quantize):
    result = quantize(model_of(gauss), "--target", "generic", "--type", kind,
                      "--block-size", BLOCK, *method)
    assert oracle.snr_db(gauss, decoder(result).unrounded()) >= GAUSS[kind]


@pytest.mark.parametrize("options", [("--type", "int4"), ("--type", "uint4"),
                                     ("--type", "int4", "--symmetric"),
                                     ("--type", "int8"), ("--type", "uint8")],
                         ids=lambda words: "-".join(words[1:]))
def test_never_worse_than_rounding(options, generic, quantize):
    weight = oracle.array_of(build.weight(LAYER))
    words = (*options, "--block-size", BLOCK)
    nearest = decoder(generic(model_of(weight), *words))
    best = decoder(quantize(model_of(weight), "--target", "generic", *words))
    worse = noise(weight, best.unrounded()) - noise(weight, nearest.unrounded())
    assert (worse <= 1e-6 * np.square(blocked(weight)).sum(1)).all()
    assert worse.sum() < 0


def test_zero_points(gauss, quantize):
    """int4 mirrors its grid if that is better, unless an option forbids it. int8 has no zero
    points."""
    def zeros(*options):
        return decoder(quantize(model_of(gauss), "--target", "generic", *options)).zeros

    assert set(np.unique(zeros())) == {-1, 0}
    assert zeros("--symmetric") is None
    assert zeros("--method", "rtn") is None
    assert zeros("--type", "int8") is None


@pytest.mark.parametrize("form", [form for form in FORMS if form != "generic"])
@pytest.mark.parametrize("name", ["fashion_cnn_ts17.onnx", "bible_lm_ts17.onnx"])
def test_forms(name, form, quantize, real_model, need):
    """Codes, scales and zero points are the same in every form. The outputs are those of the
    float model with the weights that numpy decodes from plain DequantizeLinear."""
    path = real_model(name)
    feeds = [need(lambda: models_feeds.feeds(path))]
    options = ["--block-size", BLOCK]
    plain = quantize(path, *options, *FORMS["generic"], output="plain.onnx")
    found = oracle.decoders(plain.load())
    float_model = folding.fold(onnx.load(path), found)
    known = oracle.constants(float_model)
    other = plain.output.with_name("other.onnx")
    onnx.save(oracle.replaced(float_model, {key: made.values() for key, made in found.items()
                                            if key in known}), other)
    result = quantize(path, *options, *FORMS[form])
    a, b = (runtime.run_ort(model, feeds) for model in (other, result.output))
    assert runtime.worst(a, b) <= verify.TOLERANCE
