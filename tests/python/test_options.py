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
    "help-all",
    "version",
    "data",
    "stats",
    "save-stats",
    "until",
    "sequential",
    "preset",
    "config",
    "print-config",
}


def test_keywords_are_those_of_the_command_line(program):
    page = program("quantize", "--help-all").stdout
    names = set(re.findall(r"^ +(?:-\w, )?--([\w-]+)", page, re.MULTILINE)) - OTHER
    keywords = {name.replace("_", "-") for name in _options.SETTERS}
    assert names - {"rule"} == keywords - {"rules"}
    assert set(_options.Options.__annotations__) == {*_options.SETTERS, "config", "preset"}
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
    {"rules": ["b: type=int8", "a: keep"], "exclude": "c"},
    {"preset": "genai-int4-mixed"},
    {"preset": "genai-int4", "block_size": 16, "rules": ["a: type=int8"]},
    {"external_data": True},
    {"threads": 1, "cpu": "scalar"},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_same_bytes_as_the_program(case, path, tmp_path, program):
    words = []
    for name, value in case.items():
        if name == "rules":
            words += [word for rule in value for word in ("--rule", rule)]
        elif (name, "bits_per_weight" in case) != ("type", True):
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    (tmp_path / "one").mkdir(), (tmp_path / "two").mkdir()
    theirs, ours = tmp_path / "one/out.onnx", tmp_path / "two/out.onnx"
    done = program("quantize", path, "-o", theirs, *words, "--json", tmp_path / "report.json")
    assert done.returncode == 0, done.stderr
    report = nibble.quantize(path, ours, **case)
    assert ours.read_bytes() == theirs.read_bytes()
    expected = json.loads((tmp_path / "report.json").read_text())
    other = {"output": None}
    assert {**json.loads(report.json), **other} == {**expected, **other}


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
        ({"rules": ["a: type=int5"]}, "int4, uint4, int8 or uint8, not 'int5'"),
        ({"rules": [3]}, "rules takes strings"),
        ({"preset": "fast"}, "preset takes one of transformers.js-q4"),
        ({"config": "none.json"}, "none.json"),
        ({"config": {"blocksize": 3}}, "there is no option 'blocksize'"),
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


def test_configs_of_the_program(path, tmp_path, program):
    """Python reads what --print-config writes; what a call says wins."""
    config = tmp_path / "config.json"
    words = ["--type", "int8", "--rule", "a: keep", "--per-channel", "--strict"]
    config.write_text(program("quantize", path, *words, "--print-config").stdout)
    report = nibble.inspect(path, config=config, rules=["b: type=uint8"])
    types = {weight.name: weight.type for weight in report.weights}
    assert types["a"] == "float" and types["b"] == "uint8"
    settings = json.loads(config.read_text())
    again = nibble.inspect(path, config=settings, rules=["b: type=uint8"])
    assert repr(report) == repr(again)  # == is false for NaN, of which reports have some
    report = nibble.inspect(path, config=config, bits_per_weight=6)
    assert report.bits_chosen > 0


def test_patterns_that_match_nothing(path, tmp_path):
    with pytest.warns(nibble.NibbleWarning, match="rule 'zzz: keep' matches no weight"):
        nibble.quantize(path, tmp_path / "out.onnx", rules="zzz: keep")
    report = nibble.inspect(path, exclude="zzz", include="a|b")
    assert [(row.option, row.weights > 0) for row in report.patterns] == [
        ("--include", True),
        ("--exclude", False),
    ]


def test_inspect_says_what_it_does_not_use(path):
    with pytest.warns(nibble.NibbleWarning, match="does not use data, until"):
        report = nibble.inspect(path, config={"until": "snr>=30", "data": "x", "type": "int8"})
    assert {w.type for w in report.weights if w.quantized} <= {"int8", "uint8"}


def test_zero_is_given(path):
    config = {"min_elements": 9999}
    assert nibble.inspect(path, config=config).quantized == 0
    assert nibble.inspect(path, min_elements=0, config=config).quantized == 3
