"""compare: how far a quantized model is from its float model, in weights and in outputs."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import html
import json
import math
import statistics
from typing import TYPE_CHECKING, Any

from . import _library, _work
from . import data as data_module
from ._calls import compare_weights
from ._layers import LayerError, follow
from ._session import Memory, Session, path_and_label
from .errors import DataError
from .metrics import OutputError, OutputMeter
from .report import format_db, html_table, plain, to_pandas

if TYPE_CHECKING:
    import pandas

    from .report import Report

LATENCY_RUNS = 20
LATENCY_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class WeightError:
    """One weight of the float model, and what stands for it in the quantized one."""

    name: str
    """Name of the float tensor."""
    op_type: str
    """The operator that takes it."""
    dims: tuple[int, ...]
    elements: int
    counterpart: str
    """Name of the tensor of codes (of floats, if it stayed float); "" if none was found."""
    type: str
    """Of the counterpart: "int4" and so on."""
    form: str
    """The operator that takes the codes, such as "DequantizeLinear"."""
    snr_db: float
    """In dB. Infinity if it is unchanged, NaN if no counterpart was found."""

    @property
    def found(self) -> bool:
        """Whether the quantized model has a counterpart."""
        return bool(self.counterpart)

    @classmethod
    def _from_json(cls, row: dict[str, Any]) -> WeightError:
        values = {field.name: row[field.name] for field in dataclasses.fields(cls)}
        values["dims"] = tuple(row["dims"])
        if values["snr_db"] is None:
            values["snr_db"] = math.inf if row["exact"] else math.nan
        return cls(**values)


@dataclasses.dataclass(frozen=True)
class Latency:
    """Seconds that a run takes: medians of alternating runs of both models."""

    float_seconds: float
    quantized_seconds: float
    runs: int

    @property
    def ratio(self) -> float:
        """Of the quantized model's time to the float model's."""
        return self.quantized_seconds / self.float_seconds


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What `compare` found. str() gives what the program prints."""

    model: str
    quantized: str
    weights: tuple[WeightError, ...] = dataclasses.field(repr=False)
    """Worst first. Those that did not change are not listed."""
    unchanged: int = 0
    """Number of weights that did not change."""
    outputs: tuple[OutputError, ...] = ()
    """Empty without data, as are the fields that follow."""
    data: str = ""
    """Name of the data."""
    is_random: bool = False
    """The data is made up: real inputs may give other figures."""
    runs: int = 0
    latency: Latency | None = None
    layers: tuple[LayerError, ...] = dataclasses.field(default=(), repr=False)
    """In the order of the graph. Empty if not asked for."""

    @property
    def snr_db(self) -> float:
        """The least SNR: of the outputs if there is data, otherwise of the weights."""
        of = [row.snr_db for row in (self.outputs or self.weights)]
        return min((value for value in of if not math.isnan(value)), default=math.nan)

    @property
    def top1(self) -> float:
        """The least top-1 agreement of the outputs. NaN without any."""
        of = [row.top1 for row in self.outputs if not math.isnan(row.top1)]
        return min(of, default=math.nan)

    def failures(
        self, min_snr: float | None = None, min_top1: float | None = None
    ) -> list[str]:
        """Which of these limits (in dB; from 0 to 1) are missed: a line for each, none if
        all are reached."""
        lines = []
        for label, value, least, unit in [
            ("SNR", self.snr_db, min_snr, " dB"),
            ("top-1 agreement", self.top1, min_top1, ""),
        ]:
            if least is not None and not value >= least:
                is_missing = math.isnan(value)
                what = "nothing has one" if is_missing else f"{value:.4g}{unit}"
                lines.append(f"least {label}: {what}, and {least:g}{unit} was asked for")
        return lines

    def to_pandas(self) -> pandas.DataFrame:
        """The outputs as a DataFrame; the weights, if there are no outputs. Needs pandas."""
        return to_pandas(self.outputs or self.weights)

    def to_html(self, other: Report | Comparison | None = None) -> str:
        """A page that needs no other file. With `other` it shows both side by side."""
        return _library.page(self._json(), other._json() if other else None)

    def _json(self) -> str:
        return self.to_json()

    def to_json(self) -> str:
        """An object with the fields of this class (docs/compare.md). Infinity and NaN, which
        JSON doesn't have, are "inf", "-inf" and null."""
        raw = dataclasses.asdict(self)
        return json.dumps({"nibble": _library.version(), **plain(raw)}, indent=2)

    def __str__(self) -> str:
        from ._tables import comparison_text

        return comparison_text(self)

    def _repr_html_(self) -> str:
        parts = [f"<p>{html.escape(f'{self.model} and {self.quantized}')}</p>"]
        if self.outputs:
            parts.append(
                html_table(
                    ["output", "SNR", "cosine", "largest difference", "top-1"],
                    [
                        [
                            row.name,
                            format_db(row.snr_db),
                            f"{row.cosine:.6f}",
                            f"{row.max_difference:.3g}",
                            f"{row.top1:.4f}",
                        ]
                        for row in self.outputs
                    ],
                )
            )
        parts.append(
            html_table(
                ["weight", "operator", "shape", "type", "form", "SNR"],
                [
                    [
                        row.name,
                        row.op_type,
                        "x".join(map(str, row.dims)),
                        row.type,
                        row.form,
                        format_db(row.snr_db) or "not found",
                    ]
                    for row in self.weights
                ],
            )
        )
        return "".join(parts)


def compare(
    model: Any,
    quantized: Any,
    *,
    data: data_module.Source | None = None,
    layers: bool = False,
    latency: bool = True,
    seed: int = 0,
    threads: int = 0,
    no_links: bool = False,
    progress: _work.ProgressCallback | None = None,
) -> Comparison:
    """Compares a quantized model with its float model.

    model, quantized: as for `quantize`: paths or objects, not necessarily of one kind.
    data: inputs to run both models with in ONNX Runtime (see nibble.data): a folder,
        "random[:N]", or an iterable of {input name: array}. Without it only weights are
        compared.
    layers: follow the SNR through the graph, too, and mark where it drops first.
    latency: measure how long runs take: some seconds.
    seed: of random data.
    threads: of ONNX Runtime. 0: one for each core.
    no_links: refuse external data behind symbolic links.
    progress: function of (done, total), in runs.

    Raises DataError if the data is not what the model wants, and errors of the library."""
    if layers and data is None:
        raise DataError("layers needs data: the graph is run")
    with contextlib.ExitStack() as stack:
        path, label = path_and_label(model, stack, "model")
        other_path, other_label = path_and_label(quantized, stack, "quantized model")
        found = compare_weights(path, other_path, no_links)
        weights = tuple(map(WeightError._from_json, found["weights"]))
        result = Comparison(label, other_label, weights, found["unchanged"])
        if data is None:
            return result
        reference = Session(path, label, threads=threads, spin=latency)
        other = Session(other_path, other_label, threads=threads, spin=latency)
        _check_outputs(reference, other)
        feeds = data_module.read(data, reference, seed=seed)
        result = dataclasses.replace(
            result,
            outputs=measure(reference, other, feeds, progress),
            data=feeds.name,
            is_random=feeds.is_random,
            runs=len(feeds),
        )
        if latency:
            result = dataclasses.replace(result, latency=_latency(reference, other, feeds))
        if layers:
            errors = follow((path, other_path), (label, other_label), feeds)
            result = dataclasses.replace(result, layers=errors)
        return result


def _check_outputs(reference: Session, other: Session) -> None:
    """Models that have no output in common are hardly two forms of one."""
    if not set(reference.outputs) & set(other.outputs):
        raise DataError(
            f"{reference.label} gives {', '.join(reference.outputs)}, {other.label} gives "
            f"{', '.join(other.outputs)}: nothing can be compared"
        )


def measure(
    reference: Session,
    other: Session,
    feeds: data_module.Data,
    progress: _work.ProgressCallback | None = None,
    memory: Memory | None = None,
) -> tuple[OutputError, ...]:
    """Runs both models with all feeds. Both must take the same inputs. memory: what the
    reference gives in these runs."""
    names = [name for name in reference.outputs if name in set(other.outputs)]
    meters = [OutputMeter(name) for name in names]
    for done, feed in enumerate(feeds):
        if progress:
            progress(done, len(feeds))
        run = functools.partial(reference.run, feed)
        left, right = memory.get(done, run) if memory else run(), other.run(feed)
        for meter in meters:
            meter.add(left[meter.name], right[meter.name])
    if progress:
        progress(len(feeds), len(feeds))
    return tuple(meter.result() for meter in meters)


def _latency(reference: Session, other: Session, feeds: data_module.Data) -> Latency:
    """Both in turns, so that whatever else the machine does disturbs both alike."""
    feed = feeds[0]
    reference.seconds(feed), other.seconds(feed)
    left, right = [reference.seconds(feed)], [other.seconds(feed)]
    more = int(min(LATENCY_RUNS, LATENCY_SECONDS / (left[0] + right[0])))
    for _ in range(more):
        left.append(reference.seconds(feed))
        right.append(other.seconds(feed))
    return Latency(statistics.median(left), statistics.median(right), len(left))
