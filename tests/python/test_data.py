"""The reader of inputs: where they come from, and what it says of those that don't fit."""

import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import nibble
from nibble import data
from nibble._session import Session


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Takes tokens [batch, time], a mask of the same shape, an image [batch, 3] and has an
    initializer that may be overridden."""
    nodes = [
        helper.make_node("Cast", ["tokens"], ["t"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["mask"], ["m"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["t", "m"], ["tm"]),
        helper.make_node("Mul", ["tm", "factor"], ["y"]),
        helper.make_node("Identity", ["image"], ["z"]),
    ]
    make = helper.make_tensor_value_info
    factor = numpy_helper.from_array(np.ones((1,), np.float32), "factor")
    graph = helper.make_graph(
        nodes,
        "g",
        [
            make("tokens", TensorProto.INT64, ["batch", "time"]),
            make("mask", TensorProto.BOOL, ["batch", "time"]),
            make("image", TensorProto.FLOAT, ["batch", 3]),
            make("factor", TensorProto.FLOAT, [1]),
        ],
        [
            make("y", TensorProto.FLOAT, ["batch", "time"]),
            make("z", TensorProto.FLOAT, ["batch", 3]),
        ],
        [factor],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path_factory.mktemp("data") / "model.onnx"
    onnx.save(model, path)
    return Session(str(path), "model.onnx")


def feed(number=0, batch=2):
    return {
        "tokens": np.full((batch, 5), number),
        "mask": np.ones((batch, 5), bool),
        "image": np.full((batch, 3), number, np.float32),
    }


def same(a, b):
    return set(a) == set(b) and all(np.array_equal(a[name], b[name]) for name in a)


def test_npz(session, tmp_path):
    for number in range(12):
        np.savez(tmp_path / f"run{number}.npz", **feed(number))
    (tmp_path / "notes.txt").write_text("ignored")
    found = data.read(tmp_path, session)
    assert len(found) == 12
    assert all(same(found[i], feed(i)) for i in range(12))  # run2 comes before run10
    one = data.read(str(tmp_path / "run3.npz"), session)
    assert len(one) == 1 and same(one[0], feed(3))


@pytest.mark.parametrize("named", [True, False])
def test_onnx_test_data(session, tmp_path, named):
    names = ["tokens", "mask", "image"]
    for number in range(3):
        folder = tmp_path / f"test_data_set_{number}"
        folder.mkdir()
        order = names[::-1] if named else names
        for i, name in enumerate(order):
            tensor = numpy_helper.from_array(feed(number)[name], name if named else "")
            (folder / f"input_{i}.pb").write_bytes(tensor.SerializeToString())
    found = data.read(tmp_path, session)
    assert len(found) == 3 and all(same(found[i], feed(i)) for i in range(3))
    assert same(data.read(tmp_path / "test_data_set_1", session)[0], feed(1))


class Reader:
    """As ONNX Runtime's CalibrationDataReader."""

    def __init__(self, count):
        self.count, self.left = count, 0  # used up: rewind comes first

    def get_next(self):
        self.left -= 1
        return feed(self.left) if self.left >= 0 else None

    def rewind(self):
        self.left = self.count


def test_objects(session):
    for source in ([feed(1), feed(0)], (feed(i) for i in (1, 0)), Reader(2)):
        found = data.read(source, session)
        assert len(found) == 2 and same(found[0], feed(1)) and same(found[1], feed(0))
        assert len(list(found)) == 2 == len(list(found))
    extra = {**feed(), "factor": np.ones(1, np.float32)}
    assert same(data.read([extra], session)[0], extra)


def test_split(session):
    found = data.read([feed(i) for i in range(11)], session)
    rest, held = found.split()
    assert [int(run["tokens"][0, 0]) for run in held] == [4, 9]
    assert len(rest) == 9
    assert [len(part) for part in found[:1].split()] == [1, 1]
    assert [len(part) for part in found[:2].split()] == [1, 1]


def test_random(session):
    found = data.read("random:3", session, seed=7)
    again = data.read("random:3", session, seed=7)
    other = data.read("random:3", session, seed=8)
    assert len(found) == 3 and found.is_random
    assert all(same(found[i], again[i]) for i in range(3))
    assert not same(found[0], other[0]) and not same(found[0], found[1])
    assert found[0]["mask"].all() and found[0]["image"].shape[1] == 3
    assert len(data.read("random", session)) == data.RANDOM_RUNS
    for wrong in ("random:0", "random:x", "random5"):
        with pytest.raises(nibble.DataError):
            data.read(wrong, session)


def without(name):
    return {key: value for key, value in feed().items() if key != name}


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (without("mask"), "run 0: no array mask: the model wants tokens: int64 [batch, time]"),
        ({**without("mask"), "msk": 1}, "no array mask, and has msk instead"),
        ({**feed(), "more": 1}, "more is no input of the model"),
        (
            {**feed(), "image": np.zeros((2, 3))},
            "image has type float64 and shape [2, 3], the model wants image: float32 [batch, 3]"
            ': convert it with .astype("float32")',
        ),
        ({**feed(), "image": np.zeros((2, 4), np.float32)}, "axis 1 is 4, not 3"),
        ({**feed(), "image": np.zeros(3, np.float32)}, "1 dimensions, not 2"),
        ({**feed(), "image": np.zeros((1, 3), np.float32)}, "batch is 2 in tokens"),
        ({**feed(), "image": "a picture"}, "image has type"),
    ],
)
def test_wrong_runs(session, run, words):
    with pytest.raises(nibble.DataError, match=re.escape(words)):
        data.read([run], session)[0]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nowhere", "nowhere: does not exist"),
        (".", "holds neither .npz files nor ONNX test data"),
        ("file.txt", "is no .npz file"),
        ([], "holds no run"),
        ([3], "run 0 is int: give a dict"),
        (feed(), "data is one run: give a list"),
        (3, "data is int"),
        ("damaged.npz", "can't be read as .npz"),
        ("pickled.npz", "can't be read as .npz"),
    ],
)
def test_wrong_sources(session, source, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").write_text("")
    if source == "damaged.npz":
        (tmp_path / source).write_bytes(b"PK nonsense")
    if source == "pickled.npz":
        np.savez(tmp_path / source, x=np.array([{}], object))
    with pytest.raises(nibble.DataError, match=re.escape(words)):
        data.read(source, session)[0]


def test_wrong_test_data(session, tmp_path):
    (tmp_path / "input_0.pb").write_bytes(b"\xff\xff\xff")
    with pytest.raises(nibble.DataError, match="can't be read as a tensor"):
        data.read(tmp_path, session)[0]
    tensor = numpy_helper.from_array(np.zeros(2)).SerializeToString()
    (tmp_path / "input_0.pb").unlink()
    (tmp_path / "input_7.pb").write_bytes(tensor)
    with pytest.raises(nibble.DataError, match="the model has 3 inputs"):
        data.read(tmp_path, session)[0]
