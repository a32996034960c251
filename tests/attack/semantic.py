"""Random changes of models whose weights int4 holds exactly: the quantized model must compute
what the float model does. Weights are -7, 0 or 7 times a power of two, whatever shares a
scale."""

import copy
import pathlib
import random
import subprocess

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FORMS = [[], ["--decode", "load"], ["--decode", "portable"], ["--decode", "auto"],
         ["--format", "nbits"], ["--target", "generic"], ["--target", "openvino"],
         ["--external-data"], ["--copy-below", "100000000"]]
GROUPS = [[], ["--per-channel"], ["--per-tensor"], ["--block-size", "32"],
          ["--block-size", "16"], ["--block-size", "20"]]
TYPES = [["--type", "int4"], ["--type", "int8"], ["--type", "int4", "--method", "rtn"],
         ["--type", "int4", "--scale-type", "float16"]]
TOLERANCE = 2e-3  # of the largest output
node = helper.make_node


class Builder:
    """A graph that grows. Values have two axes, rows and a width."""

    def __init__(self, rng):
        self.rng, self.values = rng, np.random.default_rng(rng.getrandbits(32))
        self.nodes, self.weights, self.count = [], [], 0
        self.width = self.first = rng.choice([32, 40, 64])
        self.value = "x"
        self.known = []  # (name, array) that can be used again
        self.half = False

    def name(self, stem="v"):
        self.count += 1
        odd = self.rng.choice(["", "", "", "/a.b:0", " b", "'", "é", "%s"])
        return f"{stem}{self.count}{odd}"

    def add(self, kind, inputs, **attributes):
        out = self.name()
        self.nodes.append(node(kind, inputs, [out], name=self.rng.choice(["", self.name("n")]),
                               **attributes))
        return out

    def constant(self, array):
        name = self.name("w")
        tensor = numpy_helper.from_array(array, name)
        if self.rng.random() < 0.25:
            self.nodes.append(node("Constant", [], [name], value=tensor))
        else:
            self.weights.append(tensor)
        return name

    def ternary(self, *shape):
        return (self.values.integers(-1, 2, shape) * 7 * 0.125).astype(np.float32)

    def weight(self, *shape):
        """The name of a value that is a weight of that shape, stored in some way."""
        old = [name for name, array in self.known if array.shape == shape]
        if old and self.rng.random() < 0.3:
            return self.rng.choice(old)
        array = self.ternary(*shape)
        name = getattr(self, self.rng.choice(WAYS))(array)
        self.known.append((name, array))
        return name

    # ---- ways to store a weight ---------------------------------------------------------

    def as_it_is(self, array):
        return self.constant(array)

    def behind_identity(self, array):
        return self.add("Identity", [self.constant(array)])

    def transposed(self, array):
        order = list(reversed(range(array.ndim)))
        return self.add("Transpose", [self.constant(np.ascontiguousarray(array.T))], perm=order)

    def reshaped(self, array):
        flat = self.constant(array.reshape(-1, array.shape[-1] // 2))
        return self.add("Reshape", [flat, self.constant(np.array(array.shape, np.int64))])

    def sliced(self, array):
        more = self.constant(np.concatenate([array, self.ternary(*array.shape)]))
        ends = [self.constant(np.array([v], np.int64)) for v in (0, array.shape[0], 0)]
        return self.add("Slice", [more, *ends])

    def joined(self, array):
        at = array.shape[0] // 2
        parts = [self.constant(array[:at]), self.constant(array[at:])]
        return self.add("Concat", parts, axis=0)

    def cast(self, array):
        return self.add("Cast", [self.constant(array.astype(np.float16))], to=TensorProto.FLOAT)

    def scaled(self, array):
        return self.add("Mul", [self.constant(array / 2), self.constant(np.float32(2))])

    def summed(self, array):
        return self.add("Add", [self.constant(array), self.constant(np.zeros_like(array))])

    # ---- layers -------------------------------------------------------------------------

    def matmul(self):
        width = self.rng.choice([32, 40, 48, 64])
        self.value = self.add("MatMul", [self.value, self.weight(self.width, width)])
        self.width = width

    def gemm(self):
        width, turned = self.rng.choice([32, 40, 64]), self.rng.random() < 0.6
        shape = (width, self.width) if turned else (self.width, width)
        inputs = [self.value, self.weight(*shape)]
        if self.rng.random() < 0.5:
            inputs.append(self.constant(self.ternary(width)))
        self.value = self.add("Gemm", inputs, transB=int(turned))
        self.width = width

    def conv(self):
        out = self.rng.choice([4, 8])
        shape = self.constant(np.array([-1, 4, self.width // 4], np.int64))
        value = self.add("Reshape", [self.value, shape])
        value = self.add("Conv", [value, self.weight(out, 4, 3)], pads=[1, 1])
        shape = self.constant(np.array([-1, out * (self.width // 4)], np.int64))
        self.value, self.width = self.add("Reshape", [value, shape]), out * (self.width // 4)

    def gather(self):
        rows = self.add("Gather", [self.weight(50, self.width), "i"])
        self.value = self.add("Add", [self.value, rows])

    def branch(self):
        """The next product is in both bodies of an If: with a weight of its own, or one of the
        graph around it."""
        width = self.rng.choice([32, 64])
        bodies = []
        for _ in range(2):
            inner = Builder(self.rng)
            inner.count = self.count + 1000
            weight = (self.weight(self.width, width) if self.rng.random() < 0.5
                      else inner.weight(self.width, width))
            out = inner.add("MatMul", [self.value, weight])
            self.count = inner.count
            bodies.append(helper.make_graph(
                inner.nodes, "body", [],
                [helper.make_tensor_value_info(out, TensorProto.FLOAT, None)], inner.weights))
        self.value = self.add("If", ["b"], then_branch=bodies[0], else_branch=bodies[1])
        self.width = width

    def small(self):
        """Scales the value down, so that numbers stay exact and small."""
        self.value = self.add("Clip", [self.value, self.constant(np.float32(-8)),
                                       self.constant(np.float32(8))])

    def model(self):
        for _ in range(self.rng.choice([1, 2, 3, 4])):
            getattr(self, self.rng.choice(LAYERS))()
            self.small()
        info = helper.make_tensor_value_info
        outputs = [info(self.value, TensorProto.FLOAT, None)]
        if self.known and self.rng.random() < 0.1:
            name, array = self.rng.choice(self.known)
            outputs.append(info(name, TensorProto.FLOAT, array.shape))
        inputs = [info("x", TensorProto.FLOAT, ["n", self.first]),
                  info("i", TensorProto.INT64, ["n"]), info("b", TensorProto.BOOL, [])]
        graph = helper.make_graph(self.nodes, "g", inputs, outputs, self.weights)
        made = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.rng.choice([11, 13, 17, 21]))])
        made.ir_version = self.rng.choice([7, 8, 10])
        return made



WAYS = ["as_it_is", "as_it_is", "as_it_is", "behind_identity", "transposed", "reshaped", "sliced",
        "joined", "cast", "scaled", "summed"]
LAYERS = ["matmul", "matmul", "gemm", "gemm", "conv", "gather", "branch"]


def real(rng, path):
    """A real model with such weights."""
    model = onnx.load(path)
    values = np.random.default_rng(rng.getrandbits(32))
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= 256:
            array = values.integers(-1, 2, tuple(tensor.dims)) * 7 * 2.0**-7
            tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float32), tensor.name))
    return model


def run(path, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    wanted = {i.name for i in session.get_inputs()}
    return session.run(None, {name: value for name, value in feeds.items() if name in wanted})


def feeds_of(model, values):
    """Whole numbers for every input."""
    made = {}
    weights = {w.name for w in model.graph.initializer}
    for value in model.graph.input:
        kind = value.type.tensor_type
        shape = [d.dim_value or 3 for d in kind.shape.dim]
        if value.name in weights:
            continue
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        made[value.name] = np.asarray(values.integers(0, 2, shape)).astype(dtype)
    return made


def compare(program, folder, model, options, values):
    """None, or what is wrong. "skip" if the runtime can't run the float model itself."""
    path, out = folder / "float.onnx", folder / "int4.onnx"
    onnx.save(model, path)
    feeds = feeds_of(model, values)
    try:
        before = run(path, feeds)
    except Exception as error:  # the mutation went too far
        return f"skip: {error}"
    words = [program, path, "-o", out, "-q", "--verify", "--min-elements", "64", "--threads", "1"]
    done = subprocess.run([*words, *options], capture_output=True, timeout=60)
    if done.returncode != 0:
        return f"exit {done.returncode}: {done.stderr.decode()[:300]}"
    try:
        after = run(out, feeds)
    except Exception as error:  # whatever the runtime may raise
        return f"the runtime refuses it: {str(error)[:300]}"
    for a, b in zip(before, after, strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        if a.shape != b.shape or a.size and np.abs(a - b).max() > TOLERANCE * np.abs(a).max() + 1e-6:
            return f"outputs differ by {np.abs(a - b).max() if a.shape == b.shape else a.shape}"
    return None


def attack(program, base, seed, models):
    """Yields (what, None or what is wrong)."""
    rng = random.Random(seed)
    folder = pathlib.Path(base) / f"semantic-{seed}"
    folder.mkdir(exist_ok=True)
    while True:
        if rng.random() < 0.05:
            model = real(rng, rng.choice(models))
        else:
            model = Builder(rng).model()
        options = [*rng.choice(FORMS), *rng.choice(GROUPS), *rng.choice(TYPES)]
        wrong = compare(program, folder, copy.deepcopy(model), options,
                        np.random.default_rng(rng.getrandbits(32)))
        if wrong and wrong.startswith("skip"):
            yield None, None
            continue
        if wrong:
            kept = folder / f"{rng.getrandbits(32):08x}.onnx"
            onnx.save(model, kept)
            wrong = f"{wrong}; kept as {kept}"
        yield " ".join(options), wrong
