"""Comparisons as text, for a terminal or a log."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .report import format_db

if TYPE_CHECKING:
    from .comparison import Comparison

NAME_WIDTH = 40
WEIGHTS_SHOWN = 20
LAYERS_SHOWN = 20


def _table(rows: list[list[str]], right: set[int]) -> str:
    """Columns two spaces apart; `right` are set to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def printable(text: str) -> str:
    """A name that can't move a terminal's cursor."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _short(name: str) -> str:
    name = printable(name)
    if len(name) <= NAME_WIDTH:
        return name
    half = NAME_WIDTH // 2
    return f"{name[: half - 1]}~{name[-half:]}"


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _weights(c: Comparison) -> str:
    rows = [["WEIGHT", "OP", "SHAPE", "TYPE", "FORM", "SNR"]]
    rows += [
        [
            _short(row.name),
            row.op_type,
            "x".join(map(str, row.dims)),
            row.type,
            row.form,
            format_db(row.snr_db) or "not found",
        ]
        for row in c.weights[:WEIGHTS_SHOWN]
    ]
    text = _table(rows, {5})
    if len(c.weights) > WEIGHTS_SHOWN:
        text += f"\n... {len(c.weights) - WEIGHTS_SHOWN} more, all with a higher SNR"
    return text


def _outputs(c: Comparison) -> str:
    rows = [["OUTPUT", "SNR", "COSINE", "MAX DIFF", "TOP-1"]]
    rows += [
        [
            _short(row.name),
            format_db(row.snr_db),
            _number(row.cosine, 6),
            f"{row.max_difference:.3g}",
            _number(row.top1, 4),
        ]
        for row in c.outputs
    ]
    text = _table(rows, {1, 2, 3, 4})
    for row in c.outputs:
        if row.mismatched:
            text += (
                f"\n{printable(row.name)}: other shapes in {row.mismatched} of {row.runs} runs"
            )
    return text


def _layers(c: Comparison) -> str:
    first = next((i for i, layer in enumerate(c.layers) if layer.drops), None)
    if first is None:
        return "no tensor that both models have differs"
    begin = max(0, first - LAYERS_SHOWN // 2)
    shown = c.layers[begin : begin + LAYERS_SHOWN]
    rows = [["TENSOR", "OP", "SNR", ""]]
    rows += [
        [
            _short(layer.name),
            layer.op_type,
            format_db(layer.snr_db),
            "<- drops here first" if layer.drops else "",
        ]
        for layer in shown
    ]
    text = _table(rows, {2})
    if len(shown) < len(c.layers):
        text += f"\n({len(c.layers)} tensors in all)"
    return text


def comparison_text(c: Comparison) -> str:
    parts = [f"{c.model} and {c.quantized}", _weights(c)]
    if c.outputs:
        runs = f"{c.runs} run" + "s" * (c.runs != 1)
        parts.append(_outputs(c) + f"\n({runs} with {c.data})")
        if c.is_random:
            parts.append(
                "The inputs are random. Real ones may give quite other figures: use your own "
                "data before you decide."
            )
    if c.latency:
        parts.append(
            f"latency  {1000 * c.latency.float_seconds:.3g} ms -> "
            f"{1000 * c.latency.quantized_seconds:.3g} ms, ratio {c.latency.ratio:.2f}"
        )
    if c.layers:
        parts.append(_layers(c))
    return "\n\n".join(parts)
