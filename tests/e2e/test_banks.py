"""Banks of matrices that a Gather takes some of, and learned tables that are added, cut or
gathered by element. Codes of a bank are gathered before they are decoded."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import build
from build import info
from forms_check import check
from forms_models import node, noise
from oracle import Scheme

E, K, N = 5, 64, 24
SCHEME = Scheme("int4", min_elements=256)
ALL = ["run", "auto", "load", "portable", "nbits", "generic"]
KINDS = {np.float32: TensorProto.FLOAT, np.float16: TensorProto.FLOAT16}


def tensor(array, name):
    return numpy_helper.from_array(np.require(array, requirements="C"), name)


def bank(op_type, tail, shape=(E, K, N), x=(2, 1, K), dtype=np.float32, indices=(2,), axis=0):
    """Matrices W[i] of the bank that `tail` uses as G, together with X."""
    nodes = []
    if op_type == "GatherND":
        nodes = [node("Unsqueeze", ["i", "last"], "i1"), node("GatherND", ["W", "i1"], "G")]
    else:
        nodes = [node("Gather", ["W", "i"], "G", axis=axis)]
    kind = KINDS[dtype]
    made = build.model(
        [*nodes, *tail], [info("X", kind, shape=list(x)),
                          info("i", TensorProto.INT64, list(indices))],
        [info("Y", kind, rank=len(x))],
        [tensor(noise(shape, 1).astype(dtype), "W"), tensor(np.array([-1]), "last")], 18, ir=8)
    if op_type != "GatherND":
        del made.graph.initializer[1]
    rng = np.random.default_rng(3)
    feeds = [{"X": rng.standard_normal(x).astype(dtype), "i": rng.integers(0, E, indices)}]
    return made, feeds


MATMUL = [node("MatMul", ["X", "G"], "Y")]
LEFT = [node("MatMul", ["G", "X"], "Y")]
TURNED = [node("Transpose", ["G"], "T", perm=[0, 2, 1]), node("MatMul", ["X", "T"], "Y")]
EINSUM = [node("Einsum", ["X", "G"], "Y", equation="abk,akn->abn")]
# The axis that is summed over, and the size of the blocks along it.
CASES = {
    "matmul": (lambda op, **k: bank(op, MATMUL, **k), 1, 64),
    "left": (lambda op, **k: bank(op, LEFT, x=(2, N, 3), shape=(E, K, N), **k), 2, 24),
    "turned": (lambda op, **k: bank(op, TURNED, shape=(E, N, K), **k), 2, 64),
    "einsum": (lambda op, **k: bank(op, EINSUM, **k), 1, 64),
    "odd": (lambda op, **k: bank(op, MATMUL, shape=(E, K, 23), **k), 1, 64),
    "no block": (lambda op, **k: bank(op, MATMUL, shape=(E, 40, N), x=(2, 1, 40), **k), 1, 40),
    "blocks": (lambda op, **k: bank(op, MATMUL, shape=(E, 96, N), x=(2, 1, 96), **k), 1, 32),
    "blocks last": (lambda op, **k: bank(op, TURNED, shape=(E, N, 96), x=(2, 1, 96), **k), 2, 32),
}


@pytest.mark.parametrize("form", ALL)
@pytest.mark.parametrize("op_type", ["Gather", "GatherND"])
@pytest.mark.parametrize("case", CASES)
def test_bank(case, op_type, form, quantize):
    made, axis, block = CASES[case]
    result, left = check(*made(op_type), SCHEME, form, quantize)
    row, = [r for r in result.report["weights"] if r["name"] == "W"]
    assert (row["granularity"], row["quantized"]) == (f"block {block}, axis {axis}", True)
    if form in ("run", "auto", "nbits"):  # only what is gathered is decoded
        assert row["form"] == "Gather" and not left["DequantizeLinear"]


@pytest.mark.parametrize("scheme", [
    Scheme("int8", min_elements=256), Scheme("uint4", symmetric=False, min_elements=256),
    Scheme("int4", 32, min_elements=256), Scheme("int4", 16, min_elements=256)])
@pytest.mark.parametrize("case", ["matmul", "turned", "odd"])
def test_schemes(case, scheme, quantize):
    result, _ = check(*CASES[case][0]("GatherND"), scheme, "run", quantize)
    assert result.names == {"W"}


def test_half_and_indices_of_two_axes(quantize):
    for dtype in (np.float16, np.float32):
        tail = [node("Squeeze", ["G", "zero"], "S"), node("MatMul", ["X", "S"], "Y")]
        made, feeds = bank("Gather", tail, x=(2, 3, K), indices=(2, 1), dtype=dtype)
        made.graph.initializer.append(tensor(np.array([1]), "zero"))
        result, _ = check(made, feeds, SCHEME, "run", quantize,
                          dtype="float16" if dtype == np.float16 else "float")
        assert result.names == {"W"}


def test_constant_index(quantize):
    """Each expert is like a weight of its own: accurate and fused."""
    nodes = [n for i in range(E) for n in (node("Gather", ["W", f"i{i}"], f"w{i}"),
                                           node("MatMul", ["X", f"w{i}"], f"y{i}"))]
    nodes.append(node("Sum", [f"y{i}" for i in range(E)], "Y"))
    values = noise((E, K, N), 1).astype(np.float32)
    outputs = [info("Y", rank=2)]

    def model(nodes, tensors):
        return build.model(nodes, [info("X", shape=[3, K])], outputs, tensors, 17, ir=8)
    made = model(nodes, [tensor(values, "W"), *(tensor(np.array(i), f"i{i}") for i in range(E))])
    like = model([n for n in nodes if n.op_type != "Gather"],
                 [tensor(values[i], f"w{i}") for i in range(E)])
    feeds = [{"X": np.random.default_rng(5).standard_normal((3, K)).astype(np.float32)}]
    result, left = check(made, feeds, SCHEME, "run", quantize, like=like)
    assert result.names == {f"w{i}" for i in range(E)}
    assert left["MatMulNBits"] == E and not left["DequantizeLinear"]


def test_index_that_is_no_row(quantize):
    """GatherND with two coordinates, or with batches, takes no whole matrices."""
    for indices, batch in ((np.array([[1, 2], [4, 0]]), 0), (np.zeros((E, 2, 1), np.int64), 1)):
        made = build.model([helper.make_node("GatherND", ["W", "i"], ["Y"], batch_dims=batch)],
                           [info("i", TensorProto.INT64, list(indices.shape))],
                           [info("Y", rank=2 + batch)],
                           [tensor(noise((E, K, N), 1).astype(np.float32), "W")], 18, ir=8)
        if batch:
            made.graph.output[0].CopyFrom(info("Y", rank=3))
        result, _ = check(made, [{"i": indices}], SCHEME, "run", quantize)
        row, = [r for r in result.report["weights"] if r["name"] == "W"]
        assert row["form"] == "DequantizeLinear"


# ---- tables --------------------------------------------------------------------------

def table(nodes, values, more=(), x=(2, K, N)):
    return build.model(nodes, [info("X", shape=list(x)), *more], [info("Y", rank=3)],
                       [tensor(values.astype(np.float32), "W")], 18, ir=8)


X = {"X": np.random.default_rng(7).standard_normal((2, K, N)).astype(np.float32)}
I64 = TensorProto.INT64
TABLES = {
    "added": (lambda: table([node("Add", ["X", "W"], "Y")], noise((K, N), 2)), {}),
    "added to": (lambda: table([node("Add", ["W", "X"], "Y")], noise((1, K, N), 2)), {}),
    "cut": (lambda: table([node("Slice", ["W", "b", "e"], "c"), node("Add", ["X", "c"], "Y")],
                          noise((90, N), 2), [info("b", I64, [1]), info("e", I64, [1])]),
            {"b": np.array([5]), "e": np.array([5 + K])}),
    "expanded": (lambda: table([node("Expand", ["W", "s"], "c"), node("Add", ["X", "c"], "Y")],
                               noise((1, K, N), 2), [info("s", I64, [3])]),
                 {"s": np.array([2, K, N])}),
    "by element": (lambda: table([node("GatherElements", ["W", "i"], "c", axis=1),
                                  node("Add", ["X", "c"], "Y")], noise((K, 60), 2),
                                 [info("i", I64, [K, N])]),
                   {"i": np.random.default_rng(1).integers(0, 60, (K, N))}),
}


@pytest.mark.parametrize("form", ["run", "load", "portable", "generic"])
@pytest.mark.parametrize("case", TABLES)
def test_tables(case, form, quantize):
    made, more = TABLES[case]
    result, _ = check(made(), [X | more], SCHEME, form, quantize)
    row, = result.report["weights"]
    rank = len(row["dims"])
    assert row["quantized"] and row["granularity"].endswith(f"axis {rank - 1}")


WIDE = {"int4": "int8", "uint4": "uint8", "int8": "int8"}


@pytest.mark.parametrize("kind", WIDE)
@pytest.mark.parametrize("case", TABLES)
def test_tables_have_8_bits(case, kind, quantize):
    """Unless a rule or a budget says otherwise. The report says why."""
    made = TABLES[case][0]()
    small = ["--min-elements", "256"]
    row, = quantize(made, *small, "--type", kind).report["weights"]
    assert row["type"] == WIDE[kind] and ("8 bits" in row["why"]) == (kind != "int8")
    if kind == "int8":
        return
    for words in (["--rule", f"W: type={kind}"], ["--rule", "W: per-channel", "--type", kind]):
        row, = quantize(made, *small, *words).report["weights"]
        assert row["type"] == kind and "8 bits" not in row["why"]
    for bits, chosen in (("5.5", "int4"), ("9.5", "int8")):
        row, = quantize(made, *small, "--bits-per-weight", bits).report["weights"]
        assert row["type"] == chosen and "8 bits" not in row["why"]


def test_only_tables_have_8_bits(quantize):
    """Rows that are looked up and matrices have the bits that are asked for."""
    ids = info("i", TensorProto.INT64, [7])
    made = build.model([node("Gather", ["E", "i"], "e"), node("Add", ["e", "P"], "s"),
                        node("MatMul", ["s", "M"], "Y")], [ids], [info("Y", rank=2)],
                       [tensor(noise(shape, i).astype(np.float32), name) for i, (name, shape) in
                        enumerate({"E": (90, K), "P": (7, K), "M": (K, N)}.items())], 18, ir=8)
    result = quantize(made, "--min-elements", "256")
    types = {row["name"]: row["type"] for row in result.report["weights"]}
    assert types == {"E": "uint4", "P": "int8", "M": "int4"}  # rows have codes without signs


MASK = np.where(np.tril(np.ones((K, K))) > 0, 0, -np.inf)


@pytest.mark.parametrize("values, x, why", [
    (MASK, (2, K, K), "mask"), (np.maximum(MASK, -3.4e38), (2, K, K), "mask"),
    (noise((1, 1, 300), 1), (2, K, 300), "biases"), (noise((300, 1, 1), 1), (300, 2, 2), "biases"),
    (np.sin(np.arange(K)[:, None] / 10000 ** (np.arange(N) / N)), (2, K, N), "regular")])
def test_what_is_no_table(values, x, why, quantize):
    made = table([node("Add", ["X", "W"], "Y")], values, x=x)
    made.graph.output[0].CopyFrom(info("Y", rank=len(x)))
    result = quantize(made, *SCHEME.options())
    assert why in result.reasons["W"] and not result.report["warnings"]


def test_roles_of_other_constants(quantize, run):
    """The reason says what they are. Nobody asked for them, so --strict lets them pass."""
    hidden = 80
    lstm = node("LSTM", ["X", "W", "R", "B"], "Y", hidden_size=hidden)
    tensors = [tensor(noise(shape, 1).astype(np.float32), name) for name, shape in (
        ("W", (1, 4 * hidden, 8)), ("R", (1, 4 * hidden, hidden)), ("B", (1, 8 * hidden)))]
    made = build.model([lstm], [info("X", shape=[3, 2, 8])], [info("Y", rank=4)], tensors, 14)
    result = quantize(made, *SCHEME.options())
    assert result.names == {"W", "R"} and "biases of a recurrent" in result.reasons["B"]
    assert not next(r for r in result.report["weights"] if r["name"] == "B")["asked"]
    assert run(result.model, "-o", result.output, *SCHEME.options(), "--strict").returncode == 0
    wide = table([node("Add", ["X", "W"], "Y")], noise((1, 1, 2000), 1), x=(2, 1, 2000))
    result = quantize(wide, *SCHEME.options())
    assert not result.names and not result.report["weights"][0]["asked"]
