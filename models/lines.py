"""Lines of text as a camera or a scanner would see them, for the text recognizer. They have
different fonts, sizes and colours, and are slightly turned, blurred and noisy. Needs Pillow and
the Debian packages fonts-dejavu, fonts-liberation, fonts-freefont-ttf, fonts-noto-cjk."""

import pathlib

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import texts

FONTS = pathlib.Path("/usr/share/fonts")
HEIGHT, WIDEST = 48, 960


def _fonts(chinese):
    if chinese:
        return sorted(FONTS.glob("opentype/noto/*.ttc"))
    return sorted(p for p in FONTS.glob("truetype/*/*.ttf") if "Math" not in p.name)


def some_texts(part, count, known, rng):
    """Texts, two thirds English and one third Chinese. `known` has the characters that are
    allowed."""
    english = [words for _, words in texts.descriptions(part)]
    english += texts.aphorisms(part) + texts.verses(part)
    chosen = []
    while len(chosen) < count:
        if len(chosen) % 3 == 0:
            text = str(rng.choice(texts.phrases(part)))
        else:
            words = english[rng.integers(len(english))].split()
            first = rng.integers(len(words))
            text = " ".join(words[first:first + rng.integers(1, 6)])[:32].strip()
        if len(text) > 2 and known.issuperset(text):
            chosen.append(text)
    return chosen


def draw(text, rng):
    """float32 [1, 3, 48, width] in -1..1, blue first."""
    fonts = _fonts(any(ord(c) > 0x2E80 for c in text))
    font = ImageFont.truetype(str(fonts[rng.integers(len(fonts))]), int(rng.integers(24, 49)))
    left, top, right, bottom = font.getbbox(text)
    across, down = int(rng.integers(2, 15)), int(rng.integers(2, 9))
    paper, ink = (150, 256), (0, 91)
    if rng.random() < 0.25:  # light on dark
        paper, ink = ink, paper
    paper, ink = (tuple(map(int, rng.integers(*span, 3))) for span in (paper, ink))
    size = (int(right - left) + 2 * across, int(bottom - top) + 2 * down)
    image = Image.new("RGB", size, paper)
    ImageDraw.Draw(image).text((across - left, down - top), text, font=font, fill=ink)
    if rng.random() < 0.5:
        image = image.rotate(rng.uniform(-2, 2), Image.BICUBIC, expand=True, fillcolor=paper)
    if rng.random() < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.4)))
    width = int(np.clip(round(image.width * HEIGHT / image.height), 16, WIDEST))
    pixels = np.asarray(image.resize((width, HEIGHT), Image.BILINEAR), np.float32)
    pixels = pixels + rng.normal(0, rng.choice([0, 3, 10]), pixels.shape)
    pixels = np.clip(pixels, 0, 255) / 127.5 - 1
    return np.ascontiguousarray(pixels[:, :, ::-1].transpose(2, 0, 1)[None], np.float32)


def distance(a, b):
    """The number of edits from one text to the other."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        above, row = row, [i + 1]
        for j, y in enumerate(b):
            row.append(min(above[j] + (x != y), above[j + 1] + 1, row[-1] + 1))
    return row[-1]
