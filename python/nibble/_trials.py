"""Trials: runs of the float model with some weights as they would be quantized
(docs/calibration.md). They tell what each weight costs the outputs, and what a layer gets
from the layers before it."""

from __future__ import annotations

import functools
import itertools
import math
import os
from typing import Any, Callable

import numpy as np

from . import _library
from ._calibration_handle import TYPES, Calibration
from ._session import Feed, Memory, Session
from .data import Data
from .errors import NibbleError, UnsupportedModelError
from .metrics import OutputMeter

# Runs for each weight: fewer where there are many weights or inputs are large, so that all
# together take no longer. A limit in seconds would make the result depend on the machine.
SAMPLES = 16
LEAST_SAMPLES = 2
RUNS = 1600
# Values that layers take in, in all runs together. This says more of the time than the
# number of multiplications does: a core takes in 40 to 90 million a second.
VALUES = 1 << 31
# To try more weights would be out of proportion to what the choice gains.
MOST_WEIGHTS = 800
# A weight that ruins the model costs a lot, but not infinity.
LEAST_DB = -60.0

Watch = Callable[[int, int], None]


class NoTrialsError(NibbleError):
    """Trials of this model make no sense, or are too many. The model is quantized without
    them, and the report says why."""


class Trials:
    """The model for trials, loaded, and its trials."""

    def __init__(self, calibration: Calibration, options: _library.Options, folder: str):
        self.calibration, self.options = calibration, options
        self.path = os.path.join(folder, "trials.onnx")
        self.list = calibration.begin_trials(self.path, options)
        self.session = Session(self.path, "the model for trials", exact=True)
        for trial in self.list:
            for name in filter(None, (trial.name, trial.bias_name)):
                dtype = self.session.overridable.get(name.decode())
                if dtype not in TYPES:
                    raise NoTrialsError(f"{name.decode()} can't be an input ({dtype})")

    def feed(self, index: int, keep: bool = False) -> Feed:
        """Empty for a weight that will stay float, since it holds NaN or infinity."""
        try:
            feed = self.calibration.attempt(index, self.list[index], keep)
        except UnsupportedModelError:
            return {}
        dtypes = self.session.overridable
        return {name: value.astype(dtypes[name], copy=False) for name, value in feed.items()}


# ---- by output --------------------------------------------------------------------------


class Costs:
    """What each weight costs the model, quantized alone: the noise of its layer, and that
    of the model's outputs."""

    def __init__(self, trials: Trials, feeds: Data, outputs: list[str], watch: Watch):
        """Raises NoTrialsError if that can't be measured, or there are too many weights."""
        self._resume = functools.partial(
            trials.calibration.begin_trials, trials.path, trials.options
        )
        self._calibration = trials.calibration
        self._noises: dict[int, tuple[float, float]] = {}
        count = len(trials.list)
        if count > MOST_WEIGHTS:
            raise NoTrialsError(f"there are {count} weights, and {MOST_WEIGHTS} can be tried")
        step = -(-len(feeds) // samples_for(count, values_of(trials, feeds[0])))
        chosen, memory = list(feeds[::step]), Memory()
        names = _floats(trials.session.run(chosen[0], outputs))
        for index in range(count):
            weights = trials.feed(index)
            if not weights:
                continue
            meters = {name: OutputMeter(name) for name in names}
            for run, feed in enumerate(chosen):
                watch(index * len(chosen) + run, count * len(chosen))
                wanted = memory.get(run, functools.partial(trials.session.run, feed, names))
                got = trials.session.run({**feed, **weights}, names)
                for name, meter in meters.items():
                    meter.add(wanted[name], got[name])
            noise = sum(map(_noise, meters.values()))
            self._noises[index] = trials.list[index].noise, noise

    def weigh(self, share: float) -> None:
        """Lets types be chosen by the outputs' noise to that share, by the layers' else."""
        self._resume()
        for index, (layer, output) in self._noises.items():
            cost = layer ** (1 - share) * output**share
            self._calibration.weigh(index, cost)


def values_of(trials: Trials, feed: Feed) -> int:
    """How many values the layers take in, in one run."""
    session, names = trials.session, trials.calibration.tensors()
    tensors = {**session.run(feed, [n for n in names if n in session.outputs]), **feed}
    return sum(tensors[name].size for name in names)


def samples_for(weights: int, values: int) -> int:
    """The most runs for each of so many weights, if a run takes in so many values."""
    runs = min(RUNS, VALUES // max(values, 1))
    return max(LEAST_SAMPLES, min(SAMPLES, runs // max(weights, 1)))


def _floats(outputs: dict[str, Any]) -> list[str]:
    """The names of those outputs that hold floats."""
    names = [
        name
        for name, value in outputs.items()
        if isinstance(value, np.ndarray) and value.dtype.kind == "f"
    ]
    if not names:
        raise NoTrialsError("no output of the model holds floats")
    return names


def _noise(meter: OutputMeter) -> float:
    """Of one output over all runs, relative to its signal."""
    snr = meter.result().snr_of_all_db()
    return 10 ** (-max(snr, LEAST_DB) / 10) if not math.isnan(snr) else 0.0


# ---- layer by layer ---------------------------------------------------------------------


def keep_in_order(trials: Trials, feeds: Data, memory: Memory, watch: Watch) -> None:
    """Quantizes layer by layer, each on the inputs that the quantized layers before it
    give. memory: the observed tensors of the float model."""
    session, calibration = trials.session, trials.calibration
    kept: Feed = {}
    steps = itertools.groupby(range(len(trials.list)), lambda i: trials.list[i].step)
    observed = [name for name in calibration.tensors() if name in session.outputs]
    total = len({trial.step for trial in trials.list}) * len(feeds)
    for step, indices in steps:
        mine = list(indices)
        tensors = {name.decode() for name in trials.list[mine[0]].tensors if name}
        asked = [name for name in observed if name in tensors]
        for run, feed in enumerate(feeds if tensors else []):
            watch(step * len(feeds) + run, total)
            before = memory.get(run, functools.partial(session.run, feed, observed))
            now = session.run({**feed, **kept}, asked) if kept and asked else before
            calibration.observe_step(
                step, _those(tensors, feed, before), _those(tensors, feed, now)
            )
        for index in mine:
            kept.update(trials.feed(index, keep=True))


def _those(names: set[str], feed: Feed, outputs: dict[str, Any]) -> Feed:
    return {name: outputs[name] if name in outputs else feed[name] for name in names}
