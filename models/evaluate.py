"""Measure models of this folder, float or quantized, in ONNX Runtime:

    python models/evaluate.py MODEL...

prints top-1 accuracy on the 10,000 test images of Fashion-MNIST, or bits per
character on held-out text (512 windows of 128 characters; lower is better).
Needs numpy and onnxruntime.
"""

import sys

import numpy as np

import data
from feeds import CONTEXT, feeds, inputs, kind, session  # feeds, inputs: API

BATCH = 500
WINDOWS = 512


def evaluate(path, threads=0, part=1):
    """(name of the metric, value) of the model at path. `part` > 1: on one image or window
    in so many."""
    model = session(path, threads)
    what = kind(model)
    if what == "fashion":
        return "top-1 %", _top1(model, part)
    if what == "bible":
        return "bits per character", _bits(model, part)
    raise ValueError(f"{path}: no metric for a model of kind {what}")


def _top1(model, part):
    images, labels = (values[::part] for values in data.fashion("t10k"))
    hits = 0
    for i in range(0, len(images), BATCH):
        logits, = model.run(None, {"image": images[i:i + BATCH]})
        hits += np.sum(logits.argmax(1) == labels[i:i + BATCH])
    return 100 * float(hits) / len(images)


def _bits(model, part):
    """The mean of -log2 p(next character) over all places of all windows."""
    total = count = 0
    for text in np.split(data.bible_test(WINDOWS, CONTEXT)[::part], WINDOWS // part // 64):
        logits, = model.run(None, {"tokens": text[:, :-1]})
        logits = logits.astype(np.float64)
        logits -= logits.max(-1, keepdims=True)
        right = np.take_along_axis(logits, text[:, 1:, None], -1)[..., 0]
        total += np.sum(np.log(np.exp(logits).sum(-1)) - right)
        count += right.size
    return float(total / count / np.log(2))


def main(paths):
    if not paths:
        print("usage: python models/evaluate.py MODEL...", file=sys.stderr)
        return 2
    width = max(map(len, paths))
    for path in paths:
        metric, value = evaluate(path)
        print(f"{path:<{width}}  {value:7.3f} {metric}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
