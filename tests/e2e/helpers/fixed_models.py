"""Constants that no training made, and learned ones that look a bit like them.

Each function returns an array. LAYERS says how operators take it.
"""

import numpy as np


def rng(name):
    return np.random.default_rng(list(name.encode()))


# ---- fixed --------------------------------------------------------------------

def waves(n, window=None, together=False, first=0):
    """[2 * bins, n]: cosines and then sines, or each cosine with its sine behind it."""
    k, t = np.arange(first, n // 2 + 1)[:, None], np.arange(n)[None]
    window = np.ones(n) if window is None else window
    parts = [np.cos(2 * np.pi * k * t / n) * window, -np.sin(2 * np.pi * k * t / n) * window]
    return np.stack(parts, 1).reshape(-1, n) if together else np.concatenate(parts)


def hann(n):
    return .5 - .5 * np.cos(2 * np.pi * np.arange(n) / n)


def padded(n, total):
    """torch.stft puts a short window in the middle of a long frame."""
    left = (total - n) // 2
    return np.pad(hann(n), (left, total - n - left))


def inverse(n):
    """As ConvTranspose takes it to make samples from a spectrum."""
    basis = waves(n, hann(n))
    return np.linalg.pinv(waves(n) * (n / 128)).T * hann(n) if n <= 128 else basis / n


def mel(bins, count, rate=16000, slaney=False):
    centers = np.linspace(0, 2595 * np.log10(1 + rate / 2 / 700), count + 2)
    hz = 700 * (10 ** (centers / 2595) - 1)
    f = np.linspace(0, rate / 2, bins)[:, None]
    up = (f - hz[:-2]) / (hz[1:-1] - hz[:-2])
    down = (hz[2:] - f) / (hz[2:] - hz[1:-1])
    filters = np.maximum(0, np.minimum(up, down))
    return filters * (2 / (hz[2:] - hz[:-2])) if slaney else filters


def dct(n, count):
    table = np.cos(np.pi / n * (np.arange(n)[:, None] + .5) * np.arange(count)[None])
    table *= np.sqrt(2 / n)
    table[:, 0] *= np.sqrt(.5)
    return table


def angles(positions, width, base=10000.):
    frequency = (1 / base ** (np.arange(0, width, 2) / width)).astype("f4")
    return np.arange(positions, dtype="f4")[:, None] * frequency[None]


def rotary(positions, width, fn=np.cos):
    a = angles(positions, width)
    return fn(np.concatenate([a, a], 1))


def sinusoidal(positions, width):
    a = angles(positions, width)
    return np.stack([np.sin(a), np.cos(a)], 2).reshape(positions, -1)


def grid(height, width, step=8., offset=.5):
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y], -1).reshape(-1, 2).astype("f4") * step + offset * step


def anchors(height, width, step=16, sizes=(32, 64, 128)):
    """As detectors with three sizes in each cell have them: [cells * 3, 4]."""
    centers = grid(height, width, step)[:, None]
    half = np.array(sizes)[None, :, None] / 2
    return np.concatenate([centers - half, centers + half], -1).reshape(-1, 4)


FIXED = {  # name -> array, layer
    "dft-conv": (waves(512)[:, None], "conv1d"),
    "stft-conv": (waves(400, hann(400))[:, None], "conv1d"),
    "stft-conv-padded": (waves(512, padded(320, 512))[:, None], "conv1d"),
    "stft-conv-together": (waves(256, hann(256), True)[:, None], "conv1d"),
    "stft-conv-hamming": (waves(256, np.hamming(256))[:, None], "conv1d"),
    "stft-conv2d": (waves(256, hann(256))[:, None, None], "conv2d"),
    "istft": (inverse(256)[:, None], "conv-transpose"),
    "dft-matmul": (waves(512).T, "matmul"),
    "stft-matmul": (waves(400, np.hanning(400)).T, "matmul"),
    "cosines-matmul": (waves(512, hann(512))[:257].T, "matmul"),
    "sines-matmul": (waves(512, hann(512))[257:].T, "matmul"),
    "stft-gemm": (waves(256, hann(256)), "gemm"),
    "mel-matmul": (mel(257, 80), "matmul"),
    "mel-matmul-slaney": (mel(201, 80, slaney=True), "matmul"),
    "mel-matmul-128": (mel(513, 128, 22050), "matmul"),
    "mel-left": (mel(257, 40).T, "matmul-left"),
    "mel-conv": (mel(201, 80).T[:, :, None], "conv1d"),
    "mel-gemm": (mel(257, 23).T, "gemm"),
    "dct-matmul": (dct(80, 40), "matmul"),
    "dct-gemm": (dct(80, 20).T, "gemm"),
    "rotary-cos": (rotary(2048, 64), "gather"),
    "rotary-sin": (rotary(8192, 128, np.sin), "gather"),
    "rotary-half": (np.cos(angles(4096, 64)), "gather"),
    "sinusoidal": (sinusoidal(512, 256), "gather"),
    "sinusoidal-long": (sinusoidal(5000, 512), "gather"),
    "grid": (grid(64, 80), "gather"),
    "grid-unit": (grid(32, 32, 1 / 32), "gather"),
    "anchors": (anchors(40, 40), "gather"),
    "columns": (rng("c").uniform(0, 640, (3000, 4)), "columns"),
    "points": (rng("p").uniform(0, 640, (1, 900, 2)), "columns"),
}


# ---- learned --------------------------------------------------------------------

def normal(name, *shape):
    return rng(name).standard_normal(shape)


def smooth(name, length, width, noise=.02):
    """A few waves of any length and a little noise, like trained position tables."""
    t = np.linspace(0, 1, length)[:, None]
    r = rng(name)
    table = sum(r.standard_normal(width) / (i + 1) *
                np.sin(2 * np.pi * (i + 1) * t * r.uniform(.5, 1.5, width) + r.uniform(0, 6, width))
                for i in range(8))
    return table + noise * r.standard_normal((length, width))


def pruned(name, *shape, keep=.1):
    r = rng(name)
    return r.standard_normal(shape) * (r.random(shape) < keep)


def repeated(name, rows, columns, times):
    """Heads of keys and values that several heads of queries share."""
    return np.repeat(normal(name, rows // times, columns), times, 0)


def low_rank(name, rows, columns, rank):
    return normal(name, rows, rank) @ normal(name + "b", rank, columns)


def orthogonal(name, n):
    return np.linalg.qr(normal(name, n, n))[0]


def rounded(name, *shape, levels=127):
    """Weights after training with simulated quantization."""
    w = normal(name, *shape)
    scale = abs(w).max() / levels
    return np.round(w / scale) * scale


def untrained_rows(name):
    """A vocabulary in which some words never occurred."""
    table = normal(name, 2000, 64)
    table[1000:] = table[0]
    table[:200] = 0
    return table


def gabor(name, count, length, noise=.03):
    """First filters of a network that was trained on raw audio. They look like waves but are
    learned."""
    r, t = rng(name), np.linspace(-1, 1, length)
    f, w, p = (r.uniform(a, b, (count, 1)) for a, b in ((1, 40), (.2, .8), (0, 6)))
    waves_ = np.cos(2 * np.pi * f * t + p) * np.exp(-(t / w) ** 2)
    return (waves_ + noise * r.standard_normal((count, length)))[:, None]


LEARNED = {
    "normal": (normal("a", 256, 256), "matmul"),
    "uniform": (rng("u").uniform(-.1, .1, (256, 256)), "gemm"),
    "positive": (rng("v").uniform(0, 1, (256, 128)), "matmul"),
    "orthogonal": (orthogonal("o", 256), "matmul"),
    "low-rank": (low_rank("l", 256, 256, 4), "matmul"),
    "rank-1": (low_rank("m", 256, 256, 1), "matmul"),
    "identity": (np.eye(128) + .01 * normal("i", 128, 128), "matmul"),
    "pruned": (pruned("p", 256, 256), "matmul"),
    "pruned-positive": (abs(pruned("q", 256, 256, keep=.05)), "matmul"),
    "relu-like": (np.maximum(normal("w", 256, 256), 0), "matmul"),
    "repeated-2": (repeated("r", 256, 128, 2), "matmul"),
    "repeated-16": (repeated("s", 256, 128, 16), "matmul"),
    "repeated-columns": (repeated("s", 256, 128, 8).T, "gemm"),
    "rounded": (rounded("t", 256, 256), "matmul"),
    "rounded-4": (rounded("t", 256, 256, levels=7), "matmul"),
    "ternary": (np.sign(pruned("x", 256, 256, keep=.6)), "matmul"),
    "outliers": (normal("y", 256, 256) * (1 + 50 * (rng("z").random((1, 256)) < .02)), "matmul"),
    "large-mean": (5 + .02 * normal("g", 256, 128), "matmul"),
    "image-conv": (normal("c", 64, 3, 7, 7), "image"),
    "image-conv-patch": (smooth("d", 16 * 16 * 3, 64).T.reshape(64, 3, 16, 16), "image"),
    "audio-conv": (normal("e", 512, 1, 10), "conv1d"),
    "audio-conv-long": (gabor("f", 128, 400), "conv1d"),
    "audio-conv-noisy": (gabor("f", 64, 251, .01), "conv1d"),
    "vocabulary": (normal("h", 2000, 64), "gather"),
    "untrained-rows": (untrained_rows("j"), "gather"),
    "positions": (smooth("k", 512, 256), "gather"),
    "positions-smooth": (smooth("n", 1024, 384, .01), "gather"),
    "positions-walk": (np.cumsum(normal("b", 512, 128), 0), "gather"),
    "narrow": (normal("aa", 2000, 4), "gather"),
    "heads": (smooth("bb", 729, 6), "gather"),
    "types": (normal("cc", 2, 768), "gather"),
}


# ---- models ------------------------------------------------------------------------

def feeds_of(array, layer):
    """The shape of the other operand, which is a graph input. None if the layer takes indices."""
    return {"conv1d": (1, array.shape[1], 4 * array.shape[-1]),
            "conv2d": (1, 1, 1, 4 * array.shape[-1]),
            "image": (1, 3, 32, 32),
            "conv-transpose": (1, array.shape[0], 5),
            "matmul": (1, 7, array.shape[0]), "gemm": (7, array.shape[-1]),
            "matmul-left": (1, array.shape[-1], 7)}.get(layer)
