"""Weights that reach their operator through Transpose, Reshape, Slice and similar operators on
constants. They are folded into one initializer if nothing else uses the chain. The tests use
the spelling of every opset."""

import json
import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import build
import forms_check
import oracle
import runtime
from build import info
from forms_check import check
from forms_models import node, noise
from oracle import Scheme

K, N = 48, 40  # of the weight W, at the end of each chain
OPSETS = [9, 10, 11, 12, 13, 17, 18, 21]
SCHEME = Scheme("int4", min_elements=256)


# ---- operators, as each opset spells them --------------------------------------

class Chain:
    """Collects nodes and constants."""

    def __init__(self, opset=17, as_nodes=False):
        self.opset, self.as_nodes = opset, as_nodes
        self.nodes, self.tensors = [], []

    def const(self, array, name):
        tensor = numpy_helper.from_array(np.require(array, requirements="C"), name)
        if self.as_nodes:
            self.nodes.append(build.constant(tensor))
        else:
            self.tensors.append(tensor)
        return name

    def weight(self, *shape, name="P", dtype=np.float32):
        seed = len(self.nodes) + len(self.tensors)
        return self.const(noise(shape, seed).astype(dtype), name)

    def ints(self, values):
        return self.const(np.array(values, np.int64),
                          f"ints {len(self.nodes)} {len(self.tensors)}")

    def add(self, op_type, inputs, y="W", **attributes):
        ys = [y] if isinstance(y, str) else y
        self.nodes.append(helper.make_node(op_type, inputs, ys, **attributes))
        return y

    def listed(self, since, op_type, x, y, **lists):
        """Lists that are attributes before opset `since` and inputs from it on."""
        lists = {name: values for name, values in lists.items() if values is not None}
        if self.opset < since:
            return self.add(op_type, [x], y, **lists)
        return self.add(op_type, [x, *[self.ints(values) for values in lists.values()]], y)

    def squeeze(self, x, axes, y="W"):
        return self.listed(13, "Squeeze", x, y, axes=axes)

    def unsqueeze(self, x, axes, y="W"):
        return self.listed(13, "Unsqueeze", x, y, axes=axes)

    def slice(self, x, starts, ends, axes, y="W", steps=None):
        return self.listed(10, "Slice", x, y, starts=starts, ends=ends, axes=axes,
                           steps=steps)

    def split(self, x, axis, sizes, ys):
        if self.opset < 13:
            extra = {} if sizes is None else {"split": sizes}
            return self.add("Split", [x], ys, axis=axis, **extra)
        if sizes is not None:
            return self.add("Split", [x, self.ints(sizes)], ys, axis=axis)
        even = {"num_outputs": len(ys)} if self.opset >= 18 else {}
        return self.add("Split", [x], ys, axis=axis, **even)

    def reshape(self, x, shape, y="W"):
        return self.add("Reshape", [x, self.ints(shape)], y)


# ---- chains ------------------------------------------------------------------------

def long(c):
    """A chain with a bit of everything."""
    a = c.slice(c.weight(30, 2 * N), [2, N], [26, 2 * N], [0, 1], "a")
    b = c.add("Transpose", [c.weight(N, 24, name="Q")], "b", perm=[1, 0])
    both = [c.unsqueeze(a, [0], "a3"), c.unsqueeze(b, [0], "b3")]
    both = c.add("Concat", both, "ab", axis=0)
    wide = c.add("Identity", [c.reshape(both, [1, K, -1], "wide")], "same")
    c.squeeze(wide, [0])


def weight_norm(c):
    """v * (g / ||v||), as PyTorch writes it."""
    v, g = c.weight(K, N), c.const(noise((K, 1), 9).astype(np.float32), "g")
    squares = c.add("Pow", [v, c.const(np.float32(2), "two")], "squares")
    sums = c.add("MatMul", [squares, c.const(np.ones((N, 1), np.float32), "ones")], "sums")
    norms = c.add("Sqrt", [sums], "norms")
    c.add("Mul", [v, c.add("Div", [g, norms], "ratio")])


def low_rank(c):
    """W + a B A"""
    product = c.add("MatMul", [c.weight(K, 4, name="B"), c.weight(4, N, name="A")], "BA")
    scaled = c.add("Mul", [c.const(np.float32(2), "a"), product], "aBA")
    c.add("Add", [c.weight(K, N), scaled])


def half(c):
    """Weights that are used in float16 and then widened again."""
    c.add("Cast", [c.add("Cast", [c.weight(K, N)], "h", to=TensorProto.FLOAT16)],
          to=TensorProto.FLOAT)


FOLDED = {
    "identity": lambda c: c.add("Identity", [c.weight(K, N)]),
    "identity-twice": lambda c: c.add("Identity", [
        c.add("Identity", [c.weight(K, N)], "a")]),
    "identity-last": lambda c: c.add("Identity", [
        c.reshape(c.weight(K * N), [K, N], "a")]),
    "identity-transpose": lambda c: c.add("Identity", [
        c.add("Transpose", [c.weight(N, K)], "a", perm=[1, 0])]),
    "transpose": lambda c: c.add("Transpose", [c.weight(N, K)], perm=[1, 0]),
    "transpose-twice": lambda c: c.add("Transpose", [
        c.add("Transpose", [c.weight(K, N)], "a")], perm=[1, 0]),
    "transpose-3": lambda c: c.reshape(
        c.add("Transpose", [c.weight(4, N, 12)], "a", perm=[0, 2, 1]), [K, N]),
    "transpose-default": lambda c: c.reshape(
        c.add("Transpose", [c.weight(N, 12, 4)], "a"), [K, N]),
    "reshape": lambda c: c.reshape(c.weight(K * N), [K, N]),
    "reshape-open": lambda c: c.reshape(c.weight(4, 12, N), [-1, N]),
    "reshape-zero": lambda c: c.reshape(c.weight(K, 2, 20), [0, -1]),
    "squeeze": lambda c: c.squeeze(c.weight(1, K, 1, N), [0, 2]),
    "squeeze-all": lambda c: c.squeeze(c.weight(1, K, 1, N), None),
    "unsqueeze": lambda c: c.squeeze(c.unsqueeze(c.weight(K, N), [0, 3], "a"), [0, 3]),
    "slice": lambda c: c.slice(c.weight(60, 50), [5, 3], [53, 43], [0, 1]),
    "slice-no-axes": lambda c: c.slice(c.weight(60, 50), [5, 3], [53, 43], None),
    "slice-far": lambda c: c.slice(c.weight(60, 50), [12, -40], [2**31 - 1, 2**40], [0, 1]),
    "split": lambda c: c.split(c.weight(K, 100), 1, [40, 60], ["W", "unused"]),
    "split-second": lambda c: c.split(c.weight(100, N), 0, [52, 48], ["unused", "W"]),
    "split-even": lambda c: c.split(c.weight(3 * K, N), 0, None, ["a", "W", "b"]),
    "concat-0": lambda c: c.add("Concat", [c.weight(20, N), c.weight(28, N, name="Q")],
                                axis=0),
    "concat-1": lambda c: c.add("Concat", [c.weight(K, 1), c.weight(K, 38, name="Q"),
                                           c.weight(K, 1, name="R")], axis=1),
    "concat-same": lambda c: c.add("Concat", [c.weight(24, N), "P"], axis=0),
    "cast-half": lambda c: c.add("Cast", [c.weight(K, N, dtype=np.float16)], to=1),
    "cast-double": lambda c: c.add("Cast", [c.weight(K, N, dtype=np.float64)], to=1),
    "cast-transpose": lambda c: c.add("Transpose", [
        c.add("Cast", [c.weight(N, K, dtype=np.float16)], "a", to=1)], perm=[1, 0]),
    "long": long,
    "weight-norm": weight_norm,
    "low-rank": low_rank,
    "half": half,
    "scaled": lambda c: c.add("Mul", [c.weight(K, N), c.const(np.float32(0.5), "a")]),
    "expert": lambda c: c.add("Gather", [
        c.weight(3, K, N), c.const(np.array(2), "index")], axis=0),
    "backwards-index": lambda c: c.squeeze(c.add("Gather", [
        c.weight(K, 3, N), c.const(np.array([-1]), "index")], "a", axis=1), [1]),
}
NEWER = {"slice-steps": (10, lambda c: c.slice(c.weight(96, N), [1], [96], [0], steps=[2])),
         "unsqueeze-negative": (11, lambda c: c.squeeze(
             c.unsqueeze(c.weight(K, N), [-1], "a"), [-1])),
         "slice-backwards": (10, lambda c: c.slice(
             c.weight(K, N), [-1], [-K - 1], [0], steps=[-1])),
         "slice-axes-negative": (10, lambda c: c.slice(c.weight(K, 50), [-45], [-5], [-1]))}
# What becomes of these is named after the source, and what the MatMul takes in `plain`:
# consumers of an Identity are pointed to its source, and codes are stored transposed.
SOURCE_STAYS = {"identity": "P", "identity-twice": "P", "transpose": "T"}
CASES = [(name, opset) for name in FOLDED for opset in OPSETS]
CASES += [(name, opset) for name, (since, _) in NEWER.items() for opset in OPSETS
          if opset >= since]


def build_chain(name, opset, as_nodes=False):
    chain = Chain(opset, as_nodes)
    (FOLDED.get(name) or NEWER[name][1])(chain)
    return chain


def matmul(chain=None, more=(), tensors=(), outputs=(), value=None, inputs=(), w="W"):
    """Y = X W, where W is the value at the end of a chain or that value as an initializer."""
    opset = chain.opset if chain else 17
    constants = [*(chain.tensors if chain else [build.tensor(value)]), *tensors]
    nodes = [*(chain.nodes if chain else []), node("MatMul", ["X", w], "Y"), *more]
    ir = helper.find_min_ir_version_for([helper.make_opsetid("", opset)])
    return build.model(nodes, [info("X", shape=[3, K]), *inputs],
                       [info("Y", rank=2), *outputs], constants, opset, ir)


def value_of(chain, name="W"):
    """The value that the nodes compute from the constants, without nibble."""
    model = build.model(chain.nodes, [], [info(name, rank=2)], chain.tensors, chain.opset)
    return runtime.run_ort(model.SerializeToString(), [{}], False)[0][0]


FEEDS = [{"X": np.random.default_rng(5).standard_normal((3, K)).astype(np.float32)}]


def is_used(model):
    """True if every constant of the model is used."""
    return oracle.constants(model).keys() <= oracle.uses(model).keys()


@pytest.mark.parametrize("form", ["run", "portable"])
@pytest.mark.parametrize("name, opset", CASES)
def test_folded(name, opset, form, quantize):
    chain = build_chain(name, opset, as_nodes=opset % 2 == 0)
    plain = matmul(value=value_of(chain))
    if name in SOURCE_STAYS:
        source = [t for t in build.every_tensor(matmul(chain)) if t.name == "P"]
        plain = matmul(None, [], source, value=np.zeros((K, N)), w=SOURCE_STAYS[name])
        plain.graph.node.insert(0, node("Transpose", ["P"], "T"))
    result, left = check(matmul(chain), FEEDS, SCHEME, form, quantize, like=plain)
    after = result.load()
    rows = [row for row in result.report["weights"] if len(row["dims"]) > 1]
    assert [row["quantized"] for row in rows] == [True]
    assert not left["DequantizeLinear"] and left["MatMulNBits"] == (form == "run")
    assert is_used(after)
    if form == "run":
        assert forms_check.operators(after) == {"DequantizeLinear": 1, "MatMul": 1}
    assert len(after.SerializeToString()) < 4 * K * N


def test_folded_for_lstm(quantize):
    """The gates of a recurrent layer are cut and put into another order, as exporters write it."""
    hidden, inputs = 24, 20
    chain = Chain(11)
    gates = {}
    for name, width in ("W", inputs), ("R", hidden):
        packed = chain.weight(4 * hidden, width, name=f"{name} packed")
        parts = [chain.slice(packed, [a * hidden], [(a + 1) * hidden], [0], f"{name}{a}")
                 for a in (0, 3, 1, 2)]
        chain.unsqueeze(chain.add("Concat", parts, f"{name} all", axis=0), [0], name)
        gates[name] = value_of(chain, name)
    lstm = node("LSTM", ["X", "W", "R"], "Y", hidden_size=hidden)

    def model(nodes, tensors):
        return build.model([*nodes, lstm], [info("X", shape=[3, 2, inputs])],
                           [info("Y", rank=4)], tensors, 11, ir=6)
    plain = model([], [build.tensor(value, name) for name, value in gates.items()])
    feeds = [{"X": np.ones((3, 2, inputs), np.float32)}]
    for form in ("run", "load", "portable"):
        result, _ = check(model(chain.nodes, chain.tensors), feeds, SCHEME, form, quantize,
                          like=plain)
        assert result.names == {"W", "R"}
        assert not {"Slice", "Unsqueeze"} & {n.op_type for n in result.load().graph.node
                                             if form == "run"}


def test_parts_of_one_tensor(quantize):
    """Two weights are parts of one tensor. The tensor goes when both are folded."""
    chain = Chain(13)
    chain.split(chain.weight(K, 100), 1, [40, 60], ["W", "V"])
    second = [node("MatMul", ["X", "V"], "Z")]
    output = [info("Z", rank=2)]
    plain = matmul(None, second, [build.tensor(value_of(chain, "V"), "V")], output,
                   value_of(chain))
    result, left = check(matmul(chain, second, (), output), FEEDS, SCHEME, "run", quantize,
                         like=plain)
    assert result.names == {"W", "V"} and left["MatMulNBits"] == 2
    assert is_used(result.load())
    assert not [t for t in result.load().graph.initializer if t.name == "P"]


def test_constants_outside_of_a_body(quantize):
    """The chain is in a branch, and its constants are outside."""
    chain = build_chain("long", 13)
    value = value_of(chain)
    cond = info("cond", TensorProto.BOOL, [])

    def model(nodes, tensors):
        branches = [helper.make_graph(
            [*nodes, node("MatMul", ["X", "W"], "T")], "then", [], [info("T", rank=2)]),
            helper.make_graph([node("MatMul", ["X", "other"], "E")], "else", [],
                              [info("E", rank=2)])]
        choose = helper.make_node("If", ["cond"], ["Y"], then_branch=branches[0],
                                  else_branch=branches[1])
        other = build.tensor(noise((K, N), 9), "other")
        return build.model([choose], [info("X", shape=[3, K]), cond], [info("Y", rank=2)],
                           [*tensors, other], 13, ir=7)
    feeds = [FEEDS[0] | {"cond": np.array(c)} for c in (True, False)]
    result, _ = check(model(chain.nodes, chain.tensors), feeds, SCHEME, "portable", quantize,
                      like=model([], [build.tensor(value)]))
    assert result.names == {"W", "other"}
    assert is_used(result.load())


# ---- what stays ---------------------------------------------------------------------

def kept(chain, name="P", more=(), outputs=(), inputs=(), tensors=(), extra=None):
    return {"model": matmul(chain, more, tensors, outputs, inputs=inputs), "name": name,
            "extra": extra or {}}


def chained(name, opset=13):
    return build_chain(name, opset)


def cut_at_run_time():
    chain = Chain(13)
    chain.add("Slice", [chain.weight(60, N), "from", chain.ints([60]), chain.ints([0])])
    return kept(chain, inputs=[info("from", TensorProto.INT64, [1])],
                extra={"from": np.array([60 - K])})


def overridable():
    chain = chained("slice")
    return kept(chain, inputs=[info("P", shape=[60, 50])])


def no_weight():
    chain = Chain(13)
    chain.reshape(chain.weight(K * N), [K, N])
    model = matmul(chain)
    model.graph.node[-1].CopyFrom(node("Mul", ["X2", "W"], "Y"))
    model.graph.input[0].CopyFrom(info("X2", shape=[K, N]))
    return {"model": model, "name": "P", "extra": {"X2": np.ones((K, N), np.float32)}}


KEPT = {
    "used in the middle": lambda: kept(chained("transpose-3"),
                                       more=[node("Neg", ["a"], "Z")],
                                       outputs=[info("Z", rank=3)]),
    "middle is an output": lambda: kept(chained("transpose-3"),
                                        outputs=[info("a", rank=3)]),
    "end is an output": lambda: kept(chained("slice"), outputs=[info("W", rank=2)]),
    "source is an output": lambda: kept(chained("slice"),
                                        outputs=[info("P", shape=[60, 50])]),
    "other part used": lambda: kept(chained("split"), more=[node("Neg", ["unused"], "Z")],
                                    outputs=[info("Z", rank=2)]),
    "overridable": overridable,
    "no weight": no_weight,
}

def beside(name):
    """Another use of a value."""
    return [node("Neg", [name], "n"), node("ReduceMax", ["X"], "most", keepdims=0),
            node("Mul", ["n", "most"], "Z")]


# The source of the chain is a table that is cut at run time.
CUT = {
    "used beside": lambda: kept(chained("slice"), more=beside("P"), outputs=[info("Z", rank=2)]),
    "end used twice": lambda: kept(chained("slice"), more=beside("W"),
                                   outputs=[info("Z", rank=2)]),
    "cut at run time": cut_at_run_time,
}


@pytest.mark.parametrize("form", ["run", "portable"])
@pytest.mark.parametrize("case", KEPT)
def test_kept(case, form, quantize):
    """W stays float with its whole chain. V beside it is quantized."""
    made = KEPT[case]()
    model, name = made["model"], made["name"]
    before = {t.name: t for t in model.graph.initializer}
    result = quantize_beside(made, form, quantize)
    assert result.names == {"V"} and name in result.reasons
    after = result.load()
    assert {t.name: t for t in after.graph.initializer}[name] == before[name]
    if form == "portable":  # the others raise the opset, which rewrites nodes
        assert all(n in list(after.graph.node) for n in model.graph.node)


@pytest.mark.parametrize("form", ["run", "portable"])
@pytest.mark.parametrize("case", CUT)
def test_cut(case, form, quantize):
    assert quantize_beside(CUT[case](), form, quantize).names == {"V", "P"}


def quantize_beside(made, form, quantize):
    """Adds a weight V, quantizes, and checks the outputs."""
    model = made["model"]
    model.graph.initializer.append(build.tensor(noise((K, N), 8), "V"))
    model.graph.input.append(info("XV", shape=[3, K]))
    model.graph.node.append(node("MatMul", ["XV", "V"], "YV"))
    model.graph.output.append(info("YV", rank=2))
    wanted = {i.name for i in model.graph.input}
    feeds = {"X": FEEDS[0]["X"], "XV": FEEDS[0]["X"]} | made["extra"]
    feeds = [{key: x for key, x in feeds.items() if key in wanted}]
    result, _ = check(model, feeds, SCHEME, form, quantize)
    return result


@pytest.mark.parametrize("least, done", [(K * N, {"W"}), (K * N + 1, set())])
def test_small_results_stay(least, done, run, tmp_path):
    """The size of the result decides, not the size of the input."""
    model = matmul(chained("split"))
    onnx.save(model, tmp_path / "in.onnx")
    assert math.prod(model.graph.initializer[0].dims) > K * N
    finished = run("quantize", tmp_path / "in.onnx", "-o", tmp_path / "out.onnx", "-q",
                   "--min-elements", least)
    assert finished.returncode == 0
    before, after = (tmp_path / "in.onnx").read_bytes(), (tmp_path / "out.onnx").read_bytes()
    assert (before != after) == bool(done)


# ---- codes that QuantizeLinear makes ------------------------------------------------

@pytest.mark.parametrize("zero", [np.int8, np.uint8])
def test_codes_of_quantize_linear(zero, quantize, run):
    """They are stored as they are: nothing is rounded twice. ONNX Runtime is the oracle."""
    chain = Chain(13)
    scale = chain.const((np.abs(noise((N,), 3)) / 40).astype(np.float32), "scale")
    zeros = chain.const(np.full(N, 7, zero), "zeros")
    chain.add("QuantizeLinear", [chain.weight(K, N), scale, zeros], "codes", axis=1)
    chain.add("DequantizeLinear", ["codes", scale, zeros], axis=1)
    model = matmul(chain)
    result = quantize(model, *SCHEME.options())
    codes, = [t for t in result.load().graph.initializer if t.name == "codes"]
    wanted = build.model(chain.nodes, [], [info("codes", helper.np_dtype_to_tensor_dtype(
        np.dtype(zero)), rank=2)], chain.tensors, 13)
    wanted = runtime.run_ort(wanted.SerializeToString(), [{}], False)[0][0]
    assert np.array_equal(numpy_helper.to_array(codes), wanted)
    assert [n.op_type for n in result.load().graph.node] == ["DequantizeLinear", "MatMul"]
    assert result.report["codes_stored"] == 1 and result.report["quantized"] == 0
    assert result.output.stat().st_size < result.model.stat().st_size / 2
    before, after = (runtime.run_ort(path, FEEDS, False) for path in (result.model, result.output))
    assert np.array_equal(before[0][0], after[0][0])
    strict = run("quantize", result.model, "-o", result.output, "--strict", *SCHEME.options()[-2:])
    assert strict.returncode == 0 and b"unchanged" not in strict.stdout + strict.stderr


def test_codes_that_others_need(quantize):
    """The float weight has another use, so its codes would only come on top."""
    chain = Chain(13)
    scale = chain.const(np.float32(0.1), "scale")
    chain.add("QuantizeLinear", [chain.weight(K, N), scale], "codes")
    chain.add("DequantizeLinear", ["codes", scale])
    model = matmul(chain, [node("Neg", ["P"], "Z")], (), [info("Z", rank=2)])
    result = quantize(model, *SCHEME.options())
    assert result.report["codes_stored"] == 0
    assert result.output.read_bytes() == result.model.read_bytes()


# ---- weights that stay float --------------------------------------------------------

def overlapping(wild=False):
    """W and W2 have most rows of P in common. V stands beside them. wild: some values of
    P are so large that no type is good enough for the others."""
    chain = Chain(13)
    chain.weight(K + 8, N)
    if wild:
        values = numpy_helper.to_array(chain.tensors[0]) * np.where(np.arange(N) % 9, 1, 1e6)
        chain.tensors[0] = build.tensor(values.astype("f4"), "P")
    chain.slice("P", [0], [K], [0])
    chain.slice("P", [8], [K + 8], [0], "W2")
    more = [node("MatMul", ["X", "W2"], "Y2"), node("MatMul", ["X", "V"], "YV")]
    return matmul(chain, more, [build.tensor(noise((K, N), 8), "V")],
                  [info("Y2", rank=2), info("YV", rank=2)])


@pytest.mark.parametrize("options, why", [
    (["--exclude", "^W"], "excluded"), (["--include", "^V"], "not among"),
    (["--min-snr", "70", "--include", "^W"], "--min-snr")])
def test_chains_of_floats_stay(options, why, quantize, run):
    """Folded they would take the room of both weights, where P takes that of one."""
    model = overlapping("--min-snr" in options)
    result = quantize(model, *options, *SCHEME.options()[-2:])
    after = result.load()
    before = {t.name: t for t in model.graph.initializer}
    assert {t.name: t for t in after.graph.initializer}["P"] == before["P"]
    assert not {"W", "W2"} & {t.name for t in after.graph.initializer}
    assert why in result.reasons["P"]
    assert ("V" in result.names) == ("--min-snr" not in options)
    dry = run(result.model, "--dry-run", "--json", "-", *options, *SCHEME.options()[-2:])
    told, report = json.loads(dry.stdout)["weights"], result.report["weights"]
    assert [w["name"] for w in told] == [w["name"] for w in report]


def test_float_beside_codes_of_one_tensor(quantize):
    """P can only go where both weights are folded."""
    result = quantize(overlapping(), *SCHEME.options(), "--exclude", "^W2")
    assert result.names == {"W", "V"} and "excluded" in result.reasons["W2"]
    assert not [t for t in result.load().graph.initializer if t.name == "P"]
