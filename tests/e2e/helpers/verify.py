"""Checks a model that was quantized with --target generic, so all its weights are plain
DequantizeLinear. Every bit of it is compared with the oracle and the runtimes. forms_check.py
has the other forms."""

import math

import numpy as np
import onnx
from onnx import helper

import build
import folding
import oracle
import runtime

TOLERANCE = 1e-5  # of the largest output


def verify(result, scheme, feeds=None, tolerance=TOLERANCE):
    """Checks a run of nibble (conftest.Result): the file, every code and scale, the outputs for
    the feeds, and the report. Returns {key: Decoder}. `tolerance` is for ONNX Runtime's
    optimized runs, where operators are fused. Other runs must meet TOLERANCE."""
    before, after = onnx.load(result.model), onnx.load(result.output)
    before = folding.fold(before, oracle.decoders(after))
    onnx.checker.check_model(str(result.output), full_check=True)
    found = check_weights(before, after, scheme)
    check_report(result, before, found)
    if feeds:
        check_outputs(result, before, found, feeds, tolerance)
    return found


def check_weights(before, after, scheme):
    """The right weights are quantized, in the right layout, to the right bits."""
    known = oracle.constants(before)
    found = {key: d for key, d in oracle.decoders(after).items() if key in known}
    chosen = oracle.expected(before, scheme)
    for key, (constant, axis, block) in list(chosen.items()):
        try:
            numbers = oracle.rtn(oracle.array_of(constant.tensor), scheme, axis, block,
                                 oracle.scale_type(constant, scheme))
        except oracle.Unfit:
            del chosen[key]
            continue
        assert key in found, f"{key} stays float"
        check_weight(found[key], constant, scheme, axis, block, *numbers)
    assert found.keys() == chosen.keys()
    return found


def check_weight(made, constant, scheme, axis, block, codes, scales, zeros):
    assert (made.type, made.axis, made.block) == (scheme.type, axis, block)
    assert made.to_double == (constant.tensor.data_type == onnx.TensorProto.DOUBLE)
    # If a Transpose follows, zero points are written although they are zero: ONNX Runtime
    # up to 1.27 computes wrongly without them.
    spoken = made.zeros is not None and not made.zeros.any()
    assert (made.zeros is not None) == scheme.has_zeros or spoken
    assert made.stored.dtype == scales.dtype and made.stored.shape == scales.shape
    assert made.stored.tobytes() == scales.tobytes()
    if scheme.has_zeros:
        assert np.array_equal(made.zeros, zeros)
    assert np.array_equal(made.codes, codes)


def check_outputs(result, before, found, feeds, tolerance):
    """The quantized model answers as the float model does with decoded weights."""
    copy = oracle.replaced(before, {key: d.values() for key, d in found.items()})
    path = result.output.with_name("replaced.onnx")
    onnx.save(copy, path)
    for run in runtime.engines(path):
        difference = runtime.worst(run(path, feeds), run(result.output, feeds))
        limit = tolerance if run is runtime.run_ort else TOLERANCE
        assert difference <= limit, f"outputs differ by {difference:.2g} of the largest"


# ---- the report ------------------------------------------------------------

def float_constants(model, rank=0):
    """The names of all float constants of at least that rank, as the report lists them."""
    names = [key[1] for key, c in oracle.constants(model).items()
             if c.tensor.data_type in oracle.FLOAT_TYPE and len(c.tensor.dims) >= rank]
    for place in oracle.places(model):
        names += [n.output[0] for n in place.owner.node if n.op_type == "Constant"
                  and rank <= 1 and oracle.attribute(n, "value_floats") is not None]
        names += [s.values.name for s in getattr(place.owner, "sparse_initializer", ())
                  if s.values.data_type in oracle.FLOAT_TYPE and rank <= 1]
    return sorted(names)


def file_bytes(path):
    """The bytes of a model and of the data beside it."""
    data = path.parent.glob(f"{path.name}.*.data")
    return path.stat().st_size + sum(file.stat().st_size for file in data)


def input_bytes(path):
    """The same for an input, whose data may be in several files between other data. Only the
    bytes of its tensors count there."""
    tensors = build.every_tensor(onnx.load(path, load_external_data=False))
    sizes = [(t.data_type, math.prod(t.dims)) for t in tensors if t.external_data]
    return path.stat().st_size + sum(
        count * helper.tensor_dtype_to_np_dtype(kind).itemsize for kind, count in sizes)


def check_report(result, before, found):
    report = result.report
    rows = report["weights"]
    done = [row for row in rows if row["quantized"]]
    # Raising the opset may add vectors and scalars, never matrices.
    assert not set(float_constants(before)) - {row["name"] for row in rows}
    assert sorted(row["name"] for row in rows if len(row["dims"]) > 1) == float_constants(before, 2)
    assert sorted(row["name"] for row in done) == sorted(key[1] for key in found)
    assert all(row["reason"] for row in rows if not row["quantized"])
    for key, made in found.items():
        check_row(key, made, before, done)

    def total(of, field):
        return sum(row["bytes"][field] if field else row["elements"] for row in of)
    assert report["quantized"] == len(done)
    assert report["left"] == len(rows) - len(done)
    assert report["elements"] == total(rows, None)
    assert report["elements_quantized"] == total(done, None)
    assert report["weight_bytes"] == {w: total(rows, w) for w in ("before", "after")}
    assert report["bytes"] == {"before": input_bytes(result.model),
                               "after": file_bytes(result.output)}
    bits = 8 * total(done, "after") / total(done, None)
    assert abs(report["bits_per_weight"] - bits) < 1e-6


def check_row(key, made, before, rows):
    """One of the rows tells the truth about this weight. Names may occur twice."""
    tensor = oracle.constants(before)[key].tensor
    size = oracle.item_size(tensor)
    granularity = ("tensor" if made.axis is None else
                   f"block {made.block}, axis {made.axis}" if made.block else
                   f"channel, axis {made.axis}")
    truth = {"element_type": oracle.FLOAT_TYPE[tensor.data_type], "dims": list(tensor.dims),
             "elements": made.codes.size, "type": made.type, "granularity": granularity,
             "form": "DequantizeLinear",
             "bytes": {"before": made.codes.size * size, "after": made.bytes}}
    label, = [place.label for place in oracle.places(before) if place.path == key[0]]
    named = [row for row in rows if (row["name"], row["graph"]) == (key[1], label)]
    assert any(truth == {k: row[k] for k in truth} for row in named), (key, truth, named)
    snr = oracle.snr_db(oracle.array_of(tensor), made.unrounded())
    assert any(same_decibels(snr, np.inf if row["exact"] else row["snr_db"])
               for row in named), (key, snr, named)


def same_decibels(a, b):
    """Errors far below the precision of a float count as exact."""
    return a > 120 and b > 120 or abs(a - b) < 0.05
