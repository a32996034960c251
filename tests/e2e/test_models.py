"""Real models. Every code and scale equals the oracle's. In every form the model answers as the
float model does with weights that numpy decoded."""

import itertools
import json

import feeds as models_feeds
import onnx
import pytest

import folding
import oracle
import runtime
from forms_check import FORMS, rival
from oracle import Scheme
from verify import TOLERANCE, verify

TYPES = ["int4", "uint4", "int8", "uint8"]
GRANULARITIES = ["default", "channel", "tensor", 32, 7, 128]
COMMITTED = ["fashion_cnn_ts17.onnx", "fashion_cnn_dynamo18.onnx",
             "bible_lm_ts17.onnx", "bible_lm_dynamo18.onnx"]
DOWNLOADED = ["ppocr_rec.onnx", "silero_vad.onnx", "silero_lstm.onnx", "minilm.onnx"]

# Large models get each type and each granularity, but not all pairs.
SOME = [Scheme("int4"), Scheme("int4", 32), Scheme("uint4", "channel"),
        Scheme("int8", "tensor"), Scheme("uint8", 7), Scheme("uint4", 128)]
OTHERS = [Scheme("int4", 32, symmetric=False), Scheme("uint4", symmetric=True),
          Scheme("int8", "channel", symmetric=False), Scheme("uint8", "tensor", symmetric=True),
          Scheme("int4", min_elements=16)]

CASES = [(name, Scheme(*pair)) for name in COMMITTED
         for pair in itertools.product(TYPES, GRANULARITIES)]
CASES += [(name, scheme) for name in COMMITTED for scheme in OTHERS]
CASES += [(name, scheme) for name in DOWNLOADED for scheme in SOME]

# The number of weights of each model, so that the oracle and nibble can't miss the same
# ones. The silero models also have two bases of transforms, and the language models a mask,
# which are quantized if an option asks for them.
WEIGHTS = {"fashion_cnn_ts17.onnx": 4, "fashion_cnn_dynamo18.onnx": 4,
           "bible_lm_ts17.onnx": 11, "bible_lm_dynamo18.onnx": 10,
           "ppocr_rec.onnx": 41, "silero_vad.onnx": 12, "silero_lstm.onnx": 16,
           "minilm.onnx": 20}
BASES = {"silero_vad.onnx": 2, "silero_lstm.onnx": 2, "bible_lm_ts17.onnx": 1,
         "bible_lm_dynamo18.onnx": 1}


@pytest.mark.parametrize("name", COMMITTED + DOWNLOADED)
def test_dry_run_tells_the_truth(name, quantize, real_model, run, tmp_path):
    """A dry run knows everything except facts that need values or an output file."""
    path = real_model(name)
    done = run(path, "--dry-run", "--json", "-", "--type", "uint4")
    assert done.returncode == 0 and not list(tmp_path.iterdir())
    dry, real = json.loads(done.stdout), quantize(path, "--type", "uint4").report
    for report in dry, real:
        for row in report["weights"]:
            row.pop("snr_db", None)
            row.pop("exact", None)
        del report["output"], report["bytes"]["after"]
        del report["estimated_snr_db"], report["notes"]  # from the errors of weights
    assert dry == real


@pytest.mark.parametrize("form", [form for form in FORMS if form != "generic"])
@pytest.mark.parametrize("name", COMMITTED + DOWNLOADED)
def test_form(name, form, quantize, real_model, need):
    """The default layouts for ONNX Runtime give the same numbers as all others. The granularity
    of each weight is as the report says."""
    path = real_model(name)
    feeds = [need(lambda: models_feeds.feeds(path))]
    schemes = [Scheme("int4", "default"), Scheme("uint4", 32)]
    for scheme in schemes[:2 if name in COMMITTED else 1]:
        result = quantize(path, *scheme.options(), *FORMS[form])
        onnx.checker.check_model(str(result.output))
        known = {place.label: place.path for place in oracle.places(onnx.load(path))}
        keys = {(known[row["graph"]], row["name"]) for row in result.report["weights"]}
        float_model = folding.fold(onnx.load(path), keys)
        other = result.output.with_name("rival.onnx")
        onnx.save(rival(float_model, result, scheme), other)
        assert len(result.names) == WEIGHTS[name]
        for optimize in False, True:
            a, b = (runtime.run_ort(p, feeds, optimize) for p in (other, result.output))
            assert runtime.worst(a, b) <= TOLERANCE


@pytest.mark.parametrize("name, scheme", CASES, ids=lambda case: str(case))
def test_model(name, scheme, generic, real_model, need):
    path = real_model(name)
    feeds = need(lambda: models_feeds.feeds(path))
    tables = [f"--rule=?op={op_type}: type={scheme.type}" for op_type in ("Add", "Slice")]
    result = generic(path, *scheme.options(), "--include", ".", *tables)  # else these have 8 bits
    count = len(verify(result, scheme, [feeds]))
    wanted = WEIGHTS[name] + BASES.get(name, 0)
    assert count == wanted if scheme.min_elements == 1024 else count >= wanted
