"""The two data sets, read from Debian packages with numpy and the standard
library only: dataset-fashion-mnist (images) and bible-kjv (text).
"""

import functools
import gzip
import pathlib
import re
import subprocess

import numpy as np

FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
VERSES = 31102
HELD_OUT = 200_000  # characters at the end of the text, never trained on


def _idx(name):
    """The contents of one .gz file in the IDX format (uint8)."""
    path = FASHION / name
    if not path.exists():
        raise SystemExit(f"{path} is missing: install the Debian package "
                         "dataset-fashion-mnist")
    raw = gzip.decompress(path.read_bytes())
    rank = raw[3]
    shape = np.frombuffer(raw, ">i4", rank, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


@functools.cache
def fashion(part):
    """Images (float32 [N, 1, 28, 28] in 0..1) and labels (int64 [N]) of
    part "train" (60,000) or "t10k" (10,000, the test set)."""
    images = _idx(f"{part}-images-idx3-ubyte.gz")
    labels = _idx(f"{part}-labels-idx1-ubyte.gz")
    return images[:, None].astype(np.float32) / 255, labels.astype(np.int64)


@functools.cache
def bible():
    """The King James Version as ASCII codes (int64 [characters]). Each verse is a line, without
    headings and verse numbers."""
    command = ["bible", "-l65535", "gen1:1-rev22:21"]
    try:
        text = subprocess.run(command, stdin=subprocess.DEVNULL, check=True,
                              capture_output=True).stdout.decode("ascii")
    except FileNotFoundError:
        raise SystemExit("the program bible is missing: install the Debian "
                         "package bible-kjv") from None
    verses = re.findall(r"^ +\d+ (.*)$", text, re.MULTILINE)
    if len(verses) != VERSES:
        raise SystemExit(f"bible printed {len(verses)} verses, not {VERSES}")
    text = "\n".join(verses) + "\n"
    return np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64)


def bible_train():
    """The text that the language model learns from."""
    return bible()[:-HELD_OUT]


def bible_test(windows, length):
    """Windows of length + 1 characters, evenly spread over the held-out end of the text: int64
    [windows, length + 1]."""
    text = bible()[-HELD_OUT:]
    starts = np.linspace(0, HELD_OUT - length - 1, windows).astype(np.int64)
    return text[starts[:, None] + np.arange(length + 1)]
