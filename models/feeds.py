"""Inputs for the models of this folder and for those that download.py fetches. The names of the
inputs decide, so a quantized copy gets the same inputs. Needs numpy and onnxruntime."""

import numpy as np
import onnxruntime as ort

import data

CONTEXT = 128  # longest text that the language model takes


def session(path, threads=0, optimize=True):
    """A CPU session for the model at path. MatMulNBits computes in float32, so that results can
    be compared with those of the float model."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.add_session_config_entry(
        "session.qdq_matmulnbits_accuracy_level", "0")
    if not optimize:
        level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.graph_optimization_level = level
    return ort.InferenceSession(str(path), options,
                                providers=["CPUExecutionProvider"])


def kind(path_or_session):
    """Says which model this is: a key of KINDS."""
    names = {i.name for i in _session(path_or_session).get_inputs()}
    for name, (inputs, _) in KINDS.items():
        if inputs == names:
            return name
    raise ValueError(f"{path_or_session}: no known model has just the inputs "
                     f"{', '.join(sorted(names))}")


def inputs(path_or_session, n, seed=0):
    """A batch of n inputs as a dictionary: test images or held-out text for fashion and bible,
    made-up inputs for the others. The contents depend only on n and seed."""
    return KINDS[kind(path_or_session)][1](n, np.random.default_rng(seed))


def feeds(path_or_session, seed=0):
    """One small valid feed for any of the models (a batch of 2)."""
    return inputs(path_or_session, 2, seed)


def sentence(length, seed=0):
    """One sentence with that many tokens for minilm."""
    return _minilm(1, np.random.default_rng(seed), length)


def _session(path_or_session):
    if isinstance(path_or_session, ort.InferenceSession):
        return path_or_session
    return session(path_or_session)


def _fashion(n, rng):
    images, _ = data.fashion("t10k")
    return {"image": images[rng.permutation(len(images))[:n]]}


def _bible(n, rng):
    windows = data.bible_test(max(n, 1000), CONTEXT)
    return {"tokens": windows[rng.permutation(len(windows))[:n], :-1]}


def _minilm(n, rng, length=24):
    """Random words between [CLS] and [SEP]. Each sentence except the first is padded by one
    token more than the one before it."""
    ids = rng.integers(1996, 29612, (n, length))
    pads = np.minimum(np.arange(n), max(length - 3, 0))
    ends = length - 1 - pads[:, None]
    position = np.arange(length)
    ids = np.where(position < ends, ids, 0)
    ids[position == ends] = 102
    ids[:, 0] = 101
    mask = (position <= ends).astype(np.int64)
    return {"input_ids": ids.astype(np.int64), "attention_mask": mask}


def _silero(n, rng):
    """36 ms of a hummed vowel at 16 kHz: harmonics with some noise."""
    time = np.arange(576) / 16000
    pitch = rng.uniform(90, 220, (n, 1))
    harmonics = range(1, 13)
    wave = sum(np.sin(2 * np.pi * pitch * h * time) / h for h in harmonics)
    wave = 0.2 * wave + 0.01 * rng.standard_normal((n, 576))
    return {"input": wave.astype(np.float32),
            "sr": np.array(16000, np.int64),
            "state": np.zeros((2, n, 128), np.float32)}


def _ppocr(n, rng, width=160):
    """Light paper with dark strokes, in -1..1 as the model expects."""
    image = np.full((n, 3, 48, width), 0.8)
    for page in image:
        for x in range(8, width - 12, 10):
            top, bottom = rng.integers(6, 20), rng.integers(28, 42)
            page[:, top:bottom, x:x + 3] = -0.8
            row = rng.integers(top, bottom - 2)
            page[:, row:row + 3, x:x + 9] = -0.8
    image += 0.05 * rng.standard_normal(image.shape)
    return {"x": image.astype(np.float32)}


# Name of the kind: the model's inputs, and the function that makes n of them.
KINDS = {
    "fashion": ({"image"}, _fashion),
    "bible": ({"tokens"}, _bible),
    "minilm": ({"input_ids", "attention_mask"}, _minilm),
    "silero": ({"input", "sr", "state"}, _silero),
    "ppocr": ({"x"}, _ppocr),
}
