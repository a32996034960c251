"""Models for every row of docs/upgrading.md: `rows()` gives (operator, version, case) triples.

A case is a function of a source opset. It gives trials: nodes with everything that they need
to run. Every source opset of a row is tried.
"""

import dataclasses
import itertools

import numpy as np
from onnx import helper

from upgrade_cases import (BOOL, DOUBLE, FLOAT, FLOAT16, INT32, INT64, constant, make, value)

ELEMENTS = {np.dtype(np.float32): FLOAT, np.dtype(np.float64): DOUBLE,
            np.dtype(np.float16): FLOAT16, np.dtype(np.int32): INT32,
            np.dtype(np.int64): INT64, np.dtype(np.bool_): BOOL}
SHAPES = [(), (5,), (3, 4), (2, 3, 4), (2, 3, 4, 5), (2, 1, 3, 2, 4)]


@dataclasses.dataclass
class Trial:
    """Nodes that read `feeds` and `initializers` and compute `outputs` (name: element type)."""

    nodes: list
    feeds: dict
    outputs: dict = dataclasses.field(default_factory=lambda: {"y": FLOAT})
    initializers: dict = dataclasses.field(default_factory=dict)
    expected: list = None  # where ONNX Runtime can't run the source
    tolerance: float = 0.0
    shaped: bool = True  # the rank of x can be known; otherwise x is floats
    targets: tuple = ()  # others than all

    def given(self):
        """The feeds of the model."""
        names = {"x": "x" if self.shaped else "raw_x"}
        return {names.get(name, name): array for name, array in self.feeds.items()}

    def model(self, opset):
        inputs = [value(name, ELEMENTS[array.dtype], list(array.shape))
                  for name, array in self.feeds.items()]
        nodes = self.nodes
        if not self.shaped:  # nibble does not follow a rank through Sum
            inputs[0].name = "raw_x"
            nodes = [helper.make_node("Sum", ["raw_x"], ["x"]), *nodes]
        outputs = [value(name, element) for name, element in self.outputs.items()]
        initializers = [constant(name, array) for name, array in self.initializers.items()]
        return make(nodes, opset, inputs, outputs, initializers)


ROWS = []


def row(op_type, version, first):
    """Registers a case for a row, from source opset `first` on."""
    def register(case):
        ROWS.append((op_type, version, first, case))
        return case
    return register


def node(op_type, inputs="x", outputs="y", **attributes):
    names = [n if n != "_" else "" for n in inputs.split()]
    return helper.make_node(op_type, names, outputs.split(), **attributes)


def random(opset, *shape, dtype=np.float32):
    state = np.random.RandomState(opset * 1000 + sum(shape) + len(shape))
    if np.dtype(dtype).kind == "i":
        return state.randint(-9, 9, shape).astype(dtype)
    return np.asarray(state.randn(*shape)).astype(dtype)


# ---- attributes that became inputs ----------------------------------------------------


@row("Slice", 10, 7)
def slices(opset):
    big = np.iinfo(np.int32).max
    for shape in SHAPES[1:]:
        x = random(opset, *shape)
        yield Trial([node("Slice", starts=[1], ends=[big])], {"x": x})
        yield Trial([node("Slice", starts=[0], ends=[-1], axes=[len(shape) - 1])], {"x": x})
    x = random(opset, 3, 4, 5, dtype=np.int64)
    yield Trial([node("Slice", starts=[1, -3], ends=[3, -1])], {"x": x}, {"y": INT64})
    yield Trial([node("Slice", starts=[1, 0], ends=[3, 2], axes=[2, 0])], {"x": x}, {"y": INT64})
    yield Trial([node("Slice", starts=[2], ends=[2], axes=[1])], {"x": x}, {"y": INT64})


@row("TopK", 10, 7)
def topk(opset):
    outputs = {"y": FLOAT, "i": INT64}
    for shape in SHAPES[1:]:
        x = random(opset, *shape)
        yield Trial([node("TopK", outputs="y i", k=2 if shape[-1] > 1 else 1)], {"x": x}, outputs)
    yield Trial([node("TopK", outputs="y i", k=2, axis=0)], {"x": random(opset, 3, 4)}, outputs)
    yield Trial([node("TopK", outputs="v i", k=1, axis=1)],
                {"x": random(opset, 3, 4)}, {"i": INT64})


@row("Squeeze", 13, 7)
def squeeze(opset):
    x = random(opset, 1, 3, 1, 4, 1)
    yield Trial([node("Squeeze")], {"x": x})
    for axes in ([0], [0, 2], [2, 0, 4]) + (([-1], [-3, 0]) if opset >= 11 else ()):
        yield Trial([node("Squeeze", axes=axes)], {"x": x})
    yield Trial([node("Squeeze", axes=[0])], {"x": random(opset, 1, dtype=np.float16)},
                {"y": FLOAT16})
    yield Trial([node("Squeeze")], {"x": random(opset)})


@row("Unsqueeze", 13, 7)
def unsqueeze(opset):
    for shape in SHAPES[:4]:
        x = random(opset, *shape)
        for axes in ([0], [0, 1], [1, 0]) + (([-1],) if opset >= 11 else ()):
            yield Trial([node("Unsqueeze", axes=axes)], {"x": x})
    yield Trial([node("Unsqueeze", axes=[1])], {"x": random(opset, 3, dtype=np.float16)},
                {"y": FLOAT16})


REDUCTIONS = ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
              "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSumSquare", "ReduceSum")


def reduction(op_type):
    tolerance = 1e-5 if op_type in ("ReduceLogSum", "ReduceLogSumExp") else 0.0

    def case(opset):
        for shape in SHAPES:
            x = np.abs(random(opset, *shape)) + 0.5
            axes = [None]
            if len(shape) > 0:
                axes += [[len(shape) - 1], list(range(len(shape)))]
            if len(shape) > 1:
                axes += [[0, 1]]
                if opset >= 11:
                    axes += [[-1], [-2, 0][:1 if len(shape) == 2 else 2]]
            for i, one in enumerate(axes):
                keep = {} if (i + opset) % 3 == 0 else {"keepdims": (i + opset) % 2}
                given = {} if one is None else {"axes": one}
                yield Trial([node(op_type, **given, **keep)], {"x": x}, tolerance=tolerance,
                            shaped=i % 2 == 0)
        yield Trial([node(op_type, axes=[0])], {"x": np.array([[1, 2], [3, 4]], np.int32)},
                    {"y": INT32})
    return case


for _name in REDUCTIONS:
    row(_name, 13 if _name == "ReduceSum" else 18, 7)(reduction(_name))


@row("Split", 13, 7)
def split_sizes(opset):
    x = random(opset, 6, 4)
    outputs = {"a": FLOAT, "b": FLOAT}
    yield Trial([node("Split", outputs="a b", split=[2, 4])], {"x": x}, outputs)
    yield Trial([node("Split", outputs="a b", split=[3, 1], axis=1)], {"x": x}, outputs)
    yield Trial([node("Split", outputs="a", split=[6])], {"x": x}, {"a": FLOAT})
    if opset >= 11:
        yield Trial([node("Split", outputs="a b", split=[0, 4], axis=-1)], {"x": x}, outputs)


@row("Split", 18, 7)
def split_evenly(opset):
    for shape in SHAPES[1:]:
        x = np.concatenate([random(opset, *shape)] * 3)
        yield Trial([node("Split", outputs="a b c")], {"x": x},
                    {"a": FLOAT, "b": FLOAT, "c": FLOAT})
    x = random(opset, 2, 4, dtype=np.float64)
    yield Trial([node("Split", outputs="a b", axis=1)], {"x": x}, {"a": DOUBLE, "b": DOUBLE})
    if opset >= 13:
        yield Trial([node("Split", "x s", outputs="a b", axis=-1)], {"x": x},
                    {"a": DOUBLE, "b": DOUBLE}, {"s": np.array([1, 3])})


@row("DFT", 20, 17)
def dft(opset):
    x = random(opset, 2, 5, 6, 1)
    z = random(opset, 2, 5, 6, 2)
    for axis in ({}, {"axis": 1}, {"axis": 2}, {"axis": -2}, {"axis": 0}):
        yield Trial([node("DFT", **axis)], {"x": x}, tolerance=1e-5)
        yield Trial([node("DFT", inverse=1, **axis)], {"x": z}, tolerance=1e-5)
        yield Trial([node("DFT", onesided=1, **axis)], {"x": x}, tolerance=1e-5)
        yield Trial([node("DFT", "x n", **axis)], {"x": z}, tolerance=1e-5,
                    initializers={"n": np.array(4)})


# ---- bounds ------------------------------------------------------------------------


@row("Clip", 11, 7)
def clip(opset):
    for shape in SHAPES:
        for bounds in ({}, {"min": -0.5}, {"max": 0.25}, {"min": -0.5, "max": 0.25}):
            yield Trial([node("Clip", **bounds)], {"x": random(opset, *shape)},
                        shaped="max" not in bounds)
    for dtype, element in ((np.float16, FLOAT16), (np.float64, DOUBLE)):
        x = np.array([-3, -0.5, 0, 0.1, 7, 60000], dtype)
        yield Trial([node("Clip", min=-0.3, max=6.0)], {"x": x}, {"y": element},
                    expected=[np.clip(x, dtype(np.float32(-0.3)), dtype(6))])
        yield Trial([node("Clip", min=0.0)], {"x": x}, {"y": element},
                    expected=[np.clip(x, 0, None)])
    x = np.array([-1e300, 1e300, 2.0])
    largest = float(np.finfo(np.float32).max)
    yield Trial([node("Clip")], {"x": x}, {"y": DOUBLE}, expected=[np.clip(x, -largest, largest)])
    x = np.array([-np.inf, np.inf, 2.0], np.float16)
    yield Trial([node("Clip", max=1.0)], {"x": x}, {"y": FLOAT16},
                expected=[np.array([-np.inf, 1, 1], np.float16)])


@row("Pad", 11, 7)
def pad(opset):
    for shape in SHAPES[1:]:
        pads = [1] + [0] * (len(shape) - 1) + [2] * len(shape)
        x = random(opset, *shape)
        yield Trial([node("Pad", pads=pads)], {"x": x})
        yield Trial([node("Pad", pads=pads, value=-2.5)], {"x": x}, shaped=False)
        yield Trial([node("Pad", pads=pads, mode="edge", value=1.0)], {"x": x})
        yield Trial([node("Pad", pads=[-1] + [0] * (2 * len(shape) - 1), value=1.0)], {"x": x})
    x = random(opset, 3, 4)
    yield Trial([node("Pad", pads=[1, 1, 2, 2], mode="reflect", value=3.0)], {"x": x})
    yield Trial([node("Pad", pads=[1, 1, 2, 2], mode="constant", value=0.0)], {"x": x})
    yield Trial([node("Pad", pads=[1, 1, 2, 2], value=-0.0)], {"x": x})
    yield Trial([node("Pad", pads=[1, 1, 2, 2], value=1.5)],
                {"x": x.astype(np.float64)}, {"y": DOUBLE})
    half = x.astype(np.float16)
    yield Trial([node("Pad", pads=[1, 1, 2, 2], value=0.1)], {"x": half}, {"y": FLOAT16},
                expected=[np.pad(half, ((1, 2), (1, 2)), constant_values=np.float16(0.1))])


# ---- softmax -----------------------------------------------------------------------


def softmax(op_type):
    def case(opset):
        for shape in SHAPES[1:] + [(2, 0, 3), (0, 2, 3), (2, 3, 0)]:
            x = random(opset, *shape)
            axes = [None] if len(shape) > 1 else []
            axes += [{"axis": k} for k in range(len(shape))]
            if opset >= 11:
                axes += [{"axis": k} for k in range(-len(shape), 0)]
            for i, axis in enumerate(axes):
                yield Trial([node(op_type, **(axis or {}))], {"x": x}, shaped=i % 2 == 0)
        y = random(opset, 2, 3, 4, dtype=np.float64)
        if op_type != "Hardmax":
            yield Trial([node(op_type, axis=1)], {"x": y}, {"y": DOUBLE})
    return case


for _name in ("Softmax", "LogSoftmax", "Hardmax"):
    row(_name, 13, 7)(softmax(_name))


# ---- resizing ----------------------------------------------------------------------


def scales_for(rank, *last):
    return np.array([1.0] * (rank - len(last)) + list(last), np.float32)


@row("Upsample", 9, 7)
def upsample_attribute(opset):
    for mode, rank in itertools.product(("nearest", "linear"), (4, 2, 3, 5)):
        if mode == "linear" and rank not in (2, 4):
            continue
        x = random(opset, *[1, 2, 3, 4, 3][-rank:])
        for scale in ((2, 2), (1, 3), (1.5, 2.7)):
            scales = [float(s) for s in scales_for(rank, *scale)]
            yield Trial([node("Upsample", mode=mode, scales=scales)], {"x": x})
    yield Trial([node("Upsample", scales=[1.0, 2.0])],
                {"x": random(opset, 2, 3, dtype=np.int32)}, {"y": INT32})


@row("Upsample", 10, 9)
def upsample_input(opset):
    x = random(opset, 1, 2, 3, 4)
    for mode, scale in itertools.product(("nearest", "linear"),
                                         ((2, 2), (1, 3), (1.5, 2.7), (1, 1))):
        scales = scales_for(4, *scale)
        yield Trial([node("Upsample", "x s", mode=mode)], {"x": x}, initializers={"s": scales})
        yield Trial([node("Upsample", "x s", mode=mode)], {"x": x, "s": scales})


@row("Resize", 11, 10)
def resize_plain(opset):
    x = random(opset, 1, 2, 6, 7)
    pairs = ((2, 2), (0.5, 0.5), (2, 0.5), (0.5, 3), (1.3, 2.7), (0.7, 0.3), (1, 1), (1, 0.6),
             (0.34, 1.9))
    for mode, scale in itertools.product(("nearest", "linear"), pairs):
        scales = scales_for(4, *scale)
        yield Trial([node("Resize", "x s", mode=mode)], {"x": x}, initializers={"s": scales})
        yield Trial([node("Resize", "x s", mode=mode)], {"x": x, "s": scales}, shaped=False)
    for shape in SHAPES[1:]:
        scales = np.array([1.5] + [0.6] * (len(shape) - 1), np.float32)
        yield Trial([node("Resize", "x s")], {"x": random(opset, *shape)},
                    initializers={"s": scales})
    made = helper.make_node("Constant", [], ["s"], value=constant("v", scales_for(4, 3, 2)))
    yield Trial([made, node("Resize", "x s")], {"x": x})
    yield Trial([node("Resize", "x s")], {"x": random(opset, 4, 6, dtype=np.int32)}, {"y": INT32},
                {"s": np.array([0.5, 2], np.float32)})


@row("Resize", 13, 11)
def resize_modes(opset):
    x = random(opset, 1, 1, 6, 7)
    none = np.array([], np.float32)
    sizes = [np.array([1, 1, 12, 14]), np.array([1, 1, 4, 3]), np.array([1, 1, 9, 5])]
    modes = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
    for size, mode in itertools.product(sizes, modes):
        for kind in ({"mode": "linear"}, {"mode": "cubic"}, {"mode": "nearest"},
                     {"nearest_mode": "ceil"}):
            yield Trial([node("Resize", "x r s n", coordinate_transformation_mode=mode, **kind)],
                        {"x": x}, initializers={"r": none, "s": none, "n": size})
    for rounding in ({"nearest_mode": "floor"}, {"nearest_mode": "round_prefer_floor"}, {}):
        for scale in ((2, 2), (0.5, 0.4), (1.5, 2.7), (3, 1), (0.3, 5)):
            trial = node("Resize", "x r s", mode="nearest",
                         coordinate_transformation_mode="tf_half_pixel_for_nn", **rounding)
            yield Trial([trial], {"x": x}, initializers={"r": none, "s": scales_for(4, *scale)})
        for size in sizes:
            trial = node("Resize", "x r s n", mode="nearest",
                         coordinate_transformation_mode="tf_half_pixel_for_nn", **rounding)
            yield Trial([trial], {"x": x}, initializers={"r": none, "s": none, "n": size})
    crop = node("Resize", "x r s n", mode="linear", extrapolation_value=3.0,
                coordinate_transformation_mode="tf_crop_and_resize")
    yield Trial([crop], {"x": x}, initializers={
        "r": np.array([0, 0, 0.2, 0.3, 1, 1, 0.8, 1.4], np.float32), "s": none, "n": sizes[1]})
    yield Trial([node("Resize", "x r s n")], {"x": x, "n": sizes[0]},
                initializers={"r": none, "s": none})


# ---- normalizations ------------------------------------------------------------------


def statistics(opset, *shape):
    names = ("s", "b", "m", "v")
    return {name: np.abs(random(opset + i, *shape)) + 0.1 for i, name in enumerate(names)}


@row("BatchNormalization", 9, 7)
def batch_spatial(opset):
    for shape in SHAPES[2:]:
        x = random(opset, *shape)
        given = {} if len(shape) % 2 else {"spatial": 1}
        yield Trial([node("BatchNormalization", "x s b m v", epsilon=1e-3, **given)], {"x": x},
                    initializers=statistics(opset, shape[1]))
        yield Trial([node("BatchNormalization", "x s b m v", spatial=0)], {"x": x},
                    initializers=statistics(opset, *shape[1:]), tolerance=1e-5)


@row("BatchNormalization", 14, 7)
def batch_training(opset):
    x = random(opset, 3, 2, 4)
    plain = node("BatchNormalization", "x s b m v", momentum=0.7)
    training = node("BatchNormalization", "x s b m v", "y rm rv sm sv", momentum=0.7)
    yield Trial([plain], {"x": x}, initializers=statistics(opset, 2))
    yield Trial([training], {"x": x}, initializers=statistics(opset, 2), tolerance=1e-5)


@row("GroupNormalization", 21, 18)
def group(opset):
    for dtype, element in ((np.float32, FLOAT), (np.float64, DOUBLE), (np.float16, FLOAT16)):
        for shape, groups in (((2, 4, 3), 2), ((1, 6, 2, 3), 3), ((2, 4, 2, 2), 4), ((2, 3, 5), 1)):
            weights = {name: random(opset + i, groups, dtype=dtype)
                       for i, name in enumerate("sb")}
            trial = node("GroupNormalization", "x s b", num_groups=groups, epsilon=1e-4)
            given = {"x": random(opset, *shape, dtype=dtype)}
            limit = {FLOAT: 1e-5, DOUBLE: 1e-12, FLOAT16: 1e-2}[element]
            yield Trial([trial], given, {"y": element}, weights, tolerance=limit)
            yield Trial([trial], {**given, **weights}, {"y": element}, tolerance=limit,
                        shaped=False)


@row("MeanVarianceNormalization", 13, 9)
def mean_variance(opset):
    yield Trial([node("MeanVarianceNormalization")], {"x": random(opset, 2, 3, 4, 5)},
                tolerance=1e-5)
    yield Trial([node("MeanVarianceNormalization", axes=[1, 2, 3])],
                {"x": random(opset, 2, 3, 4, 5)}, tolerance=1e-5)


def dropout(opset):
    for shape in SHAPES:
        x = random(opset, *shape)
        yield Trial([node("Dropout", ratio=0.3)], {"x": x})
        yield Trial([node("Dropout", outputs="y mask")], {"x": x})


row("Dropout", 10, 7)(dropout)
row("Dropout", 12, 7)(dropout)


# ---- names and defaults --------------------------------------------------------------


@row("Scatter", 11, 9)
def scatter(opset):
    x, u = random(opset, 3, 4), random(opset, 2, 4)
    indices = np.array([[0, 1, 2, 0], [2, 0, 1, 1]])
    yield Trial([node("Scatter", "x i u")], {"x": x, "u": u}, initializers={"i": indices})
    yield Trial([node("Scatter", "x i u", axis=1)], {"x": x, "u": u[:, :2], "i": indices[:, :2]})
    yield Trial([node("Scatter", "x i u", axis=-1)], {"x": x[0], "u": u[0, :2]},
                initializers={"i": np.array([1, 3], np.int32)})


@row("RoiAlign", 16, 10)
def roi_align(opset):
    given = {"x": random(opset, 1, 2, 8, 9),
             "r": np.array([[0, 0, 5, 6], [2, 1, 7, 7.5]], np.float32), "b": np.array([0, 0])}
    for attributes in ({}, {"output_height": 3, "output_width": 2, "sampling_ratio": 2},
                       {"mode": "max", "spatial_scale": 0.5, "output_height": 2}):
        yield Trial([node("RoiAlign", "x r b", **attributes)], given)


@row("GridSample", 20, 16)
def grid_sample(opset):
    given = {"x": random(opset, 1, 2, 5, 6), "g": np.tanh(random(opset, 1, 3, 4, 2)) * 1.2}
    for mode in ({}, {"mode": "bilinear"}, {"mode": "bicubic"}, {"mode": "nearest"}):
        for padding in ("zeros", "border"):
            yield Trial([node("GridSample", "x g", padding_mode=padding, **mode)], given)


# ---- types that went -----------------------------------------------------------------


@row("Erf", 13, 9)
def erf(opset):
    for dtype, element in ((np.int32, INT32), (np.int64, INT64)):
        x = np.array([[-2, -1, 0], [0, 1, 2]], dtype)
        yield Trial([node("Erf")], {"x": x}, {"y": element}, expected=[np.zeros_like(x)])
    yield Trial([node("Erf")], {"x": random(opset, 3, 4)})


@row("LayerNormalization", 17, 11)
def layer_normalization(opset):
    """ONNX Runtime's own operator, which does not load below opset 11."""
    for data, scale in itertools.product((np.float32, np.float16), repeat=2):
        x = random(opset, 2, 3, 8).astype(data)
        given = {"g": np.linspace(0.5, 2, 8).astype(scale), "b": np.linspace(-1, 1, 8).astype(scale)}
        for inputs in ("x g b", "x g"):
            yield Trial([node("LayerNormalization", inputs, axis=-1, epsilon=1e-3)], {"x": x},
                        {"y": ELEMENTS[np.dtype(scale)]}, given,
                        tolerance=1e-6 if data == scale == np.float32 else 2e-3)


def reduce_log(op_type):
    def case(opset):
        for dtype, element in ((np.int32, INT32), (np.int64, INT64)):
            x = np.array([[3, 7, 9], [1, 2, 20]], dtype)
            inputs, given = ("x a", {"a": np.array([1])}) if opset >= 18 else ("x", {})
            yield Trial([node(op_type, inputs)], {"x": x}, {"y": element}, given, tolerance=1e-5)
        if op_type == "ReduceLogSum":  # sums that float16 and float don't hold
            x = np.array([[70000, 50000], [2**30, 2**30 - 1]], np.int32)
            yield Trial([node(op_type, inputs)], {"x": x}, {"y": INT32}, given)
            x = np.array([[3269017, 0], [1, 0]], np.int32)  # just below e to the 15th
            yield Trial([node(op_type, inputs)], {"x": x}, {"y": INT32}, given)
        yield Trial([node(op_type)], {"x": np.abs(random(opset, 3, 4)) + 1}, tolerance=1e-5)
    return case


for _name in ("ReduceLogSum", "ReduceLogSumExp"):
    row(_name, 28, 13)(reduce_log(_name))


# ---- nothing to do -------------------------------------------------------------------


def recurrent(op_type, gates):
    def case(opset):
        x = random(opset, 4, 2, 3)
        given = {"w": random(opset, 1, gates * 5, 3), "r": random(opset, 1, gates * 5, 5)}
        yield Trial([node(op_type, "x w r", "y h", hidden_size=5)], {"x": x},
                    {"y": FLOAT, "h": FLOAT},
                    given)
        both = {name: np.concatenate([array, array]) for name, array in given.items()}
        yield Trial([node(op_type, "x w r", "y", hidden_size=5, direction="bidirectional")],
                    {"x": x}, {"y": FLOAT}, both)
    return case


for _name, _gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
    row(_name, 14, 7)(recurrent(_name, _gates))


@row("ConvTranspose", 11, 7)
def conv_transpose(opset):
    given = {"x": random(opset, 1, 1, 5, 6)}
    for automatic, kernel, stride in itertools.product(("SAME_UPPER", "SAME_LOWER", "VALID"),
                                                       (2, 3),
                                                       (1, 2, 3)):
        yield Trial([node("ConvTranspose", "x w", auto_pad=automatic, strides=[stride, stride])],
                    given, initializers={"w": random(opset, 1, 2, kernel, kernel)})
    yield Trial([node("ConvTranspose", "x w", output_shape=[10, 13], strides=[2, 2])], given,
                initializers={"w": random(opset, 1, 2, 3, 3)})


@row("OneHot", 11, 9)
def one_hot(opset):
    given = {"d": np.array(3), "v": np.array([0, 1], np.float32)}
    yield Trial([node("OneHot", "i d v")], {"i": np.array([0, -1, 2, -3, 5, -4])}, {"y": FLOAT},
                given)


@row("AveragePool", 19, 7)
@row("AveragePool", 22, 7)
def average_pool(opset):
    for size, kernel, stride, pads, include in itertools.product((6, 7), (2, 3), (2, 3),
                                                                 ([0] * 4, [1] * 4), (0, 1)):
        for ceil in ({}, {"ceil_mode": 1}) if opset >= 10 else ({},):
            yield Trial([node("AveragePool", kernel_shape=[kernel] * 2, strides=[stride] * 2,
                              pads=pads, count_include_pad=include, **ceil)],
                        {"x": random(opset, 1, 1, size, size)}, tolerance=1e-5,
                        targets=(21, 22))


@row("MaxPool", 22, 8)
def max_pool(opset):
    for size, kernel, stride, pads in itertools.product((6, 7), (2, 3), (2, 3), ([0] * 4, [1] * 4)):
        for ceil in ({}, {"ceil_mode": 1}) if opset >= 10 else ({},):
            yield Trial([node("MaxPool", outputs="y i", kernel_shape=[kernel] * 2,
                              strides=[stride] * 2, pads=pads, **ceil)],
                        {"x": random(opset, 1, 1, size, size)}, {"y": FLOAT, "i": INT64},
                        targets=(21, 22))


@row("DequantizeLinear", 13, 10)
def dequantize(opset):
    x = np.array([[1, 2, 3], [250, 0, 7]], np.uint8)
    for scale in (np.array(0.5, np.float32), np.array([0.5], np.float32)):
        zero = np.zeros(scale.shape, np.uint8) + np.uint8(3)
        back = node("DequantizeLinear", "q s z")
        yield Trial([node("QuantizeLinear", "x s z", "q"), back],
                    {"x": x.astype(np.float32)}, {"y": FLOAT}, {"s": scale, "z": zero})


row("QuantizeLinear", 13, 10)(dequantize)


@row("Mod", 28, 10)
def modulo(opset):
    given = {"x": random(opset, 7) * 5, "d": np.array([3, -2, 1.5, 4, -1, 2, 9], np.float32)}
    yield Trial([node("Mod", "x d", fmod=1)], given)
    given = {"x": random(opset, 4, dtype=np.int32), "d": np.array([3, -2, 5, -4], np.int32)}
    yield Trial([node("Mod", "x d")], given, {"y": INT32})


@row("Range", 27, 11)
def ranges(opset):  # pylint: disable=unused-argument
    yield Trial([node("Range", "a b c")], {"a": np.array(1, np.float32), "b": np.array(9,
                                                                                       np.float32),
                                           "c": np.array(0.7, np.float32)})


@row("Reshape", 14, 7)
def reshape(opset):
    yield Trial([node("Reshape", "x s")], {"x": random(opset, 2, 3, 4)},
                initializers={"s": np.array([0, -1])})


@row("Cast", 13, 9)
@row("Cast", 24, 9)
def cast(opset):
    x = np.array([-1.5, 0, 0.3, 2.7, -0.0], np.float32)
    yield Trial([node("Cast", to=INT32)], {"x": x}, {"y": INT32})
    yield Trial([node("Cast", to=FLOAT16)], {"x": x}, {"y": FLOAT16})
    if opset >= 19:
        wide = np.array([np.inf, -np.inf, 1e9, 3, np.nan], np.float32)
        for element in (17, 18, 19, 20):
            yield Trial([node("Cast", "x", "c", to=element), node("Cast", "c", "y", to=FLOAT)],
                        {"x": wide})


@row("Constant", 12, 7)
def constants(opset):
    made = helper.make_node("Constant", [], ["c"], value=constant("v", random(opset, 3)))
    yield Trial([made, node("Add", "x c")], {"x": random(opset, 2, 3)})
