"""Real models: every code and scale equals the oracle's, and the model answers
as the float one whose weights were decoded by numpy.
"""

import itertools

import feeds as models_feeds
import pytest

from oracle import Scheme
from verify import verify

TYPES = ["int4", "uint4", "int8", "uint8"]
GRANULARITIES = ["default", "channel", "tensor", 32, 7, 128]
COMMITTED = ["fashion_cnn_ts17.onnx", "fashion_cnn_dynamo18.onnx",
             "bible_lm_ts17.onnx", "bible_lm_dynamo18.onnx"]
DOWNLOADED = ["ppocr_rec.onnx", "silero_vad.onnx", "silero_lstm.onnx", "minilm.onnx"]

# For the large ones each type and each granularity, but not all pairs.
SOME = [Scheme("int4"), Scheme("int4", 32), Scheme("uint4", "channel"),
        Scheme("int8", "tensor"), Scheme("uint8", 7), Scheme("uint4", 128)]
OTHERS = [Scheme("int4", 32, symmetric=False), Scheme("uint4", symmetric=True),
          Scheme("int8", "channel", symmetric=False), Scheme("uint8", "tensor", symmetric=True),
          Scheme("int4", min_elements=16)]

CASES = [(name, Scheme(*pair)) for name in COMMITTED
         for pair in itertools.product(TYPES, GRANULARITIES)]
CASES += [(name, scheme) for name in COMMITTED for scheme in OTHERS]
CASES += [(name, scheme) for name in DOWNLOADED for scheme in SOME]

# How many weights each has, so that the oracle and nibble can't miss the same ones.
WEIGHTS = {"fashion_cnn_ts17.onnx": 4, "fashion_cnn_dynamo18.onnx": 4,
           "bible_lm_ts17.onnx": 9, "bible_lm_dynamo18.onnx": 8,
           "ppocr_rec.onnx": 41, "silero_vad.onnx": 14, "silero_lstm.onnx": 10,
           "minilm.onnx": 18}


@pytest.mark.parametrize("name, scheme", CASES, ids=lambda case: str(case))
def test_model(name, scheme, quantize, real_model, need):
    path = real_model(name)
    feeds = need(lambda: models_feeds.feeds(path))
    count = len(verify(quantize(path, *scheme.options()), scheme, [feeds]))
    if scheme.min_elements == 1024:
        assert count == WEIGHTS[name]
    else:
        assert count >= WEIGHTS[name]
