"""How far outputs of one model are from those of another. Sums are kept, not arrays, so
any number of runs can be added."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class OutputError:
    """One output of two models, over all runs."""

    name: str
    runs: int
    elements: int
    """Number of values that were compared."""
    snr_db: float
    """10 log10(sum x^2 / sum (x - x')^2) in dB: infinity where both are the same. NaN
    where the output holds no floats."""
    cosine: float
    """Cosine of the angle between both, seen as one vector. NaN where it holds no
    floats."""
    max_difference: float
    """The largest |x - x'|."""
    top1: float
    """The share of rows (along the last axis) whose largest value is at the same place.
    NaN where rows have fewer than two values. For whole numbers and truth values: the share
    of those that are the same."""
    mismatched: int
    """Number of runs with outputs of different shapes. They count in nothing else."""

    def snr_of_all_db(self) -> float:
        """The SNR over all runs: one with another shape, such as that of a detector that
        finds other boxes, has lost its signal."""
        if not self.mismatched:
            return self.snr_db
        lost = self.mismatched / self.runs
        rest = (1 - lost) * 10 ** (-self.snr_db / 10) if lost < 1 else 0.0
        return decibels(1, lost + rest)


class OutputMeter:
    """Gathers the figures of one output."""

    def __init__(self, name: str):
        self.name = name
        self._runs = self._elements = self._mismatched = 0
        self._signal = self._noise = self._other = self._product = 0.0
        self._largest = 0.0
        self._rows = self._agreed = 0
        self._is_float = True

    def add(self, reference: Any, other: Any) -> None:
        """One run's output of the reference and of the other model."""
        x, y = np.asarray(reference), np.asarray(other)
        self._runs += 1
        if x.shape != y.shape:
            self._mismatched += 1
            return
        self._elements += x.size
        if x.dtype.kind != "f":
            self._is_float = False
            self._rows += x.size
            self._agreed += int(np.count_nonzero(x == y))
            if x.dtype.kind in "iu" and x.size:
                difference = np.abs(x.astype(np.float64) - y.astype(np.float64))
                self._largest = max(self._largest, float(difference.max()))
            return
        self._add_rows(x, y)
        self._add_values(x.astype(np.float64), y.astype(np.float64))

    def _add_rows(self, x: np.ndarray, y: np.ndarray) -> None:
        if x.ndim == 0 or x.shape[-1] < 2 or x.size == 0:
            return
        same = x.argmax(-1) == y.argmax(-1)
        self._rows += same.size
        self._agreed += int(np.count_nonzero(same))

    def _add_values(self, x: np.ndarray, y: np.ndarray) -> None:
        # Values such as the -inf of a mask count only where they became something else.
        known = np.isfinite(x)
        same = (x == y) | (np.isnan(x) & np.isnan(y))
        if np.any(~known & ~same) or np.any(known & ~np.isfinite(y)):
            self._noise = self._largest = math.inf
        both = known & np.isfinite(y)
        if not both.all():
            x, y = x[both], y[both]
        difference = (x - y).ravel()
        x, y = x.ravel(), y.ravel()
        self._signal += float(x @ x)
        self._other += float(y @ y)
        self._product += float(x @ y)
        self._noise += float(difference @ difference)
        if difference.size:
            self._largest = max(self._largest, float(np.abs(difference).max()))

    def result(self) -> OutputError:
        if self._mismatched == self._runs:  # nothing was compared
            snr, cosine = -math.inf, math.nan
        elif not self._is_float:
            snr = cosine = math.nan
        else:
            snr = decibels(self._signal, self._noise)
            lengths = math.sqrt(self._signal) * math.sqrt(self._other)
            cosine = min(self._product / lengths, 1.0) if lengths else math.nan
            if self._noise == 0:
                cosine = 1.0
        return OutputError(
            name=self.name,
            runs=self._runs,
            elements=self._elements,
            snr_db=snr,
            cosine=cosine,
            max_difference=self._largest,
            top1=self._agreed / self._rows if self._rows else math.nan,
            mismatched=self._mismatched,
        )


def decibels(signal: float, noise: float) -> float:
    """10 log10(signal / noise): infinity without noise, minus infinity without signal."""
    if noise == 0:
        return math.inf
    if signal == 0 or math.isinf(noise):
        return -math.inf
    return 10 * math.log10(signal / noise)
