"""Models that are quantized already, in part or in whole, by nibble or by the tools of ONNX
Runtime. Their scales, zero points and codes are not weights."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import runtime

FORMS = {
    "run": [], "block": ["--block-size", "32"], "channel": ["--per-channel"],
    "asymmetric": ["--type", "uint4", "--asymmetric", "--block-size", "32"],
    "auto": ["--decode", "auto"], "load": ["--decode", "load"],
    "load-block": ["--decode", "load", "--block-size", "32", "--asymmetric", "--type", "uint4"],
    "portable": ["--decode", "portable"],
    "portable-block": ["--decode", "portable", "--block-size", "32"],
    "nbits": ["--format", "nbits", "--block-size", "32"],
    "generic": ["--target", "generic", "--block-size", "32"],
    "int8": ["--type", "int8"], "int8-portable": ["--type", "int8", "--decode", "portable"],
    "half": ["--scale-type", "float16", "--block-size", "32"],
    "wide": ["--embedding-type", "int8", "--block-size", "32"],
}
PARTS = ("_codes", "_scale", "_zero_point")
K = 128


def array(name, *shape):
    rng = np.random.default_rng(list(name.encode()))
    return numpy_helper.from_array(rng.standard_normal(shape).astype("f4") / 8, name)


def two_of_each():
    """Two tables, two MatMuls and two Convs. One of each kind is called head."""
    nodes, tensors = [], []
    for part in ("stem", "head"):
        table = f"{part}.table"
        nodes += [helper.make_node("Gather", [table, "ids"], [f"{part}.rows"]),
                  helper.make_node("MatMul", [f"{part}.rows", f"{part}.matrix"], [f"{part}.sum"]),
                  helper.make_node("Transpose", [f"{part}.sum"], [f"{part}.turned"], perm=[0, 2, 1]),
                  helper.make_node("Conv", [f"{part}.turned", f"{part}.filter"], [f"{part}.y"])]
        tensors += [array(table, 90, K), array(f"{part}.matrix", K, 64),
                    array(f"{part}.filter", 32, 64, 3)]
    nodes.append(helper.make_node("Add", ["stem.y", "head.y"], ["Y"]))
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, 9])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


FEED = {"ids": np.arange(9).reshape(1, 9) * 7}


def values(path):
    return {t.name: (t.data_type, tuple(t.dims), t.raw_data)
            for t in onnx.load(path).graph.initializer}


def parts(tensors, name):
    """The codes, scales and zero points of a weight."""
    return {key[len(name):]: value for key, value in tensors.items() if key.startswith(name)}


@pytest.mark.parametrize("form", FORMS)
def test_again_changes_nothing(form, quantize, tmp_path):
    first = quantize(two_of_each(), *FORMS[form], output="first.onnx")
    assert len(first.names) == 6
    for options in ([], ["--type", "int8"], ["--decode", "portable", "--block-size", "16"],
                    ["--min-elements", "1", "--include", "."]):
        second = quantize(first.output, *options)
        assert not second.names, second.report["weights"]
        assert second.output.read_bytes() == first.output.read_bytes()
        assert sum(row["weights"] for row in second.report["already"]) == 6
        for row in second.report["already"]:
            wide = "int8" in form or (form == "wide" and row["form"] == "Gather")
            assert row["type"] == ("int8" if wide else "int4"), row


@pytest.mark.parametrize("rest", [["--type", "int8"], ["--type", "int8", "--decode", "portable"]],
                         ids=["int8", "int8-portable"])
@pytest.mark.parametrize("form", FORMS)
def test_two_passes_are_one(form, rest, quantize):
    """The example of the manual: each weight is as one pass would have made it."""
    model = two_of_each()
    first = quantize(model, *FORMS[form], "--exclude", "^stem[.]", output="first.onnx")
    both = quantize(first.output, *rest, output="both.onnx")
    alone = {"head": quantize(model, *FORMS[form], output="a.onnx").output,
             "stem": quantize(model, *rest, output="b.onnx").output}
    assert {n.split(".")[0] for n in first.names} == {"head"}
    assert {n.split(".")[0] for n in both.names} == {"stem"}
    found = values(both.output)
    for part, path in alone.items():
        wanted = values(path)
        for weight in ("table", "matrix", "filter"):
            name = f"{part}.{weight}"
            assert parts(found, name) == parts(wanted, name)
    rival = runtime.run_ort(first.output, [FEED])[0][0]
    assert runtime.difference(rival, runtime.run_ort(both.output, [FEED])[0][0]) < .05


def test_is_told(run, quantize):
    first = quantize(two_of_each(), "--exclude", "^stem[.]", output="first.onnx")
    done = run("inspect", first.output)
    assert done.returncode == 0
    lines = done.stdout.decode().splitlines()
    told = next(line for line in lines if line.startswith("already"))
    assert "2 of 6 weights (DequantizeLinear)" in told
    assert "1 of 6 weights (Gather)" in told
    assert told.endswith("; 3 float weights left")
    report = json.loads(run("inspect", first.output, "--json", "-").stdout)
    assert {(r["form"], r["weights"]) for r in report["already"]} == {
        ("DequantizeLinear", 2), ("Gather", 1)}


# ---- other tools --------------------------------------------------------------

class Feeds:
    def __init__(self):
        self.left = [FEED] * 4

    def get_next(self):
        return self.left.pop() if self.left else None


def dynamic(source, output):
    from onnxruntime.quantization import quantize_dynamic
    quantize_dynamic(source, output)


def static(source, output, **options):
    from onnxruntime.quantization import QuantFormat, quantize_static
    options["quant_format"] = getattr(QuantFormat, options["quant_format"])
    quantize_static(source, output, Feeds(), **options)


def nbits(source, output):
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    quantizer = MatMulNBitsQuantizer(onnx.load(source), block_size=32, is_symmetric=False)
    quantizer.process()
    quantizer.model.save_model_to_file(str(output))


TOOLS = {
    "dynamic": dynamic, "nbits": nbits,
    "qdq": lambda a, b: static(a, b, quant_format="QDQ"),
    "qdq-channel": lambda a, b: static(a, b, quant_format="QDQ", per_channel=True),
    "operators": lambda a, b: static(a, b, quant_format="QOperator"),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_other_tools(tool, quantize, tmp_path):
    source, quantized = tmp_path / "float.onnx", tmp_path / "quantized.onnx"
    onnx.save(two_of_each(), source)
    try:
        TOOLS[tool](source, quantized)
    except ImportError as missing:
        pytest.skip(str(missing))
    result = quantize(quantized)
    before, after = values(quantized), values(result.output)
    assert result.report["already"]
    # Everything that was not a float weight before is unchanged.
    for name, value in before.items():
        if name not in result.names:
            assert after[name] == value, name
    left = {name for name in before if name.count(".") == 1 and value_is_weight(before[name])}
    assert result.names <= left
    rivals = [runtime.run_ort(path, [FEED])[0][0] for path in (quantized, result.output)]
    assert runtime.difference(*rivals) < .3


def value_is_weight(value):
    return value[0] == TensorProto.FLOAT and len(value[1]) >= 2


def test_scales_by_other_tools(quantize):
    """Codes, scales and zero points are gathered, because ONNX Runtime's tool writes a table
    so."""
    def node(op_type, inputs, out, **attributes):
        return helper.make_node(op_type, inputs, [out], **attributes)
    rng = np.random.default_rng(1)
    shape = (500, 12, 1)
    tensors = {"E_Q": rng.integers(0, 256, (500, 12, 32)).astype(np.uint8),
               "E_s": rng.random(shape).astype("f4"), "E_z": np.full(shape, 128, np.uint8),
               "shape": np.array([16, 384])}
    nodes = [node("Gather", ["E_Q", "ids"], "q"), node("Gather", ["E_s", "ids"], "s"),
             node("Gather", ["E_z", "ids"], "z"), node("Cast", ["q"], "qf", to=1),
             node("Cast", ["z"], "zf", to=1), node("Sub", ["qf", "zf"], "d"),
             node("Mul", ["s", "d"], "e"), node("Reshape", ["e", "shape"], "Y")]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("ids", TensorProto.INT64, [16])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, k) for k, v in tensors.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    result = quantize(model)
    assert not result.names
    assert "scale" in result.reasons["E_s"]
    assert result.report["already"] == [{"type": "int8", "form": "Gather", "weights": 1}]


def test_a_table_beside_a_decoded_one_is_a_weight(quantize):
    """Token rows are added to position rows, which were quantized before."""
    nodes = [helper.make_node("Gather", ["tokens", "ids"], ["t"]),
             helper.make_node("Gather", ["positions", "ids"], ["p"]),
             helper.make_node("Add", ["t", "p"], ["Y"])]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, 9])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
        [array("tokens", 90, K), array("positions", 91, K)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    first = quantize(model, "--include", "positions", output="first.onnx")
    assert quantize(first.output).names == {"tokens"}
