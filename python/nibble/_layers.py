"""Where in a graph the difference between two models begins: both hand out the tensors
that they have in common, and the SNR is followed from the inputs on."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterable
from typing import Any

from . import data as data_module
from ._session import Feed, Session
from .errors import MissingPackageError
from .metrics import OutputMeter

RUNS = 4
"""More than a few runs say nothing more about where."""
LEVEL_DB = 30.0
"""Tensors with more than that count as undisturbed,"""
DROP_DB = 6.0
"""and a loss of so much at one node as a drop."""


@dataclasses.dataclass(frozen=True)
class LayerError:
    """One tensor that both models compute."""

    name: str
    op_type: str
    """The operator that gives it in the float model."""
    node: str
    """Name of that node; "" if it has none."""
    snr_db: float
    inputs_snr_db: float
    """The least SNR among the tensors that it is computed from: infinity if none of them
    is disturbed."""
    drops: bool = False
    """The first place where the SNR drops: from here on the models differ."""


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise MissingPackageError("layers are looked up by onnx: pip install onnx") from error
    return onnx


def _load(path: str) -> Any:
    onnx = _onnx()
    if path.endswith(".gz"):
        import gzip

        return onnx.load_model_from_string(gzip.open(path).read())
    return onnx.load(path, load_external_data=False)


def _computed(graph: Any) -> list[str]:
    return [name for node in graph.node for name in node.output if name]


class _Probe:
    """A model that hands out more tensors than it did."""

    def __init__(self, path: str, label: str, names: Iterable[str]):
        proto = _load(path)
        onnx = _onnx()
        known = {output.name for output in proto.graph.output}
        # Without a type: ONNX Runtime finds it out.
        proto.graph.output.extend(
            onnx.ValueInfoProto(name=name) for name in names if name not in known
        )
        self.session = Session(os.path.abspath(path), label, proto=proto.SerializeToString())


def follow(
    paths: tuple[str, str], labels: tuple[str, str], data: data_module.Data
) -> tuple[LayerError, ...]:
    """The tensors that both models have, in the order of the float model's nodes."""
    reference, other = _load(paths[0]).graph, _load(paths[1]).graph
    shared = set(_computed(other))
    names = [name for name in _computed(reference) if name in shared]
    probes = [_Probe(path, label, names) for path, label in zip(paths, labels)]
    meters = {name: OutputMeter(name) for name in names}
    for feed in data[: min(RUNS, len(data))]:
        _add(meters, probes[0].session, probes[1].session, feed)
    decibels = {
        name: result.snr_db
        for name, meter in meters.items()
        for result in [meter.result()]
        if result.elements and not math.isnan(result.snr_db)
    }
    return _mark(_chain(reference, decibels))


def _add(
    meters: dict[str, OutputMeter], reference: Session, other: Session, feed: Feed
) -> None:
    left, right = reference.run(feed), other.run(feed)
    for name, meter in meters.items():
        if getattr(left[name], "dtype", None) is not None:  # no sequence, no map
            meter.add(left[name], right[name])


def _chain(graph: Any, decibels: dict[str, float]) -> list[LayerError]:
    """Each tensor beside the worst of those that it is computed from. A tensor that only
    one of the models has passes on what it got."""
    reached: dict[str, float] = {}
    layers = []
    for node in graph.node:
        worst = min((reached.get(name, math.inf) for name in node.input), default=math.inf)
        for name in node.output:
            reached[name] = decibels.get(name, worst)
            if name in decibels:
                layers.append(LayerError(name, node.op_type, node.name, decibels[name], worst))
    return layers


def _mark(layers: list[LayerError]) -> tuple[LayerError, ...]:
    """Marks the first drop; where none is steep, the steepest."""

    def loss(layer: LayerError) -> float:
        return min(layer.inputs_snr_db, LEVEL_DB) - layer.snr_db

    if not layers:
        return ()
    first = next((layer for layer in layers if loss(layer) >= DROP_DB), None)
    first = first or max(layers, key=loss)
    if math.isinf(first.snr_db) and first.snr_db > 0:
        return tuple(layers)
    return tuple(
        dataclasses.replace(layer, drops=True) if layer is first else layer for layer in layers
    )
