"""What was done to a model: one Report, and in it one Weight for each float constant."""

from __future__ import annotations

import dataclasses
import html
import json
import math
from typing import TYPE_CHECKING, Any

from . import _library
from .errors import MissingPackageError
from .metrics import OutputError

if TYPE_CHECKING:
    import pandas

    from .comparison import Comparison

# Fields that only calibration sets, besides `outputs` and `notes`.
MEASURED = ("calibration_runs", "held_out_runs", "reached")


@dataclasses.dataclass(frozen=True)
class Weight:
    """One float constant: what was done to it, or why it stays float."""

    name: str
    """Name of the tensor."""
    op_type: str
    """Operator of its first consumer, such as "MatMul"; "" if it has none."""
    graph: str
    """"" in the main graph, else the path to the subgraph or function."""
    element_type: str
    """"float", "float16", "bfloat16" or "double"."""
    dims: tuple[int, ...]
    """Its shape."""
    elements: int
    """The product of its dims."""
    quantized: bool
    bytes_before: int
    """Bytes of the values. 0 if this is a copy (see there)."""
    bytes_after: int
    """Bytes of codes, scales and zero points; of the stored values if it stays float."""
    type: str
    """"int4" and so on; the type of the stored values if it stays float."""
    granularity: str = ""
    """Quantized: what shares a scale, such as "block 32, axis 1"."""
    scale_type: str = ""
    """Quantized: type of the stored scales, such as "float16"."""
    form: str = ""
    """Quantized: what stands for it in the graph (docs/forms.md)."""
    why: str = ""
    """Quantized: what that means when the model runs, in plain words."""
    slow: bool = False
    """Decoded on every run by an operator that takes its time."""
    copy: bool = False
    """A further form of the weight before it, for other consumers."""
    snr_db: float = math.nan
    """Quantized: 10 log10(sum x^2 / sum (x - x')^2) in dB. Infinity if nothing was lost,
    NaN if it was not measured."""
    reason: str = ""
    """Stays float: why, in plain words."""
    asked: bool = True
    """The options ask for it: large enough, and not excluded."""
    warning: bool = False
    """It stays float because of its values: NaN, infinity, too large for its scales."""
    calibrated: bool = False
    """Its codes were found with data."""
    output_snr_db: float = math.nan
    """SNR of its operator's output on the calibration data, in dB. NaN without data."""

    node: str = ""
    """Name of the first node that uses it."""
    rule: str = ""
    """The rule that counts for it."""
    float32_reason: str = ""
    """Stays float, with the option float16: why it is not stored as float16."""

    @classmethod
    def _from_json(cls, row: dict[str, Any]) -> Weight:
        known = {field.name for field in dataclasses.fields(cls)}
        values = {key: value for key, value in row.items() if key in known}
        values["dims"] = tuple(row["dims"])
        values["bytes_before"] = row["bytes"]["before"]
        values["bytes_after"] = row["bytes"]["after"]
        values.setdefault("type", row.get("stored_type", row["element_type"]))
        if values.get("snr_db") is None:
            values["snr_db"] = math.inf if row.get("exact") else math.nan
        if values.get("output_snr_db") is None:
            values["output_snr_db"] = math.nan
        return cls(**values)


@dataclasses.dataclass(frozen=True)
class Pattern:
    """A pattern of the options: of include, of exclude, or a rule."""

    option: str
    """Its name on the command line."""
    text: str
    weights: int
    """How many weights it matches."""
    nearest: str
    """If that is 0: names that are most like it."""

    def message(self) -> str:
        near = f"; the nearest names are {self.nearest}" if self.nearest else ""
        return f"{self.option.lstrip('-')} '{self.text}' matches no weight{near}"


@dataclasses.dataclass(frozen=True)
class Report:
    """What was done to a model. str() gives the table that the program prints; a notebook
    shows it as an HTML table."""

    model: str
    """Name of the input."""
    output: str | None
    """Name of the output; None if nothing was written."""
    ir_before: int
    ir_after: int
    opset_before: int
    """Opset of the standard domain."""
    opset_after: int
    bytes_before: int
    """Bytes of the model and of its external data."""
    bytes_after: int | None
    """None if nothing was written."""
    weight_bytes_before: int
    """Sums over `weights`."""
    weight_bytes_after: int
    elements: int
    elements_quantized: int
    bits_per_weight: float
    """8 x bytes after / elements, of the quantized weights. 0 if there are none."""
    bits_chosen: float
    """The same over all weights that a type was chosen for: what the option
    bits_per_weight bounds. 0 if none was chosen."""
    elements_chosen: int
    quantized: int
    """Number of weights that are quantized."""
    left: int
    """Number of those that stay float."""
    missed: int
    """Number of those that stay float although the options ask for them."""
    warnings: int
    """Number of those that stay float because of their values."""
    slow: int
    """Number of quantized ones that are decoded on every run."""
    codes_stored: int
    """Number of float weights whose QuantizeLinear was computed. The codes are stored."""
    stored_float16: int
    """Number of weights that stay float32, but are stored as float16."""
    float16_nodes: int
    """With the option compute: number of nodes that compute in float16."""
    float32_nodes: int
    """Number of those that stay float32."""
    cpu: str
    """The kernels used: "scalar", "avx2", "avx512"."""
    weights: tuple[Weight, ...] = dataclasses.field(repr=False)
    text: str = dataclasses.field(repr=False)
    """The report as the program prints it."""
    json: str = dataclasses.field(repr=False)
    """The report as `nibble --json` writes it (docs/report.md)."""
    outputs: tuple[OutputError, ...] = ()
    """With data: the errors of the model's outputs on the runs that were held out."""
    calibration_runs: int = 0
    """Runs that the codes were found with. 0 without data, and where the result without
    them was better on the runs that were held out."""
    held_out_runs: int = 0
    notes: tuple[str, ...] = ()
    """A warning, where the model is likely to be ruined. With data, also what was asked for
    and not done, or made no better, and why."""
    estimated_snr_db: float = math.nan
    """An estimate of the SNR of the outputs in dB, from the errors of the weights
    (docs/accuracy.md). NaN with data, and where errors were not measured."""
    patterns: tuple[Pattern, ...] = ()
    """The patterns of the options."""
    reached: bool | None = None
    """Whether `until` was reached; None if it was not asked for."""

    @classmethod
    def _from_library(cls, report_json: str, text: str) -> Report:
        raw = json.loads(report_json)
        known = {field.name for field in dataclasses.fields(cls)}
        values = {key: value for key, value in raw.items() if key in known}
        for key, field in [
            ("ir_version", "ir"),
            ("opset", "opset"),
            ("bytes", "bytes"),
            ("weight_bytes", "weight_bytes"),
        ]:
            values[f"{field}_before"] = raw[key]["before"]
            values[f"{field}_after"] = raw[key]["after"]
        values["notes"] = tuple(raw["notes"])
        if values.get("estimated_snr_db") is None:
            values["estimated_snr_db"] = math.nan
        values["patterns"] = tuple(Pattern(**row) for row in raw["patterns"])
        values["weights"] = tuple(Weight._from_json(row) for row in raw["weights"])
        return cls(**values, text=text, json=report_json)

    def _with_data(self, **found: Any) -> Report:
        """The same with what calibration has found out, in `json`, too."""
        report = dataclasses.replace(self, estimated_snr_db=math.nan, **found)
        raw = json.loads(report.json)
        for name in ("estimated_snr_db", "notes", "outputs", *MEASURED):
            raw[name] = getattr(report, name)
        raw["outputs"] = [dataclasses.asdict(row) for row in report.outputs]
        text = json.dumps(plain(raw), indent="\t", ensure_ascii=False)
        return dataclasses.replace(report, json=text)

    def _snr_warning(self) -> str | None:
        """Where an output with data is so far off that the model is likely to be ruined.
        One that is nearly always sure stays right with a low SNR."""
        agrees = 0.95
        known = [row for row in self.outputs if not math.isnan(row.snr_db)]
        worst = min(known, key=OutputError.snr_of_all_db, default=None)
        if worst is None or self.reached or worst.top1 >= agrees:
            return None
        narrow = any(weight.type in ("int4", "uint4") for weight in self.weights)
        return _library.snr_warning(worst.snr_of_all_db(), narrow)

    def unmatched(self) -> list[Pattern]:
        """Patterns that match no weight."""
        return [row for row in self.patterns if row.weights == 0 and self.weights]

    def __str__(self) -> str:
        lines = [
            f"{row.name}: {format_db(row.snr_db) or 'no floats'}, cosine {row.cosine:.6f}, "
            f"top-1 {row.top1:.4f} ({self.held_out_runs} runs held out)"
            for row in self.outputs
        ]
        if self.outputs and not self.calibration_runs:
            lines.append("the data made no better: quantized without it")
        lines += self.notes
        if self.reached is False:
            lines.append("until was NOT reached: this is the nearest")
        return "\n".join([self.text.rstrip("\n"), "", *lines]) if lines else self.text

    def to_html(self, other: Report | Comparison | None = None) -> str:
        """A page that needs no other file. With `other` it shows both side by side. It has
        histograms of the worst weights if `quantize` was called with `report`."""
        return _library.page(self.json, other._json() if other else None)

    def _json(self) -> str:
        return self.json

    def _made_by(self, command: str) -> Report:
        raw = {**json.loads(self.json), "command": command}
        text = json.dumps(raw, indent="\t", ensure_ascii=False)
        return dataclasses.replace(self, json=text)

    def to_pandas(self) -> pandas.DataFrame:
        """The weights as a DataFrame: a row for each, a column for each field of Weight.
        Needs pandas."""
        return to_pandas(self.weights)

    def _repr_html_(self) -> str:
        rows = [weight for weight in self.weights if weight.quantized]
        table = html_table(
            ["weight", "operator", "shape", "type", "before", "after", "SNR"],
            [
                [
                    weight.name,
                    weight.op_type,
                    "x".join(map(str, weight.dims)),
                    f"{weight.type} {weight.granularity}",
                    format_bytes(weight.bytes_before),
                    format_bytes(weight.bytes_after),
                    format_db(weight.snr_db),
                ]
                for weight in rows
            ],
        )
        left: dict[str, list[Weight]] = {}
        for weight in self.weights:
            if not weight.quantized:
                left.setdefault(weight.reason, []).append(weight)
        reasons = html_table(
            ["left float", "bytes", "why"],
            [
                [str(len(those)), format_bytes(sum(w.bytes_before for w in those)), reason]
                for reason, those in left.items()
            ],
        )
        return f"<p>{html.escape(self.summary())}</p>{table}{reasons if left else ''}"

    def summary(self) -> str:
        """One line: how much was quantized, and what became of the size."""
        line = (
            f"{self.quantized} of {self.quantized + self.left} constants quantized, "
            f"{self.bits_per_weight:.2f} bits per weight; weights "
            f"{format_bytes(self.weight_bytes_before)} to "
            f"{format_bytes(self.weight_bytes_after)}"
        )
        if self.bytes_after:
            line += (
                f"; model {format_bytes(self.bytes_before)} to {format_bytes(self.bytes_after)}"
            )
        return line


# ---- what reports and comparisons share ---------------------------------------------


def to_pandas(rows: tuple[Any, ...]) -> pandas.DataFrame:
    """A DataFrame of dataclasses: a row for each, a column for each field."""
    try:
        import pandas
    except ImportError as error:
        raise MissingPackageError("to_pandas() needs pandas: pip install pandas") from error
    return pandas.DataFrame([dataclasses.asdict(row) for row in rows])


def plain(value: Any) -> Any:
    """A value for JSON, which has neither infinity nor NaN: they are "inf", "-inf", null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value


def html_table(heads: list[str], rows: list[list[str]]) -> str:
    """A table of texts; everything in it is escaped."""
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def format_bytes(count: int) -> str:
    """Three significant digits and a decimal unit: "4.10 kB"."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    digits = 0 if unit == "B" or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f} {unit}"


def format_db(value: float) -> str:
    """ "19.1 dB", "exact", or "" where nothing was measured."""
    if math.isnan(value):
        return ""
    return "exact" if math.isinf(value) and value > 0 else f"{value:.1f} dB"
