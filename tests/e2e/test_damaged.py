"""Damaged and hostile files. The program ends by itself, with status 0 or 1, in bounded time
and memory. After a failure it names the file and leaves nothing behind. After a success the
output can be read. All cases come from fixed seeds."""

import gzip
import zlib

import numpy as np
import pytest
from onnx import TensorProto, helper

import build
import wire
from damage import SMALL, base, check_all
from oracle import Scheme
from verify import verify

def test_base_is_sound(survive):
    """If this fails, the tests below show nothing."""
    assert survive(base(), status=(0,)) is None


def test_truncated(survive):
    data = base()
    cuts = np.unique(np.linspace(0, len(data) - 1, 600).astype(int))
    check_all(survive, ((int(n), data[:n]) for n in cuts))


def flipped(data, rng):
    """A few bytes are changed, removed, repeated or inserted."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at = rng.integers(len(data))
        kind = rng.integers(6)
        if kind < 3:
            data[at] = rng.integers(256) if kind else data[at] ^ 1 << rng.integers(8)
        elif kind == 3:
            del data[at:at + rng.integers(1, 9)]
        elif kind == 4:
            data[at:at] = rng.bytes(rng.integers(1, 9))
        else:
            data[at:at] = data[at:at + rng.integers(1, 200)]
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_flipped(seed, survive):
    rng = np.random.default_rng(seed)
    data = base()
    check_all(survive, ((i, flipped(data, rng)) for i in range(500)))


# ---- nesting and numbers ---------------------------------------------------

def nested(levels, graph_field=6):
    """If in If in If. Each level is a graph, a node and an attribute."""
    graph = b""
    for _ in range(levels):
        attribute = wire.field(1, "then_branch") + wire.field(20, 5) + \
            wire.field(graph_field, graph)
        graph = wire.field(1, wire.field(4, "If") + wire.field(2, "y") + wire.field(5, attribute))
    return wire.model(graph)


def nested_type(levels):
    kind = wire.field(1, wire.field(1, 1))
    for _ in range(levels):
        kind = wire.field(4, wire.field(1, kind))
    return wire.model(wire.field(11, wire.field(1, "X") + wire.field(2, kind)))


NESTED = {
    "if": lambda n: nested(n), "graphs": lambda n: nested(n, 11), "types": nested_type,
    "groups": lambda n: wire.model(wire.start_group(99) * n + wire.end_group(99) * n),
    "open groups": lambda n: wire.model(wire.start_group(99) * n),
}


@pytest.mark.parametrize("levels", [20, 40, 100, 1500, 30_000])
@pytest.mark.parametrize("kind", NESTED)
def test_nested(kind, levels, survive):
    if levels == 30_000 and kind in ("if", "graphs", "types"):
        levels = 5000  # their lengths grow
    assert survive(NESTED[kind](levels)) is None


def test_deep_but_sound(generic):
    """Weights are twenty branches deep, near protobuf's own limit."""
    layer = build.Layer("MatMul", (32, 24), (3, 32))  # worth its codes
    graph = build.branch(layer, build.weight(layer), "leaf", "float")
    for i in range(20):
        node = helper.make_node("If", ["cond"], [f"y{i}"], f"if {i}", then_branch=graph,
                                else_branch=build.branch(layer, build.weight(layer, name=f"V{i}"),
                                                         f"e{i}", "float"))
        graph = helper.make_graph([node], f"g{i}", [], [build.info(f"y{i}", rank=2)])
    model = build.layer_model(layer, None, list(graph.node), initializers=[],
                              inputs=[build.info("cond", TensorProto.BOOL, [])])
    model.graph.output[0].name = "y19"
    scheme = Scheme(min_elements=4)
    found = verify(generic(model, *scheme.options()), scheme,
                   [build.feeds(layer, cond=np.array(True))])
    assert len(found) == 21


MANY = {
    "nodes": (1, b""), "initializers": (5, b""), "inputs": (11, b""), "outputs": (12, b""),
    "value_infos": (13, b""), "sparse": (15, b""), "annotations": (14, b""), "props": (16, b""),
    "nodes with empty lists": (1, wire.field(1, "") + wire.field(2, "") + wire.field(5, b"")),
    "equal names": (5, wire.field(8, "W")), "equal outputs": (1, wire.field(2, "W")),
    "equal uses": (1, wire.field(1, "W")),
}


@pytest.mark.parametrize("count", [100_000, 4_000_000])
@pytest.mark.parametrize("kind", MANY)
def test_millions(kind, count, survive):
    """Two bytes of file that cost a hundred bytes of memory are refused in time."""
    number, item = MANY[kind]
    count = count if not item else count // 4
    assert survive(wire.model(wire.field(number, item) * count)) is None


def test_a_million_inputs_of_one_node(survive):
    node = wire.field(4, "MatMul") + wire.field(1, "W") * 1_000_000
    weight = wire.field(5, build.weight(SMALL).SerializeToString())
    assert survive(wire.model(wire.field(1, node) + weight)) is None


def test_many_weights(survive):
    """20000 weights with a node each. Time grows only with their number."""
    graph = b""
    w = build.weight(SMALL)
    for i in range(20_000):
        w.name = f"W{i}"
        node = helper.make_node("MatMul", ["X", w.name], [f"Y{i}"])
        graph += wire.field(5, w.SerializeToString()) + wire.field(1, node.SerializeToString())
    assert survive(wire.model(graph), status=(0,)) is None


LENGTHS = [2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**63 - 1, 2**63, 2**64 - 1]


@pytest.mark.parametrize("prefix", [
    [], [7], [7, 1], [7, 5], [7, 1, 5], [7, 1, 5, 5], [14], [25], [7, 11, 2, 1]],
    ids=lambda p: "-".join(map(str, p)) or "model")
def test_huge_lengths(prefix, survive):
    """Lengths of messages, strings and payloads are huge, at every depth."""
    cases = []
    for length in LENGTHS:
        for number in (1, 2, 4, 5, 7, 8, 9, 13, 99):
            data = wire.varint(number << 3 | 2) + wire.varint(length) + b"\0" * 50
            for outer in reversed(prefix):
                data = wire.field(outer, data)
            cases.append(((length, number), data))
    check_all(survive, cases)


def test_odd_tags(survive):
    tags = {"field 0": b"\0\0", "field 0 with length": b"\2\0", "wire type 6": b"\x0e\0",
            "wire type 7": b"\x0f\0", "long varint": b"\x80" * 10 + b"\1",
            "longest varint": b"\x08" + b"\xff" * 9 + b"\1", "too long": b"\x08" + b"\xff" * 10,
            "open varint": b"\x08\xff", "tag of 2^32": wire.varint(2**32 << 3) + b"\0",
            "largest field": wire.varint((2**29 - 1) << 3) + b"\0", "end group": b"\x0c",
            "wrong type": wire.field(7, 5), "fixed for varint": wire.fixed64(1, b"12345678"),
            "message as varint": wire.field(14, 3), "half a fixed": wire.fixed32(1, b"12")}
    sound = wire.model(b"")
    check_all(survive, [(name, part + sound) for name, part in tags.items()] +
              [(f"{name} behind", sound + part) for name, part in tags.items()] +
              [(f"{name} inside", wire.model(part)) for name, part in tags.items()])


# ---- other files -----------------------------------------------------------

def bomb(size):
    """Zeros that take a thousandth of their size when compressed."""
    pack = zlib.compressobj(9, wbits=31)
    return b"".join(pack.compress(bytes(1 << 20)) for _ in range(size >> 20)) + pack.flush()


FILES = {
    "empty": b"", "text": b"This is not a model.\n" * 100, "json": b'{"a": [1, 2]}',
    "zeros": bytes(5000), "ones": b"\xff" * 5000, "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "elf": b"\x7fELF\2\1\1" + bytes(100), "zip": b"PK\3\4" + bytes(100),
    "gzip of nothing": gzip.compress(b""), "gzip header": b"\x1f\x8b", "gzip noise":
    b"\x1f\x8b\x08\0" + np.random.default_rng(1).bytes(500),
    "gzip truncated": gzip.compress(base())[:-20], "gzip without end": gzip.compress(base())[:-8],
    "gzip with a wrong sum": gzip.compress(base())[:-8] + b"12345678",
    "gzip in gzip": gzip.compress(gzip.compress(base())),
    "gzip of text": gzip.compress(b"text" * 1000),
    "gzip bomb": bomb(256 << 20),
}


@pytest.mark.parametrize("case", FILES)
def test_other_files(case, survive):
    assert survive(FILES[case], status=(1,)) is None


def test_rubbish_behind_gzip(survive):
    assert survive(gzip.compress(base()) + b"rubbish" * 10) is None


@pytest.mark.parametrize("name", ["missing.onnx", ".", "/dev/null", "a/b/c.onnx"])
def test_no_file(name, run, tmp_path):
    done = run(f"{tmp_path}/{name}" if name[0] != "/" else name, "-o", tmp_path / "out.onnx")
    assert done.returncode == 1 and name.encode() in done.stderr
    assert not list(tmp_path.iterdir())
