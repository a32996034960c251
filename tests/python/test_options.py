"""Keywords have the names and the meaning of the command line's options."""

import json
import re

import numpy as np
import pytest

import nibble
from nibble import _options

# Options of the program that a call has in another way, or that make no sense in one.
OTHER = {
    "output",
    "dry-run",
    "json",
    "strict",
    "verbose",
    "quiet",
    "help",
    "version",
    "data",
    "stats",
    "save-stats",
    "until",
    "sequential",
}


def test_keywords_are_those_of_the_command_line(program):
    page = program("quantize", "--help").stdout
    names = set(re.findall(r"^ +(?:-\w, )?--([\w-]+)", page, re.MULTILINE)) - OTHER
    assert names == {name.replace("_", "-") for name in _options.SETTERS}
    assert set(_options.Options.__annotations__) == set(_options.SETTERS)
    documented = set(re.findall(r"\w+", nibble.quantize.__doc__))
    assert set(_options.SETTERS) <= documented


CASES = [
    {},
    {"type": "uint8"},
    {"type": "int4", "bits_per_weight": 6},
    {"asymmetric": True},
    {"symmetric": True, "type": "uint4"},
    {"per_channel": True},
    {"per_tensor": True},
    {"block_size": np.int64(16)},
    {"method": "rtn"},
    {"scale_type": "float16"},
    {"min_snr": 25},
    {"decode": "load"},
    {"format": "nbits", "block_size": 16},
    {"target": "generic"},
    {"exclude": "^a$"},
    {"include": "a"},
    {"min_elements": 1},
    {"external_data": True},
    {"threads": 1, "cpu": "scalar"},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_same_bytes_as_the_program(case, path, tmp_path, program):
    words = []
    for name, value in case.items():
        if (name, "bits_per_weight" in case) != ("type", True):
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    (tmp_path / "one").mkdir(), (tmp_path / "two").mkdir()
    theirs, ours = tmp_path / "one/out.onnx", tmp_path / "two/out.onnx"
    done = program("quantize", path, "-o", theirs, *words, "--json", tmp_path / "report.json")
    assert done.returncode == 0, done.stderr
    report = nibble.quantize(path, ours, **case)
    assert ours.read_bytes() == theirs.read_bytes()
    expected = json.loads((tmp_path / "report.json").read_text())
    assert {**json.loads(report.json), "output": None} == {**expected, "output": None}


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ({"type": "int3"}, "type takes 'int4', 'uint4', 'int8' or 'uint8', not 'int3'"),
        ({"type": 4}, "not 4"),
        ({"block_size": 1}, "from 2 to"),
        ({"block_size": 2.5}, "a whole number"),
        ({"bits_per_weight": float("nan")}, "above 0 and up to 64"),
        ({"bits_per_weight": "many"}, "above 0"),
        ({"min_snr": -1}, "above 0"),
        ({"min_snr": 20, "type": "int8"}, "exclude each other: give one of them"),
        ({"per_channel": True, "block_size": 8}, "exclude each other"),
        ({"include": ""}, "include takes a string"),
        ({"exclude": "("}, "exclude"),
        ({"embedding_type": "int2"}, "embedding_type"),
        ({"cpu": "abacus"}, "abacus"),
        ({"threads": -1}, "from 0 to 1024"),
    ],
)
def test_wrong_values(case, words, path, tmp_path):
    with pytest.raises(nibble.OptionError, match=re.escape(words)) as caught:
        nibble.quantize(path, tmp_path / "out.onnx", **case)
    assert isinstance(caught.value, ValueError)
    assert not (tmp_path / "out.onnx").exists()


def test_unknown_keyword(path, tmp_path):
    with pytest.raises(TypeError, match="unknown option blocksize: did you mean block_size"):
        nibble.quantize(path, tmp_path / "out.onnx", blocksize=32)
