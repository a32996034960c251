"""--config, --preset and --print-config: sets of options."""

import json

import numpy as np
import onnx
import pytest

import models
from test_rules import language_model

PRESETS = ["transformers.js-q4", "transformers.js-q4-mixed", "transformers.js-q4f16", "genai-int4", "genai-int4-mixed",
           "mixed"]


@pytest.fixture
def printed(nibble):
    def run(*options):
        done = nibble(*options, "--print-config")
        assert (done.status, done.err) == (0, "")
        config = json.loads(done.text)
        assert config.pop("nibble")
        return config

    return run


def test_a_run_can_be_repeated(nibble, printed, folder):
    onnx.save(language_model(), folder / "language.onnx")
    options = ["--scale-type", "float16", "--bits-per-weight", "4.75", "--rule",
               "op=Gather: type=int8", "--rule", "role=head: keep", "--exclude", "/layers.0/",
               "--min-elements", "10", "--freeze"]
    config = printed("language.onnx", "-o", "a.onnx", *options)
    assert config == {"bits-per-weight": 4.75, "scale-type": "float16", "exclude": "/layers.0/",
                      "rules": ["op=Gather: type=int8", "role=head: keep"],
                      "min-elements": 10, "freeze": True}
    (folder / "config.json").write_text(json.dumps(config))
    assert nibble("language.onnx", "-qo", "a.onnx", *options).status == 0
    assert nibble("language.onnx", "-qo", "b.onnx", "--config", "config.json").status == 0
    assert nibble("language.onnx", "-qo", "c.onnx").status == 0
    a, b, c = ((folder / f"{name}.onnx").read_bytes() for name in "abc")
    assert a == b != c
    assert printed("--config", "config.json") == config


def test_the_command_line_wins(printed, folder):
    (folder / "c.json").write_text('{"type": "int8", "per_channel": true, "decode": "auto",'
                                   ' "rules": ["b: keep"], "verbose": false, "freeze": null}')
    assert printed("--config", "c.json", "--block-size", "16", "--rule", "a: keep") == {
        "type": "int8", "block-size": 16, "decode": "auto", "rules": ["a: keep", "b: keep"]}
    assert printed("--bits-per-weight", "5", "--config", "c.json")["bits-per-weight"] == 5
    assert "type" not in printed("--bits-per-weight", "5", "--config", "c.json")
    over = printed("--config", "c.json", "--preset", "genai-int4")
    assert over["per-channel"] is True and "block-size" not in over
    assert over["format"] == "nbits-int8" and over["rules"][0] == "b: keep"


@pytest.mark.parametrize("text, words", [
    ('{"blok-size": 3}', ["there is no option 'blok-size'", "'block-size'"]),
    ('{"output": "a"}', ["'output' belongs on the command line"]),
    ('{"config": "a"}', ["'config' belongs on the command line"]),
    ('{"type": "int5"}', ["int4, uint4", "'int5'"]), ('{"type": true}', ["a text or a number"]),
    ('{"freeze": "yes"}', ["true or false"]), ('{"rules": [3, {}]}', ["a text or a number"]),
    ('{"type": "int8", "bits-per-weight": 5}', ["exclude each other"]),
    ("[]", ["is no JSON object"]), ("{", ["is not JSON"]), ("", ["is not JSON"]),
    ('{"type": "int8"} more', ["is not JSON"]), ('{"block-size": 1.5}', ["'1.5'"]),
    ('{"rules": ["a"]}', ["no settings"])])
def test_wrong_configs(nibble, folder, text, words):
    (folder / "wrong.json").write_text(text)
    run = nibble("inspect", "model.onnx", "--config", "wrong.json")
    assert run.status == 2 and run.text == "" and run.err.count("\n") == 1, run.err
    for word in words:
        assert word in run.err
    if text != '{"rules": ["a"]}':
        assert "wrong.json" in run.err


def test_no_such_config(nibble):
    run = nibble("inspect", "model.onnx", "--config", "none.json")
    assert run.status == 2 and "none.json: No such file" in run.err


def test_presets_are_listed(nibble):
    run = nibble("inspect", "model.onnx", "--preset", "wrong")
    assert run.status == 2
    for name in PRESETS:
        assert name in run.err


@pytest.mark.parametrize("preset", PRESETS)
def test_presets(nibble, folder, preset):
    """In the form that the loaders want: MatMulNBits, blocks of 32, no zero points, accuracy
    level 4. Mixed ones have the head and the embedding in 8 bits."""
    onnx.save(language_model(), folder / "language.onnx")
    run = nibble("language.onnx", "-qo", "out.onnx", "--preset", preset)
    assert (run.status, run.err) == (0, "")
    model = onnx.load(folder / "out.onnx")
    found = {node.name: node for node in model.graph.node}
    attributes = {name: {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
                  for name, node in found.items()}
    mixed = preset.endswith("mixed")
    if preset == "mixed":
        types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
        assert onnx.TensorProto.INT8 in types.values() and onnx.TensorProto.INT4 in types.values()
        return
    layer, head = attributes["/layers.1/MatMul"], attributes["/lm_head/MatMul"]
    assert found["/layers.1/MatMul"].op_type == found["/lm_head/MatMul"].op_type == "MatMulNBits"
    assert (layer["bits"], head["bits"]) == (4, 8 if mixed else 4)
    for each in layer, head:
        assert (each["block_size"], each["accuracy_level"]) == (32, 4)
    assert len([name for name in found["/layers.1/MatMul"].input if name]) == 3
    operators = {node.op_type for node in model.graph.node}
    assert ("GatherBlockQuantized" in operators) == (not mixed)


def test_presets_suit_other_models(nibble, folder):
    """A preset's patterns may match nothing, and a Conv needs no higher opset."""
    weight = np.random.default_rng(1).standard_normal((64, 32, 3, 3)).astype(np.float32)
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"])
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node], "graph", [value("x", 1, [1, 32, 8, 8])], [value("y", 1, [1, 64, 6, 6])],
        [onnx.numpy_helper.from_array(weight, "w")])
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=[
        onnx.helper.make_opsetid("", 13)]), folder / "conv.onnx")
    run = nibble("conv.onnx", "-qo", "out.onnx", "--preset", "genai-int4-mixed", "--strict")
    assert (run.status, run.err) == (0, "")
    assert onnx.load(folder / "out.onnx").opset_import[0].version == 13
    assert models.codes(folder / "out.onnx")


def test_inspect_says_what_it_does_not_use(nibble, folder):
    (folder / "config.json").write_text('{"until": "snr>=30", "data": "samples", "type": "int8"}')
    run = nibble("inspect", "model.onnx", "--config", "config.json")
    assert run.status == 0 and "int8" in run.text
    assert run.err == ("nibble: warning: inspect makes no codes, so it does not use --until of "
                       "the config\n")
    (folder / "config.json").write_text('{"threads": 2, "type": "int8"}')
    assert nibble("inspect", "model.onnx", "--config", "config.json").err == ""
