"""Files: compressed files, standard input and output, external data, and every way in which
such files can be wrong or hostile."""

import gzip
import math
import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

import build
import runtime
import wire
from build import LAYERS
from oracle import Scheme
from verify import verify

LAYER = LAYERS["matmul"]


LARGE = build.Layer("Gemm", (127, 131), (3, 131), attributes={"transB": 1}, bias=127)


def model():
    """A model with a weight, a large untouched payload, and a small one."""
    made = build.as_initializer(LARGE, build.weight(LARGE), "float")
    made.graph.initializer.append(numpy_helper.from_array(np.arange(3001), "ints"))
    return made


FEEDS = [build.feeds(LARGE)]


@pytest.fixture
def plain(tmp_path):
    path = tmp_path / "in.onnx"
    onnx.save(model(), path)
    return path


def leftovers(folder, *known):
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.name not in known)


# ---- compressed and streamed -----------------------------------------------

def test_gzip_in(plain, quantize, tmp_path):
    """Several members with a name in the header, as gzip -N and cat make them."""
    raw = plain.read_bytes()
    packed = tmp_path / "packed.onnx.gz"
    packed.write_bytes(gzip.compress(raw[:1000]) + gzip.compress(raw[1000:]))
    assert quantize(packed).output.read_bytes() == quantize(plain, output="2").output.read_bytes()


def test_gzip_out(plain, quantize):
    packed = quantize(plain, output="out.onnx.gz").output.read_bytes()
    assert gzip.decompress(packed) == quantize(plain).output.read_bytes()


def test_gzip_by_contents_not_by_name(plain, quantize, tmp_path):
    odd = tmp_path / "packed.onnx"
    odd.write_bytes(gzip.compress(plain.read_bytes()))
    assert quantize(odd).output.read_bytes() == quantize(plain, output="2").output.read_bytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_standard_input(pack, plain, quantize, run, tmp_path):
    out = tmp_path / "piped.onnx"
    done = run("quantize", "-", "-o", out, stdin=pack(plain.read_bytes()))
    assert done.returncode == 0
    assert out.read_bytes() == quantize(plain).output.read_bytes()


def test_standard_output(plain, quantize, run):
    done = run(plain, "-o", "-")
    assert done.returncode == 0
    assert done.stdout == quantize(plain).output.read_bytes()


def test_standard_input_has_no_folder(run, tmp_path):
    path = build.save(model(), tmp_path / "in.onnx", "files")
    done = run("-", "-o", tmp_path / "out.onnx", stdin=path.read_bytes())
    assert done.returncode == 1 and b"standard input" in done.stderr
    assert not (tmp_path / "out.onnx").exists()


# ---- where the output goes -------------------------------------------------

def test_output_replaces_a_file(plain, generic, tmp_path):
    old = tmp_path / "out.onnx"
    old.write_bytes(b"old")
    old.chmod(0o640)
    verify(generic(plain), Scheme(), FEEDS)
    assert old.stat().st_mode & 0o777 == 0o640


def test_output_through_a_link(plain, quantize, tmp_path):
    """The link stays, and the file that it points to is replaced."""
    (tmp_path / "target.onnx").write_bytes(b"old")
    (tmp_path / "out.onnx").symlink_to("target.onnx")
    quantize(plain)
    assert (tmp_path / "out.onnx").is_symlink()
    onnx.checker.check_model(str(tmp_path / "target.onnx"))


@pytest.mark.parametrize("name", ["in.onnx", "./in.onnx", "hard.onnx", "link.onnx"])
def test_input_is_replaced_with_f_only(name, plain, run, tmp_path):
    os.link(plain, tmp_path / "hard.onnx")
    (tmp_path / "link.onnx").symlink_to("in.onnx")
    before = plain.read_bytes()
    out = f"{tmp_path}/{name}"
    done = run(plain, "-o", out)
    assert done.returncode in (1, 2) and b"-f" in done.stderr
    assert plain.read_bytes() == before
    assert run(plain, "-o", out, "-f").returncode == 0
    assert (tmp_path / name).read_bytes() != before
    assert leftovers(tmp_path) == ["hard.onnx", "in.onnx", "link.onnx"]


def test_failures_leave_the_old_output(run, tmp_path):
    (tmp_path / "in.onnx").write_bytes(b"no model")
    (tmp_path / "out.onnx").write_bytes(b"old")
    assert run(tmp_path / "in.onnx", "-o", tmp_path / "out.onnx").returncode == 1
    assert (tmp_path / "out.onnx").read_bytes() == b"old"
    assert leftovers(tmp_path) == ["in.onnx", "out.onnx"]


@pytest.mark.parametrize("out, word", [("", b"directory"), ("none/out.onnx", b"none")])
def test_outputs_that_cannot_be(out, word, plain, run, tmp_path):
    done = run(plain, "-o", f"{tmp_path}/{out}")
    assert done.returncode == 1 and word in done.stderr
    assert leftovers(tmp_path) == ["in.onnx"]


# ---- external data ---------------------------------------------------------

@pytest.mark.parametrize("storage", ["external", "files"])
def test_external_in_one_file_out(storage, generic, tmp_path):
    """The bytes are the same as for the model with everything inside."""
    (tmp_path / "a").mkdir()
    path = build.save(model(), tmp_path / "a" / "in.onnx", storage)
    result = generic(path)
    verify(result, Scheme(), FEEDS)
    whole = tmp_path / "b.onnx"
    onnx.save(model(), whole)
    assert result.output.read_bytes() == generic(whole, output="b").output.read_bytes()


def entries(tensor):
    return {e.key: e.value for e in tensor.external_data}


@pytest.mark.parametrize("storage", ["raw", "typed", "external", "files"])
@pytest.mark.parametrize("scheme", [Scheme(), Scheme("uint4", 7)], ids=str)
def test_external_out(scheme, storage, generic, tmp_path):
    path = build.save(model(), tmp_path / "in.onnx", storage)
    result = generic(path, "--external-data", *scheme.options())
    verify(result, scheme, FEEDS)
    (data,) = tmp_path.glob("out.onnx.*.data")
    spans = []
    for tensor in build.every_tensor(onnx.load(result.output, load_external_data=False)):
        if tensor.data_location == TensorProto.EXTERNAL:
            e = entries(tensor)
            assert e["location"] == data.name and not tensor.raw_data
            spans.append((int(e["offset"]), int(e["length"])))
    assert spans and len(set(spans)) == len(spans)
    assert all(offset % 4096 == 0 for offset, _ in spans)
    assert all(a + n <= b for (a, n), (b, _) in zip(sorted(spans), sorted(spans)[1:]))
    assert data.stat().st_size == sum(max(spans))


def test_external_out_of_nothing_large(generic, tmp_path):
    """No empty file is left beside the output."""
    layer = LAYERS["conv1d"]  # 540 bytes of codes
    result = generic(build.layer_model(layer, build.weight(layer)), "--external-data")
    verify(result, Scheme(), [build.feeds(layer)])
    assert leftovers(tmp_path, "replaced.onnx") == ["model.onnx", "out.onnx", "report.json"]


def test_external_out_of_a_function(generic):
    layer = LAYERS["matmul"]
    made = build.in_function(layer, build.weight(layer), "float")
    result = generic(made, "--external-data")
    verify(result, Scheme(), [build.feeds(layer)])


def test_data_file_is_not_the_input_s(run, tmp_path):
    """The data file may be one that the input reads. This is refused without -f."""
    path = build.save(model(), tmp_path / "in.onnx", "external")
    path.with_name("in.onnx.data").rename(tmp_path / "out.onnx.data")
    path.write_bytes(relocated(path, "out.onnx.data"))
    before = (tmp_path / "out.onnx.data").read_bytes()
    done = run(path, "-o", tmp_path / "out.onnx", "--external-data=out.onnx.data")
    assert done.returncode == 1 and b"out.onnx.data" in done.stderr
    assert (tmp_path / "out.onnx.data").read_bytes() == before
    assert not (tmp_path / "out.onnx").exists()


def relocated(path, location):
    made = onnx.load(path, load_external_data=False)
    for tensor in build.every_tensor(made):
        for e in tensor.external_data:
            if e.key == "location":
                e.value = location
    return made.SerializeToString()


def hostile(path, location=None, offset=None, length=None):
    """A model whose weight is at this place of an external file."""
    made = build.layer_model(LAYER, build.weight(LAYER))
    build.external(made.graph.initializer[0], location, offset, length)
    path.write_bytes(made.SerializeToString())
    return path


# name -> location; the file secret.bin beside the model's folder has the right size
LOCATIONS = {
    "parent": "../secret.bin", "parent inside": "sub/../../secret.bin",
    "here and up": "./../secret.bin", "absolute": "{folder}/secret.bin",
    "link": "link.bin", "link to a folder": "up/secret.bin", "empty": "", "dot": ".",
    "folder": "sub", "missing": "missing.bin", "fifo": "fifo", "device": "/dev/zero",
    "none": None, "long": "a/" * 3000 + "b",
}


@pytest.mark.parametrize("case", LOCATIONS)
def test_hostile_location(case, run, tmp_path):
    folder = tmp_path / "models"
    (folder / "sub").mkdir(parents=True)
    secret = tmp_path / "secret.bin"
    secret.write_bytes(build.weight(LAYER).raw_data)
    (folder / "link.bin").symlink_to("../secret.bin")
    (folder / "up").symlink_to("..")
    os.mkfifo(folder / "fifo")
    location = LOCATIONS[case] and LOCATIONS[case].format(folder=tmp_path)
    path = hostile(folder / "in.onnx", location)
    links = ["--no-links"] * case.startswith("link")  # by default they are followed
    done = run(path, "-o", tmp_path / "out.onnx", *links)
    assert done.returncode == 1
    assert str(path).encode() in done.stderr
    assert leftovers(tmp_path, "in.onnx") == ["link.bin", "secret.bin"]


SIZE = math.prod(LAYER.weight) * 4
RANGES = {
    "offset behind the end": (SIZE + 1, 1), "length over the end": (0, SIZE + 1),
    "both": (4, SIZE), "huge offset": (2**63 - 1, SIZE), "huge length": (0, 2**64 - 1),
    "overflow": (2**64 - SIZE, 2 * SIZE), "negative offset": (-1, SIZE),
    "negative length": (0, -SIZE), "no number": ("x", SIZE), "half a number": ("0x10", SIZE),
    "float": ("0", f"{SIZE}.0"), "empty offset": ("", SIZE), "blank": (" 0", SIZE),
    "too short": (0, SIZE - 4), "zero": (0, 0), "many digits": ("9" * 40, SIZE),
    "to the end": (4, None),
}


@pytest.mark.parametrize("case", RANGES)
def test_range_outside_the_file(case, run, tmp_path):
    (tmp_path / "data.bin").write_bytes(build.weight(LAYER).raw_data)
    path = hostile(tmp_path / "in.onnx", "data.bin", *RANGES[case])
    done = run(path, "-o", tmp_path / "out.onnx")
    assert done.returncode == 1
    assert str(path).encode() in done.stderr and b"'W'" in done.stderr
    assert leftovers(tmp_path) == ["data.bin", "in.onnx"]


def test_folders_below_are_fine(generic, tmp_path):
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "sub" / "deep" / "data .bin").write_bytes(b"xyz" + build.weight(LAYER).raw_data)
    path = hostile(tmp_path / "in.onnx", "./sub//deep/data .bin", 3, SIZE)
    verify(generic(path), Scheme(), [build.feeds(LAYER)])


# ---- more than 2 GiB -------------------------------------------------------

@pytest.mark.slow
def test_more_than_2_gib(quantize, tmp_path):
    """Such a model gets external data by itself, because no single file could hold it. Most of
    it is integers in a sparse file that nobody reads."""
    count = 300_000_000
    made = build.layer_model(LAYER, build.weight(LAYER))
    big = made.graph.initializer.add(name="big", data_type=TensorProto.INT64, dims=[count])
    build.external(big, "big.bin")
    with open(tmp_path / "big.bin", "wb") as file:
        file.truncate(8 * count)
        file.seek(8 * count - 8)
        file.write(b"the last")
    path = tmp_path / "in.onnx"
    path.write_bytes(made.SerializeToString())
    result = quantize(path, limit=4 << 30)
    assert result.output.stat().st_size < 1 << 20
    (data,) = result.output.parent.glob("out.onnx.*.data")
    spans = {t.name: entries(t) for t in build.every_tensor(
        onnx.load(result.output, load_external_data=False)) if t.external_data}
    with open(data, "rb") as file:
        file.seek(int(spans["big"]["offset"]) + 8 * count - 8)
        assert file.read(8) == b"the last"
    runtime.run_ort(result.output, [build.feeds(LAYER)])


# ---- the same message in other bytes ---------------------------------------

def dims_packed(dims):
    return wire.field(1, b"".join(map(wire.varint, dims)))


def dims_unpacked(dims):
    return b"".join(wire.field(1, d) for d in dims)


W = build.weight(LAYER)
HEAD = dims_unpacked(W.dims) + wire.field(2, 1) + wire.field(8, "W")
VALUES = np.frombuffer(W.raw_data, np.uint8).reshape(-1, 4)

# Encodings of one tensor. A parser must read the same tensor from each.
ENCODINGS = {
    "plain": HEAD + wire.field(9, W.raw_data),
    "packed dims": dims_packed(W.dims) + HEAD[len(dims_unpacked(W.dims)):] +
    wire.field(9, W.raw_data),
    "values first": wire.field(9, W.raw_data) + HEAD,
    "last one wins": wire.field(9, b"old") + HEAD + wire.field(2, 7) + wire.field(2, 1) +
    wire.field(9, W.raw_data),
    "packed float_data": HEAD + wire.field(4, W.raw_data),
    "unpacked float_data": HEAD + b"".join(wire.fixed32(4, v.tobytes()) for v in VALUES),
    "float_data in pieces": HEAD + wire.field(4, W.raw_data[:4000]) +
    wire.fixed32(4, W.raw_data[4000:4004]) + wire.field(4, W.raw_data[4004:]),
    "long varints": b"\x88\x80\x00" + b"\xc6\x80\x80\x00" + b"\x08\xa8\x80\x00" +
    wire.field(2, 1) + wire.field(8, "W") + wire.field(9, W.raw_data),
}


@pytest.mark.parametrize("case", ENCODINGS)
def test_encodings(case, generic, tmp_path):
    parsed = TensorProto.FromString(ENCODINGS[case])
    assert numpy_helper.to_array(parsed).tobytes() == W.raw_data
    made = build.layer_model(LAYER, W, initializers=[])
    graph = made.graph.SerializeToString() + wire.field(5, ENCODINGS[case])
    made.ClearField("graph")
    path = tmp_path / "in.onnx"
    path.write_bytes(wire.field(7, graph) + made.SerializeToString())
    verify(generic(path), Scheme(), [build.feeds(LAYER)])


def test_graph_in_two_pieces(generic, tmp_path):
    """A message has a field twice that may occur once. The two are merged."""
    made = build.layer_model(LAYER, W)
    first, second = onnx.GraphProto(), onnx.GraphProto()
    first.CopyFrom(made.graph)
    first.ClearField("initializer")
    second.initializer.extend(made.graph.initializer)
    made.ClearField("graph")
    path = tmp_path / "in.onnx"
    path.write_bytes(wire.field(7, first.SerializeToString()) + made.SerializeToString() +
                     wire.field(7, second.SerializeToString()))
    verify(generic(path), Scheme(), [build.feeds(LAYER)])
