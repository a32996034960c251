"""The driver of calibration: runs the model on the user's data, in ONNX Runtime, and hands
the library what it wants to see. The mathematics is the library's (docs/calibration.md)."""

from __future__ import annotations

import dataclasses
import filecmp
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any, Callable, Union

from . import _library, _models, _options
from . import data as data_module
from ._calibration_handle import Calibration
from ._files import check_report, work_folder
from ._session import Feed, Memory, Session
from ._trials import Costs, Trials, keep_in_order
from ._work import ProgressCallback, Work
from .comparison import measure
from .errors import CancelledError, DataError, NibbleError, OptionError
from .metrics import OutputError
from .report import Report

Path = Union[str, "os.PathLike[str]"]
Until = Union[str, Callable[[str], bool], None]

# How much the outputs' noise counts where types are chosen; the rest is the layers' noise.
SHARES = (0.0, 1.0, 0.5)

# Bits per weight that `until` tries.
BUDGETS = (4.25, 4.5, 4.75, 5, 5.5, 6, 6.5, 7, 8, 9)

# Operators whose weights have no inputs to observe.
TABLES = ("Gather", "GatherND", "GatherElements", "Add", "Slice", "Expand")
NAMES = 3  # that a note lists

# ---- what is asked for ------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Asked:
    """Arguments of quantize that go with data."""

    data: data_module.Source | None = None
    stats: tuple[Path, ...] = ()
    save_stats: Path | None = None
    until: Until = None
    sequential: bool = False
    seed: int = 0
    keywords: dict[str, Any] = dataclasses.field(default_factory=dict)
    progress: ProgressCallback | None = None


GOAL = re.compile(r"(snr|top1|cosine)(?:\((.+)\))?\s*>=\s*([-+.\de]+)")
FIELDS = {"snr": "snr_db", "top1": "top1", "cosine": "cosine"}


@dataclasses.dataclass(frozen=True)
class Goal:
    """One condition of `until`: a least value of one output, or of all."""

    metric: str
    output: str | None
    least: float

    def is_met(self, outputs: tuple[OutputError, ...]) -> bool:
        values = [
            getattr(row, FIELDS[self.metric])
            for row in outputs
            if self.output in (None, row.name)
        ]
        known = [value for value in values if not math.isnan(value)]
        if not known:
            what = f"output {self.output}" if self.output else "any output"
            raise DataError(f"until: {self.metric} is not known of {what}")
        return bool(min(known) >= self.least)


def goals(until: str) -> list[Goal]:
    """The conditions of "snr>=30, top1(logits)>=0.99"."""
    found = []
    for text in until.split(","):
        match = GOAL.fullmatch(text.strip())
        try:
            least = float(match[3]) if match else math.nan
        except ValueError:
            least = math.nan
        if not match or math.isnan(least):
            raise OptionError(
                f"until takes conditions such as 'snr>=30', 'top1>=0.99' or "
                f"'cosine(logits)>=0.999', joined by commas, not {text.strip()!r}"
            )
        found.append(Goal(match[1], match[2], least))
    return found


# ---- candidates -------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A quantized model in a folder of its own, and its outputs on the held-out runs."""

    path: str
    report: Report
    outputs: tuple[OutputError, ...]
    is_calibrated: bool

    def quality(self) -> float:
        """SNR in dB of the worst output; agreement where outputs hold no floats."""
        snrs = [row.snr_of_all_db() for row in self.outputs]
        values = [snr for snr in snrs if not math.isnan(snr)]
        values = values or [row.top1 for row in self.outputs if not math.isnan(row.top1)]
        return min(values, default=0.0)

    def better(self, other: Candidate) -> Candidate:
        """This one, unless the other is better. The model that loses is removed."""
        wins = self.quality() >= other.quality()
        shutil.rmtree(os.path.dirname((other if wins else self).path))
        return self if wins else other


class Driver:
    """One call of quantize with data."""

    def __init__(self, source: str, target: str, asked: Asked, work: Work[Any], call: Any):
        self.source, self.target, self.asked, self.work = source, target, asked, work
        self._quantize = call  # (source, target, options, work) -> Report
        self._goals = goals(asked.until) if isinstance(asked.until, str) else []
        self._notes: dict[str, None] = {}  # in order, each once
        self._costs: Costs | None = None
        self._has_costs = False

    def run(self) -> Report:
        options = _options.make(self.asked.keywords)
        self.work.connect(options)
        if os.path.exists(self.target) and os.path.samefile(self.source, self.target):
            if not options.force:
                raise OptionError(f"{self.target} is the model itself: force=True replaces it")
        if self.asked.save_stats is not None:
            check_report(
                os.fspath(self.asked.save_stats), (self.source, self.target), "save_stats"
            )
        self.reference = Session(self.source, self.source)
        self.rest, self.held = self._feeds()
        self.answers, self.activations = Memory(), Memory()
        self.calibration = Calibration(self.source, options)
        try:
            self._gather()
            with work_folder(self.target) as self.folder:
                best = self._until() if self.asked.until else self._guarded()
                return self._finish(best)
        finally:
            self.calibration.close()

    def _feeds(self) -> tuple[data_module.Data | None, data_module.Data | None]:
        if self.asked.data is None:
            return None, None
        return data_module.read(self.asked.data, self.reference, seed=self.asked.seed).split()

    def _check_cancel(self) -> None:
        if self.work.cancel.value:
            raise CancelledError("cancelled")

    def _watched(self, feeds: data_module.Data) -> Iterator[Feed]:
        """The feeds; tells how many runs are done, and stops when that is asked for."""
        for done, feed in enumerate(feeds):
            self._watch(done, len(feeds))
            yield feed

    def _watch(self, done: int, total: int) -> None:
        self._check_cancel()
        if self.asked.progress:
            self.asked.progress(done, total)

    def _gather(self) -> None:
        """Statistics: from files, and from runs of the instrumented model."""
        for path in self.asked.stats:
            self.calibration.load(path)
        wanted = self.calibration.tensors()
        if self.rest is not None and wanted:
            with tempfile.TemporaryDirectory(prefix="nibble-model-") as folder:
                path = os.path.join(folder, "observed.onnx")
                self.calibration.instrument(path)
                session = Session(path, f"{self.source}, instrumented")
                for feed in self._watched(self.rest):
                    tensors = {**session.run(feed), **feed}
                    self.calibration.observe({name: tensors[name] for name in wanted})
        if self.asked.save_stats is not None:
            self.calibration.save(self.asked.save_stats)

    def _candidate(
        self, keywords: dict[str, Any], calibrated: bool, known: Candidate | None = None
    ) -> Candidate:
        """Quantizes into a folder of its own, under the output's own name, so that the
        name of its external data is right; and measures that, if it is not `known`."""
        self._check_cancel()
        folder = tempfile.mkdtemp(dir=self.folder)
        path = os.path.join(folder, os.path.basename(os.path.realpath(self.target)))
        options = _options.make(keywords)
        if calibrated:
            self.calibration.connect(options)
        report = self._quantize(self.source, path, options, self.work)
        if known and filecmp.cmp(path, known.path, shallow=False):
            shutil.rmtree(folder)
            return known
        outputs: tuple[OutputError, ...] = ()
        if self.held is not None:
            session = Session(path, f"{self.target}, quantized", exact=True)
            outputs = measure(self.reference, session, self.held, memory=self.answers)
        return Candidate(path, report, outputs, calibrated)

    def _guarded(self) -> Candidate:
        """With data; or without, where the held-out runs like that better: a few samples
        may mislead."""
        with_data = self._with_data(self.asked.keywords)
        if self.held is None:
            return with_data
        return with_data.better(self._candidate(self.asked.keywords, False))

    # ---- with data ----------------------------------------------------------------------

    def _with_data(self, keywords: dict[str, Any]) -> Candidate:
        """The best that data can do with these options."""
        self.calibration.forget()
        costs = self._known_costs() if keywords.get("bits_per_weight") else None
        best, best_share = None, SHARES[0]
        for share in SHARES if costs else SHARES[:1]:
            if costs:
                costs.weigh(share)
            candidate = self._candidate(keywords, True, best)
            if candidate is best:
                continue
            best = best.better(candidate) if best else candidate
            best_share = share if best is candidate else best_share
        assert best
        if not self.asked.sequential:
            return best
        if costs:
            costs.weigh(best_share)
        return self._sequential(keywords, best)

    def _trials(self, keywords: dict[str, Any]) -> Trials:
        options = _options.make(keywords)
        self.work.connect(options)
        return Trials(self.calibration, options, tempfile.mkdtemp(dir=self.folder))

    def _known_costs(self) -> Costs | None:
        """What weights cost the model, quantized alone. It is measured once, on runs that
        are held out: on the others codes look better than they are, the more so the fewer
        rows there are for the inputs of a weight."""
        if self._has_costs or self.held is None:
            return self._costs
        self._has_costs = True
        keywords = {**self.asked.keywords, "bits_per_weight": None}
        try:
            trials = self._trials(keywords)
            self._costs = Costs(trials, self.held, self.reference.outputs, self._watch)
        except CancelledError:
            raise
        except NibbleError as error:
            self._note(f"types were chosen without the model's outputs: {error}")
        return self._costs

    def _sequential(self, keywords: dict[str, Any], best: Candidate) -> Candidate:
        """Layer by layer, if that is better."""
        assert self.rest is not None
        try:
            trials = self._trials(keywords)
            keep_in_order(trials, self.rest, self.activations, self._watch)
        except CancelledError:
            raise
        except NibbleError as error:
            self._note(f"not quantized layer by layer: {error}")
            return best
        other = self._candidate(keywords, True)
        found = best.better(other)
        if found is best:
            self._note("layer by layer was no better on the runs held out")
        return found

    def _note(self, text: str) -> None:
        self._notes[text] = None

    # ---- until --------------------------------------------------------------------------

    def _is_reached(self, candidate: Candidate) -> bool:
        if callable(self.asked.until):
            return bool(self.asked.until(candidate.path))
        return all(goal.is_met(candidate.outputs) for goal in self._goals)

    def _until(self) -> Candidate:
        """The fewest bits that reach the goal, out of BUDGETS; the most, if none does."""
        for name in ("bits_per_weight", "min_snr", "type", "block_size"):
            if self.asked.keywords.get(name) not in (None, "int4"):
                raise OptionError(f"until and {name} exclude each other: give one of them")
        if self.held is None and not callable(self.asked.until):
            raise OptionError("until needs data to measure with")
        first = self._with_data(self.asked.keywords)
        if self._is_reached(first):
            return self._mark(first, True)
        best, low, high = None, 0, len(BUDGETS) - 1
        last, middle = first, high  # the most bits first: can it be reached at all?
        while low <= high:
            candidate = self._budget(BUDGETS[middle])
            if candidate and self._is_reached(candidate):
                best, high = candidate, middle - 1
            else:
                last, low = candidate or last, middle + 1
            middle = (low + high) // 2
        return self._mark(best, True) if best else self._mark(last, False)

    def _budget(self, bits: float) -> Candidate | None:
        """None where so few bits can't be had."""
        keywords = {**self.asked.keywords, "bits_per_weight": bits}
        try:
            return self._with_data(keywords)
        except OptionError:
            return None

    def _mark(self, candidate: Candidate, reached: bool) -> Candidate:
        report = dataclasses.replace(candidate.report, reached=reached)
        return dataclasses.replace(candidate, report=report)

    def _note_unseen(self, best: Candidate) -> None:
        """Weights that data should have reached, and did not."""
        quantized = [weight for weight in best.report.weights if weight.quantized]
        unseen = [w for w in quantized if not w.calibrated and w.op_type not in TABLES]
        if not unseen or not best.is_calibrated:
            return
        share = sum(w.elements for w in unseen) / sum(w.elements for w in quantized)
        names = ", ".join(w.name for w in unseen[:NAMES]) + ", ..." * (len(unseen) > NAMES)
        self._note(
            f"quantized as without data: {len(unseen)} of {len(quantized)} weights, with "
            f"{share:.0%} of the values, whose inputs no run reached, or can't be observed: "
            f"{names}"
        )

    def _named(self, text: str, best: Candidate) -> str:
        return _models.without_folder(text.replace(best.path, self.target))

    def _finish(self, best: Candidate) -> Report:
        """Gives the model, and its external data, their places in one commit."""
        options = _options.make({"force": self.asked.keywords.get("force", False)})
        self.work.connect(options)
        error = _library.Error()
        paths = map(os.fsencode, (best.path, self.source, self.target))
        _library.check(_library.library().nibble_publish(*paths, options, error), error)
        self._note_unseen(best)
        report = dataclasses.replace(
            best.report,
            outputs=best.outputs,
            output=self.target,
            text=self._named(best.report.text, best),
            json=self._named(best.report.json, best),
        )
        warning = report._snr_warning()
        return report._with_data(
            notes=(*filter(None, [warning]), *self._notes),
            calibration_runs=self.calibration.runs() if best.is_calibrated else 0,
            held_out_runs=len(self.held) if self.held is not None else 0,
        )
