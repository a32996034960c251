"""Does nibble's work again, slowly, from the documents: which weights of a model are quantized,
how their channels lie, rounding to nearest, decoding. It uses only numpy and onnx's message
classes, and asks nibble nothing."""

import dataclasses
import math

import ml_dtypes
import numpy as np
from onnx import AttributeProto, TensorProto, numpy_helper

BITS = {"int4": 4, "uint4": 4, "int8": 8, "uint8": 8}
RANGE = {"int4": (-8, 7), "uint4": (0, 15), "int8": (-128, 127), "uint8": (0, 255)}
CODE_TYPE = {TensorProto.INT4: "int4", TensorProto.UINT4: "uint4",
             TensorProto.INT8: "int8", TensorProto.UINT8: "uint8"}
FLOAT_TYPE = {TensorProto.FLOAT: "float", TensorProto.FLOAT16: "float16",
              TensorProto.BFLOAT16: "bfloat16", TensorProto.DOUBLE: "double"}
NUMPY_TYPE = {"float": np.float32, "float16": np.float16,
              "bfloat16": ml_dtypes.bfloat16, "double": np.float64}
LEAST_NORMAL = {np.float32: 2.0**-126, np.float16: 2.0**-14,
                ml_dtypes.bfloat16: 2.0**-126}


class Unfit(Exception):
    """A weight whose values can't be quantized."""


@dataclasses.dataclass
class Scheme:
    """The options of the command line, with round to nearest, which can be repeated bit for
    bit. `granularity` is "default", "channel", "tensor" or a block size."""
    type: str = "int4"
    granularity: object = "default"
    symmetric: bool = None
    min_elements: int = 1024
    freeze: bool = False
    half: bool = False  # float16 scales of float weights

    def __post_init__(self):
        if self.symmetric is None:
            self.symmetric = not self.type.startswith("u")

    @property
    def middle(self):
        """The zero point of symmetric codes."""
        return 0 if RANGE[self.type][0] else 2**(BITS[self.type] - 1)

    @property
    def has_zeros(self):
        return not self.symmetric or self.middle != 0

    def options(self):
        words = ["--method", "rtn", "--type", self.type,
                 "--min-elements", str(self.min_elements)]
        if self.granularity in ("channel", "tensor"):
            words.append(f"--per-{self.granularity}")
        elif self.granularity != "default":
            words += ["--block-size", str(self.granularity)]
        if self.symmetric != (not self.type.startswith("u")):
            words.append("--symmetric" if self.symmetric else "--asymmetric")
        words += ["--scale-type", "float16"] * self.half
        return words + ["--freeze"] * self.freeze

    def __str__(self):
        least = f"-min{self.min_elements}" * (self.min_elements != 1024)
        sign = "sym" if self.symmetric else "asym"
        return f"{self.type}-{sign}-{self.granularity}{least}{'-half' * self.half}"


# ---- groups ----------------------------------------------------------------

def blocks(x, axis, block):
    """x cut along an axis into [..., number of blocks, block, ...] and filled with zeros."""
    pad = [(0, 0)] * x.ndim
    pad[axis] = (0, -x.shape[axis] % block)
    x = np.pad(x, pad)
    return x.reshape(x.shape[:axis] + (-1, block) + x.shape[axis + 1:])


def largest(x, axis, block):
    """max(0, max x) of each group, in the shape of DequantizeLinear's scale."""
    if axis is None:
        return x.max(initial=0)
    if block:
        return blocks(x, axis, block).max(axis + 1, initial=0)
    return x.max(tuple(a for a in range(x.ndim) if a != axis), initial=0)


def spread(s, shape, axis, block):
    """The s of each element."""
    if axis is None:
        return s
    if block:
        return s.take(np.arange(shape[axis]) // block, axis)
    return s.reshape([-1 if a == axis else 1 for a in range(len(shape))])


# ---- round to nearest ------------------------------------------------------

def rtn(x, scheme, axis, block, scale_type=np.float32):
    """(codes, scales, zero points). Scales have their type, and the others are int32. axis None
    means one group. block 0 means a group for each index of the axis. x is float32. If scales
    are float16 and narrower than the weight (scheme.half), too small ones don't fit. Otherwise
    they are rounded up."""
    lo, hi = RANGE[scheme.type]
    if not np.isfinite(x).all():
        raise Unfit("NaN or infinity")
    top, bottom = largest(x, axis, block), largest(-x, axis, block)
    if scheme.symmetric:
        exact = np.maximum(top, bottom) / np.float32(hi - scheme.middle)
    else:
        exact = ((top.astype(np.float64) + bottom) / (hi - lo)).astype(np.float32)
    exact = np.where(exact < LEAST_NORMAL[np.float32], np.float32(1), exact)
    with np.errstate(over="ignore"):
        stored = exact.astype(scale_type)
    scales = stored.astype(np.float32)
    rough = (scales < LEAST_NORMAL[scale_type]) & (abs(scales - exact) > exact / 32)
    if rough.any() and not scheme.half:
        least = np.float32(2**-24)
        stored = np.where(rough, np.ceil(exact / least) * least, scales).astype(scale_type)
        scales, rough = stored.astype(np.float32), np.False_
    if rough.any() or np.isinf(scales).any():
        raise Unfit("scales do not fit their type")
    if scheme.symmetric:
        zeros = np.full(np.shape(scales), scheme.middle)
    else:
        zeros = np.rint(np.minimum(bottom / scales, np.float32(hi - lo))) + lo
    zeros = np.asarray(zeros, np.int32)
    steps = np.rint(x / spread(scales, x.shape, axis, block))
    codes = np.clip(steps + spread(zeros, x.shape, axis, block), lo, hi).astype(np.int32)
    if not np.isfinite(dequantize(codes, stored, zeros, axis, block).astype(np.float32)).all():
        raise Unfit("decoded values overflow")
    return codes, stored, zeros


def dequantize(codes, scales, zeros, axis, block):
    """DequantizeLinear. It computes in float32 and rounds once to the type of the scale."""
    scales = np.asarray(scales)
    steps = codes - spread(zeros, codes.shape, axis, block)
    s = spread(scales, codes.shape, axis, block).astype(np.float32)
    with np.errstate(over="ignore"):
        return (steps.astype(np.float32) * s).astype(scales.dtype)


def snr_db(x, decoded):
    x, decoded = x.astype(np.float64), decoded.astype(np.float64)
    noise = np.square(x - decoded).sum()
    return 10 * math.log10(np.square(x).sum() / noise) if noise else math.inf


# ---- tensors ---------------------------------------------------------------

def read_codes(tensor):
    """The integers of a quantized tensor, unpacked by hand. A byte holds two 4-bit codes, the
    first one in the low half."""
    name = CODE_TYPE[tensor.data_type]
    count = math.prod(tensor.dims)
    raw = np.frombuffer(tensor.raw_data, np.uint8)
    assert len(raw) == (count * BITS[name] + 7) // 8, tensor.name
    if BITS[name] == 4:
        if count % 2:
            assert raw[-1] >> 4 == 0, f"{tensor.name}: the last half byte is not zero"
        raw = np.stack([raw & 15, raw >> 4], 1).reshape(-1)[:count]
    codes = raw.astype(np.int32)
    if RANGE[name][0] < 0:
        codes -= (codes > RANGE[name][1]) * 2**BITS[name]
    return codes.reshape(tensor.dims)


def array_of(tensor):
    """The values of a float tensor, as float32."""
    with np.errstate(over="ignore"):
        return numpy_helper.to_array(tensor).astype(np.float32)


def attribute(node, name, default=None):
    for a in node.attribute:
        if a.name == name:
            return {AttributeProto.INT: a.i, AttributeProto.FLOAT: a.f,
                    AttributeProto.TENSOR: a.t}.get(a.type, a)
    return default


# ---- the graph -------------------------------------------------------------

@dataclasses.dataclass
class Constant:
    """A tensor with a name, the place that defines it, and its uses."""
    scope: tuple
    name: str
    tensor: TensorProto
    is_input: bool = False

    @property
    def key(self):
        return self.scope, self.name


@dataclasses.dataclass
class Place:
    """One graph or function, and the scopes around it."""
    path: tuple
    owner: object
    values: dict  # name -> Constant, or None where it is something else
    parent: object = None
    label: str = ""  # what reports call it

    def home(self, name):
        """The place that defines the name here, or None if nothing does."""
        place = self
        while place and name not in place.values:
            place = place.parent
        return place


def bodies(node):
    for a in node.attribute:
        for graph in [a.g] * a.HasField("g") + list(a.graphs):
            yield a.name, graph


def places(model):
    """Every graph and function of the model, outer ones first."""
    def visit(owner, path, parent, label):
        place = Place(path, owner, {}, parent, label)
        is_graph = hasattr(owner, "initializer")
        for tensor in owner.initializer if is_graph else ():
            place.values[tensor.name] = Constant(path, tensor.name, tensor)
        for value in owner.input:
            name = value.name if is_graph else value
            constant = place.values.setdefault(name, None)
            if constant:
                constant.is_input = True
        for node in owner.node:
            tensor = attribute(node, "value") if node.op_type == "Constant" else None
            for name in node.output:
                place.values[name] = tensor and Constant(path, name, tensor)
        yield place
        for node in owner.node:
            for name, graph in bodies(node):
                inner = f"{node.name or node.output[0]}.{name}"
                yield from visit(graph, path + ((node.output[0], name),), place,
                                 f"{label}/{inner}" if label else inner)

    yield from visit(model.graph, (), None, "")
    for f in model.functions:
        yield from visit(f, (("function", f.domain, f.name),), None, f"function {f.name}")


def constants(model):
    """All constants of the model by their key."""
    return {c.key: c for place in places(model) for c in place.values.values() if c}


def uses(model):
    """{key of a value: [(place, node, input)]}. The node is None if the value is an output of
    the place."""
    found = {}
    for place in places(model):
        here = [(name, (place, node, i)) for node in place.owner.node
                for i, name in enumerate(node.input)]
        here += [(getattr(output, "name", output), (place, None, 0))
                 for output in place.owner.output]
        for name, use in here:
            home = place.home(name)
            if home:
                found.setdefault((home.path, name), []).append(use)
    return found


def leaves(table, key, rank, swapped=False):
    """(node, input, True if transposed) of all final uses of a value, behind Identity and
    behind Transpose of a matrix. `table` is the result of uses()."""
    for place, node, i in table.get(key, ()):
        op = node.op_type if node and node.domain in ("", "ai.onnx") else None
        if op == "Identity" or op == "Transpose" and rank == 2:
            perm = [a.ints for a in node.attribute if a.name == "perm"] or [[1, 0]]
            swap = op == "Transpose" and list(perm[0]) == [1, 0]
            yield from leaves(table, (place.path, node.output[0]), rank, swapped ^ swap)
        else:
            yield node, i, swapped


def layout(node, index, shape):
    """(axis of output channels, reduction axis, True if channels are cut) of a weight, or None
    if the operator takes no weight there. "rows" instead of True: each row is a block."""
    rank = len(shape)
    op = node.op_type if node and node.domain in ("", "ai.onnx") else None
    if op == "MatMul" and rank >= 2:
        axes = rank - 1, rank - 2
        return (axes if index == 1 else axes[::-1]) + (True,)
    if op == "Gemm" and rank == 2 and index < 2:
        transposed = attribute(node, "transA" if index == 0 else "transB", 0)
        return (1, 0, True) if bool(transposed) != (index == 1) else (0, 1, True)
    if op == "Conv" and index == 1 and rank >= 3:
        return 0, 1, False
    if op == "Gather" and index == 0 and rank >= 2:
        return 0, rank - 1, False
    if op == "Slice" and index == 0 and rank == 2:
        return 0, 1, "rows"
    if op in ("LSTM", "GRU", "RNN") and index in (1, 2) and rank == 3:
        return 1, 2, False
    if op == "ConvTranspose" and index == 1 and rank >= 3:
        depthwise = attribute(node, "group", 1) == shape[0] > 1
        return (0, 1, False) if depthwise else (1, 0, False)
    return None


def lies(leaf, shape):
    """The layout of a weight in one of its leaves."""
    node, index, swapped = leaf
    found = layout(node, index, shape[::-1] if swapped else shape)
    return (1 - found[0], 1 - found[1], found[2]) if found and swapped else found


def grouping(scheme, place, shape, padded=False):
    """(axis, block size) for a weight with this layout. Padded: a block may be longer than the
    axis."""
    channel, reduction, cut = place
    length, block = shape[reduction], scheme.granularity
    if block == "tensor":
        return None, 0
    if cut == "rows" and (block in ("default", "channel") or length < min(block, 16)):
        return reduction, length
    if block == "default" and cut:
        whole = [power for power in (256, 128, 64, 32) if length % power == 0]
        size = (whole or [min(max(16, 1 << (length - 1).bit_length()), 256)])[0]
        return (reduction, size) if size <= length or padded else (channel, 0)
    if block in ("default", "channel") or length < min(block, 16):
        return channel, 0
    return reduction, block


def stored_bytes(scheme, shape, axis, block, scale_size):
    """(bytes of codes, of scales, of zero points)."""
    groups = 1 if axis is None else shape[axis]
    if block:
        groups = math.prod(shape) // shape[axis] * -(-shape[axis] // block)
    bits = BITS[scheme.type]
    zeros = (groups * bits + 7) // 8 if scheme.has_zeros else 0
    return (math.prod(shape) * bits + 7) // 8, groups * scale_size, zeros


def item_size(tensor):
    """The bytes of one float of a tensor."""
    return np.dtype(NUMPY_TYPE[FLOAT_TYPE[tensor.data_type]]).itemsize


def scale_type(constant, scheme):
    """The type of the scales as they are stored."""
    name = FLOAT_TYPE[constant.tensor.data_type]
    if name in ("float", "double"):
        name = "float16" if scheme.half else "float"
    return NUMPY_TYPE[name]


def expected(model, scheme):
    """{key: (constant, axis, block)} of the weights that must be quantized, as far as shapes
    and uses decide that."""
    chosen, table = {}, uses(model)
    for key, c in constants(model).items():
        shape = tuple(c.tensor.dims)
        users = list(leaves(table, key, len(shape)))
        if (c.tensor.data_type not in FLOAT_TYPE or len(shape) < 2 or not users
                or not math.prod(shape) >= max(scheme.min_elements, 1)
                or c.is_input and model.ir_version >= 4 and not scheme.freeze):
            continue
        layouts = [lies(user, shape) for user in users]
        if not all(layouts):
            continue
        axis, block = grouping(scheme, layouts[0], shape)
        if users[0][0].op_type in ("LSTM", "GRU", "RNN") and axis == 1 and shape[0] > 1:
            axis, block = 2, shape[2]  # rows of several directions
        size = np.dtype(scale_type(c, scheme)).itemsize
        before = math.prod(shape) * item_size(c.tensor)
        if sum(stored_bytes(scheme, shape, axis, block, size)) < before:
            chosen[key] = c, axis, block
    return chosen


# ---- decoders --------------------------------------------------------------

@dataclasses.dataclass
class Decoder:
    """A DequantizeLinear over constants, with or without a Cast to double behind it."""
    codes: np.ndarray
    scales: np.ndarray
    zeros: np.ndarray  # None: the node has no such input
    stored: np.ndarray  # the scales in front of a Cast
    axis: int
    block: int
    type: str
    bytes: int
    to_double: bool = False

    def decode(self, scales):
        zeros = np.zeros(scales.shape, np.int32) if self.zeros is None else self.zeros
        return dequantize(self.codes, scales, zeros, self.axis, self.block)

    def values(self):
        """The result of the DequantizeLinear."""
        return self.decode(self.scales).astype(np.float64 if self.to_double
                                               else self.scales.dtype)

    def unrounded(self):
        """The same in float32, if scales are float16 or bfloat16. Reports use these values."""
        return self.decode(self.scales.astype(np.float32))


def decoder(place, node):
    casts = {other.output[0]: other for other in place.owner.node if other.op_type == "Cast"}
    cast = casts.get(node.input[1])
    names = [cast.input[0] if cast and name == node.input[1] else name
             for name in node.input if name]
    tensors = [place.values.get(name) for name in names]
    assert all(tensors), f"{node.name}: inputs that are not constants beside it"
    tensors = [c.tensor for c in tensors]
    stored = scales = numpy_helper.to_array(tensors[1])
    if cast:
        assert attribute(cast, "to") == TensorProto.FLOAT
        scales = stored.astype(np.float32)
    zeros = read_codes(tensors[2]) if len(tensors) > 2 else None
    if zeros is not None:
        assert tensors[2].data_type == tensors[0].data_type, node.name
        assert zeros.shape == scales.shape, node.name
    return Decoder(read_codes(tensors[0]), scales, zeros, stored,
                   attribute(node, "axis", 1) if scales.ndim else None,
                   attribute(node, "block_size", 0), CODE_TYPE[tensors[0].data_type],
                   sum(len(t.raw_data) for t in tensors))


def decoders(model):
    """{key of the value: Decoder} of all decoded constants of the model."""
    found = {}
    for place in places(model):
        casts = {node.input[0]: node for node in place.owner.node
                 if node.op_type == "Cast" and attribute(node, "to") == TensorProto.DOUBLE}
        for node in place.owner.node:
            if node.op_type != "DequantizeLinear" or not place.values.get(node.input[0]):
                continue
            made, name = decoder(place, node), node.output[0]
            if name in casts:
                made.to_double, name = True, casts[name].output[0]
            found[place.path, name] = made
    return found


def replaced(model, values):
    """A copy of the float model in which the constants with these keys have these values,
    converted to their own type."""
    copy = type(model)()
    copy.CopyFrom(model)
    known = constants(copy)
    for key, value in values.items():
        tensor = known[key].tensor
        like = NUMPY_TYPE[FLOAT_TYPE[tensor.data_type]]
        new = numpy_helper.from_array(np.ascontiguousarray(value.astype(like)), tensor.name)
        assert new.dims == tensor.dims
        tensor.CopyFrom(new)
    return copy
