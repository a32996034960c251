"""Streams of synthetic speech in noise, for the voice detector. espeak-ng reads real texts,
with other voices for calibration than for tests. Needs espeak-ng and scipy."""

import functools
import io
import subprocess
import wave

import numpy as np
from scipy.signal import resample_poly

import texts

RATE = 16000
SECONDS = 16
VOICES = {"calibration": ["en-us", "en-gb+f2", "de", "fr+f3", "it", "ru"],
          "test": ["en-gb", "en-us+f4", "es", "pl", "pt+m3", "nl+f1"]}


def say(text, voice, speed, pitch):
    """float32 samples at 16 kHz."""
    spoken = subprocess.run(["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch),
                             "--stdin", "--stdout"], input=text.encode(), check=True,
                            capture_output=True).stdout
    with wave.open(io.BytesIO(spoken)) as file:
        rate = file.getframerate()
        # The length in the header of a stream has no meaning.
        samples = np.frombuffer(spoken[44:len(spoken) // 2 * 2], np.int16) / 32768
    step = np.gcd(rate, RATE)
    return resample_poly(samples, RATE // step, rate // step).astype(np.float32)


def _noise(length, rng):
    """Hiss, a rumble, hiss that swells, or hum."""
    time = np.arange(length) / RATE
    noise = rng.standard_normal(length)
    kind = rng.integers(4)
    if kind == 1:
        rumble = np.cumsum(noise)
        rumble -= np.convolve(rumble, np.ones(400) / 400, "same")
        noise = rumble / rumble.std()
    elif kind == 2:
        noise *= 0.5 * (1 + np.sin(4 * np.pi * time))
    elif kind == 3:
        noise = 0.5 * noise + np.sin(2 * np.pi * rng.uniform(50, 400) * time)
    return noise * 0.2 * 10 ** (-rng.uniform(5, 35) / 20)


def _stream(part, rng):
    samples, speaking = np.zeros(RATE * SECONDS), np.zeros(RATE * SECONDS, bool)
    position = int(rng.integers(2 * RATE))
    while position < len(samples) - RATE:
        source = texts.verses(part) if rng.random() < 0.5 else texts.aphorisms(part)
        words = " ".join(source[rng.integers(len(source))].split()[:12])
        spoken = say(words, str(rng.choice(VOICES[part])), int(rng.integers(120, 201)),
                     int(rng.integers(20, 81)))[:len(samples) - position]
        spoken *= rng.uniform(0.1, 0.8) / (abs(spoken).max() + 1e-6)
        energy = np.sqrt(np.convolve(spoken ** 2, np.ones(800) / 800, "same"))
        there = slice(position, position + len(spoken))
        samples[there] += spoken
        speaking[there] = energy > 0.05 * energy.max()
        position += len(spoken) + int(rng.integers(RATE // 2, 3 * RATE))
    return samples + _noise(len(samples), rng), speaking


@functools.cache
def streams(part, count):
    """float32 [count, samples], and True for each sample in which somebody speaks."""
    rng = np.random.default_rng([11, texts.PARTS.index(part)])
    made = [_stream(part, rng) for _ in range(count)]
    return (np.stack([samples for samples, _ in made]).astype(np.float32),
            np.stack([speaking for _, speaking in made]))
