"""Real texts from Debian packages: verses (bible-kjv), aphorisms (fortunes,
fortunes-zh) and the short descriptions of Debian's own packages (apt-cache).

Each source is cut into two parts, "calibration" and "test", which share no text.
"""

import functools
import pathlib
import random
import re
import subprocess

import data

PARTS = ("calibration", "test")
FORTUNES = pathlib.Path("/usr/share/games/fortunes")


def _half(items, part):
    """Takes every other item, so that both parts are alike."""
    return items[PARTS.index(part)::2]


@functools.cache
def verses(part):
    """Verses of the text that the language model was not tested on."""
    return _half("".join(map(chr, data.bible())).split("\n")[:-1], part)


@functools.cache
def aphorisms(part):
    """English aphorisms, each on one line."""
    texts = []
    for index in sorted(FORTUNES.glob("*.dat")):
        if index.stem == "chinese":
            continue
        text = index.with_suffix("").read_text("utf-8", "replace")
        texts += [" ".join(entry.split()) for entry in text.split("\n%\n")]
    return _half([text for text in texts if 20 < len(text) < 600], part)


@functools.cache
def phrases(part):
    """Chinese phrases of 4 to 20 characters, without punctuation."""
    text = (FORTUNES / "chinese").read_text("utf-8")
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    pieces = re.split(r"[\s%，。；：！？、「」《》()（）【】\d]+", text)
    return _half(sorted({p for p in pieces if 4 <= len(p) <= 20 and _is_chinese(p)}), part)


def _is_chinese(text):
    return sum(ord(c) > 0x2E80 for c in text) > 0.7 * len(text)


@functools.cache
def descriptions(part):
    """(section, short description) of Debian's packages, in a fixed mixed order."""
    text = subprocess.run(["apt-cache", "dumpavail"], check=True, capture_output=True,
                          text=True).stdout
    found = {}
    for entry in text.split("\n\n"):
        section = re.search(r"^Section: (\S+)", entry, re.MULTILINE)
        words = re.search(r"^Description(?:-en)?: (.+)", entry, re.MULTILINE)
        if section and words:
            found.setdefault(words[1], section[1])
    pairs = sorted((section, words) for words, section in found.items())
    random.Random(1).shuffle(pairs)
    return _half(pairs, part)
