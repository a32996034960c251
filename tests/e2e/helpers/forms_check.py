"""Checks that hold for a model in any form. Each weight is quantized as the documents say, and
the model answers as the float model does with weights that numpy rounded."""

import collections
import dataclasses
import math
import re

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

import forms_models
import oracle
import runtime

FORMS = {"run": [], "auto": ["--decode", "auto"], "load": ["--decode", "load"],
         "portable": ["--decode", "portable"], "nbits": ["--format", "nbits"],
         "generic": ["--target", "generic"]}
EVERYWHERE = {"load": "load", "portable": "portable", "generic": "DequantizeLinear"}
TOLERANCE = {"float": 1e-5, "double": 1e-5, "float16": 3e-3}
POWERS = (16, 32, 64, 128, 256)  # block sizes that ONNX Runtime knows


# ---- expectations ----------------------------------------------------------

def expected_group(scheme, lies, shape, form, kind):
    """(axis, block) of a weight."""
    channel, reduction, cut = lies
    if kind == "rows" and form == "nbits" and len(shape) == 2:
        cut = True  # GatherBlockQuantized knows only blocks
    axis, block = oracle.grouping(scheme, (channel, reduction, cut), shape, form == "nbits")
    if kind == "recurrent" and axis == 1 and not block and shape[0] > 1:
        return 2, shape[2]  # rows of several directions: a block each
    if kind == "rows" and axis is not None and not block and len(shape) > 2:
        return len(shape) - 1, shape[-1]  # rows of several matrices: a block each
    return axis, block


def expected_form(scheme, kind, form, channel, axis, block, shape, dtype):
    """The form of the table in docs/forms.md."""
    if form in EVERYWHERE:
        return EVERYWHERE[form]
    narrow = oracle.BITS[scheme.type] == 4
    operators = form == "nbits" and block in POWERS and dtype != "double"
    if kind == "rows" and operators and narrow and len(shape) == 2:
        return "GatherBlockQuantized"
    if kind == "rows" and axis is not None:
        even = not narrow or block % 2 == 0
        if not block or block >= shape[-1] or (shape[-1] % block == 0 and even):
            return "Gather"
    reduction = shape[axis] if axis is not None else 0
    if kind == "fused" and operators and fits_nbits(reduction, block, narrow, dtype):
        return "MatMulNBits"
    length = math.prod(shape) // shape[channel]
    if form == "auto" and not (kind == "fused" and is_fusable(axis, block)
                               and pays(length, block)):
        return "load"
    return "DequantizeLinear"


def fits_nbits(length, block, narrow, dtype):
    """True if codes padded to whole blocks take at most three quarters of the values."""
    codes = -(-length // block) * block / (1 + narrow)
    return codes <= length * (4 if dtype == "float" else 2) * 3 / 4


def pays(length, block):
    """True if ONNX Runtime's fused operator is as fast as one of floats."""
    padded = -(-length // block) * block if block else length
    return length >= 208 and padded <= 1.55 * length


def is_fusable(axis, block):
    return axis is not None and (not block or block in POWERS)


def group_text(axis, block):
    return ("tensor" if axis is None else
            f"block {block}, axis {axis}" if block else f"channel, axis {axis}")


def group_of(text):
    """The reverse of the report's text: (axis, block)."""
    axis, block = (re.search(f"{word} ([0-9]+)", text) for word in ("axis", "block"))
    return axis and int(axis[1]), int(block[1]) if block else 0


def rounded(constant, scheme, text):
    """The weight, rounded to nearest in the groups that the report names."""
    axis, block = group_of(text)
    codes, scales, zeros = oracle.rtn(oracle.array_of(constant.tensor), scheme, axis, block,
                                      oracle.scale_type(constant, scheme))
    if scheme.half and scales.dtype == np.float16 and not is_half(constant):
        scales = scales.astype(np.float32)
    return oracle.dequantize(codes, scales, zeros, axis, block)


def is_half(constant):
    return constant.tensor.data_type == onnx.TensorProto.FLOAT16


# ---- the float model with rounded weights ----------------------------------

def rival(model, result, scheme):
    """The float model with rounded weights. A weight with several forms has values for each of
    them: the gathered rows and the matrix."""
    values, split = {}, {}
    rows = [row for row in result.report["weights"] if row["quantized"]]
    for key, c in oracle.constants(model).items():
        mine = {(row["op_type"] == "Gather", row["granularity"], row["type"])
                for row in rows if row["name"] == key[1]}
        rounds = [(is_rows, rounded(c, of_type(scheme, kind), text))
                  for is_rows, text, kind in sorted(mine)]
        if len(rounds) == 2:
            split[key[1]] = rounds[1][1]
        if rounds:
            values[key] = rounds[0][1]
    copy = oracle.replaced(model, values)
    for name, value in split.items():
        give_rows(copy, name, value)
    return copy


def of_type(scheme, kind):
    """The scheme with another width, if the weight has one of its own."""
    if oracle.BITS[kind] == oracle.BITS[scheme.type]:
        return scheme
    return dataclasses.replace(scheme, type=kind)


def give_rows(model, name, value):
    """Points every Gather of the table to a copy with other values."""
    like, = [t for t in model.graph.initializer if t.name == name]
    value = value.astype(numpy_helper.to_array(like).dtype)
    rows = numpy_helper.from_array(value, f"{name} rows")
    model.graph.initializer.append(rows)
    for made in model.graph.node:
        if made.op_type == "Gather" and made.input[0] == name:
            made.input[0] = rows.name


# ---- running ---------------------------------------------------------------

def run_and_look(path, feeds):
    """(outputs of an optimized run, a count of each operator that is left)."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.optimized_model_filepath = str(path.with_name(f"{path.stem}.optimized.onnx"))
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "0")
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    outputs = [session.run(None, feed) for feed in feeds]
    return outputs, operators(onnx.load(options.optimized_model_filepath))


def operators(model):
    """Counts operators, including those in bodies and functions. Constants don't count."""
    return collections.Counter(node.op_type for place in oracle.places(model)
                               for node in place.owner.node if node.op_type != "Constant")


def is_standard(model):
    return all(opset.domain in ("", "ai.onnx", forms_models.DOMAIN)
               for opset in model.opset_import)


# ---- the check -------------------------------------------------------------

def check(model, feeds, scheme, form, quantize, options=(), dtype="float", expected=None,
          reference=False, like=None):
    """Quantizes the model and compares it with its rival. `expected` is {name: (group, form)}
    of all weights that must be quantized. `like` is the model that the rival is made of, if
    weights are not constants in the first one. Returns (result, operators that are left of it
    in ONNX Runtime)."""
    like = like or model
    result = quantize(model, *scheme.options(), *FORMS.get(form, ()), *options)
    after = result.load()
    check_rows(result, expected)
    # The checker knows no types of values that ONNX Runtime's own operators give to a function.
    known = is_standard(model) and (is_standard(after) or not after.functions)
    onnx.checker.check_model(str(result.output), full_check=known)
    path = result.output.with_name("rival.onnx")
    onnx.save(rival(like, result, scheme), path)
    wanted, float_operators = run_and_look(path, feeds)
    got, left = run_and_look(result.output, feeds)
    agree(wanted, got, TOLERANCE[dtype], "optimized")
    as_it_is = runtime.run_ort(result.output, feeds, False)
    agree(wanted, as_it_is, TOLERANCE[dtype], "as it is")
    if form in ("load", "portable"):
        assert left == float_operators, "something is left to compute on every run"
    if form == "generic":
        check_codes(like, after, result, scheme)
    if reference and is_standard(after):
        answer = runtime.run_reference(result.output, feeds)
        agree(wanted, answer, TOLERANCE[dtype], "reference")
    return result, left


def agree(wanted, got, tolerance, what):
    worst = runtime.worst(wanted, got)
    assert worst <= tolerance, f"{what}: outputs differ by {worst:.2g} of the largest"


def check_rows(result, expected):
    """The report says of every weight what the test expects."""
    if expected is None:
        return
    rows = {row["name"]: (row["granularity"], row["form"])
            for row in result.report["weights"] if row["quantized"]}
    assert rows == expected


def check_codes(before, after, result, scheme):
    """Checks the codes, scales and zero points of plain DequantizeLinear bit by bit."""
    known = oracle.constants(before)
    names = {row["name"]: row["granularity"] for row in result.report["weights"]
             if row["quantized"]}
    types = {row["name"]: row["type"] for row in result.report["weights"] if row["quantized"]}
    found = {key: made for key, made in oracle.decoders(after).items() if key in known}
    assert {key[1] for key in found} == set(names)
    for key, made in found.items():
        assert group_text(made.axis, made.block) == names[key[1]]
        codes, scales, zeros = oracle.rtn(
            oracle.array_of(known[key].tensor), of_type(scheme, types[key[1]]), made.axis,
            made.block, oracle.scale_type(known[key], scheme))
        assert np.array_equal(made.codes, codes)
        assert made.stored.tobytes() == scales.tobytes()
        assert made.zeros is None or np.array_equal(made.zeros, zeros)


def plan(model, operator, scheme, form, place, dtype="float"):
    """{name: (group, form)} for `check`, and True if the codes are fused."""
    expected, fused = {}, False
    shapes = {key[1]: tuple(c.tensor.dims) for key, c in oracle.constants(model).items()}
    for name, lies in forms_models.weights(model, operator).items():
        kind = operator.kind
        if kind != "recurrent" and place in forms_models.HANDED:
            kind = "plain"
        axis, block = expected_group(scheme, lies, shapes[name], form, kind)
        if math.prod(shapes[name]) < scheme.min_elements:
            continue
        own = expected_form(scheme, kind, form, lies[0], axis, block, shapes[name], dtype)
        if own == "MatMulNBits" and place == "function" and operator.others:
            own = "DequantizeLinear"  # a bias that is handed in may have any shape
        if (own == "DequantizeLinear" and kind == "fused" and dtype == "float16"
                and form != "generic" and place in forms_models.BODIES):
            own = "load"  # ONNX Runtime computes the fused form wrongly there
        expected[name] = group_text(axis, block), own
        in_place = own == "DequantizeLinear" and form != "generic"
        fused |= own == "MatMulNBits" or (
            in_place and kind == "fused" and is_fusable(axis, block))
    can_fuse = dtype != "double" and place not in forms_models.UNFUSED
    return expected, fused and can_fuse
