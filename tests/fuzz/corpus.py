#!/usr/bin/env python3
"""Writes seeds for the fuzz targets: FOLDER/TARGET/seed-NAME.

    corpus.py FOLDER

The models of this repository are among the seeds, with weights that are cut to a few values.
Every kind of thing that nibble looks at is in one of the models: operators that carry weights,
Constant nodes, bodies, functions, typed values, external and sparse data, old opsets, NaNs.
For `quantize` seven bytes of options come before the model, for `upgrade` one."""
import gzip
import itertools
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e/helpers"))
import upgrade_rows  # noqa: E402

MOST = 16  # elements along an axis of a weight of a real model
ROW_TRIALS = 2
rng = np.random.default_rng(1)


def weight(name, shape, dtype=np.float32):
    return numpy_helper.from_array(rng.standard_normal(shape).astype(dtype), name)


def typed(name, shape, data_type=TensorProto.FLOAT):
    values = rng.standard_normal(shape).astype(np.float32).ravel()
    return helper.make_tensor(name, data_type, shape, values)


def info(name, data_type=TensorProto.FLOAT, shape=None):
    return helper.make_tensor_value_info(name, data_type, shape)


def graph(nodes, initializers=(), inputs=("X",), outputs=("Y",)):
    return helper.make_graph(nodes, "g", [info(i) for i in inputs], [info(o) for o in outputs],
                             list(initializers))


def model(main, opset=21, ir=10, functions=()):
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)]
    return helper.make_model(main, opset_imports=imports, ir_version=ir, functions=functions)


def node(op_type, inputs, outputs, **attributes):
    return helper.make_node(op_type, inputs.split(), outputs.split(), **attributes)


def one(op_type, tensor, opset=21, ir=10, **attributes):
    return model(graph([node(op_type, "X W", "Y", **attributes)], [tensor]), opset, ir)


def operators():
    yield "matmul", one("MatMul", weight("W", (33, 5)))
    yield "matmul3", one("MatMul", weight("W", (2, 17, 3)))
    yield "gemm", one("Gemm", weight("W", (8, 40)), transB=1)
    yield "conv", one("Conv", weight("W", (6, 5, 3, 3)))
    yield "depthwise", one("ConvTranspose", weight("W", (8, 1, 3, 3)), group=8)
    yield "transposed", one("ConvTranspose", weight("W", (8, 4, 3)))
    yield "table", one("Gather", weight("W", (33, 32)))
    yield "einsum", one("Einsum", weight("W", (33, 8)), equation="mk,kn->mn")
    yield "lstm", one("LSTM", weight("W", (1, 32, 8)), hidden_size=8)
    for dtype in (np.float16, np.float64):
        yield np.dtype(dtype).name, one("MatMul", weight("W", (32, 8), dtype))


def values():
    yield "typed", one("MatMul", typed("W", (64, 32)))
    yield "typed16", one("MatMul", typed("W", (16, 8), TensorProto.FLOAT16))
    yield "bfloat16", one("MatMul", typed("W", (16, 8), TensorProto.BFLOAT16))
    bad = rng.standard_normal((32, 8)).astype(np.float32)
    bad[3, 3] = np.nan
    yield "nan", one("MatMul", numpy_helper.from_array(bad, "W"))
    yield "tiny", one("MatMul", numpy_helper.from_array(np.full((32, 8), 1e-40, np.float32), "W"))
    external = weight("W", (32, 8))
    external.ClearField("raw_data")
    external.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "w"), ("offset", "16"), ("length", "1024")):
        external.external_data.add(key=key, value=value)
    yield "external", one("MatMul", external)
    sparse = helper.make_sparse_tensor(weight("W", (4,)), numpy_helper.from_array(
        np.arange(4, dtype=np.int64), ""), [8, 8])
    main = graph([node("MatMul", "X W", "Y")])
    main.sparse_initializer.append(sparse)
    yield "sparse", model(main)


def structures():
    constant = node("Constant", "", "W", value=weight("", (32, 8)))
    yield "constant", model(graph([constant, node("MatMul", "X W", "Y")]))
    inner = helper.make_graph([node("MatMul", "X V", "t"), node("MatMul", "X W", "u")], "body",
                              [], [info("t")], [weight("V", (32, 8))])
    branch = node("If", "c", "Y", then_branch=inner, else_branch=inner)
    yield "branches", model(graph([branch], [weight("W", (32, 8))]))
    function = helper.make_function(
        "local", "f", ["a"], ["b"], [constant, node("MatMul", "a W", "b")],
        [helper.make_opsetid("", 21)])
    call = node("f", "X", "Y", domain="local")
    yield "function", model(graph([call]), functions=[function])
    shared = [node("MatMul", "X W", "a"), node("Gemm", "X W", "b"), node("Add", "a b", "Y")]
    yield "shared", model(graph(shared, [weight("W", (32, 8))]))
    yield "input", model(graph([node("MatMul", "X W", "Y")], [weight("W", (32, 8))],
                               inputs=("X", "W")), ir=3, opset=8)


def chains():
    def ints(name, *values):
        return numpy_helper.from_array(np.array(values, np.int64), name)

    steps = [node("Slice", "W s e", "a"), node("Concat", "a a", "b", axis=0),
             node("Split", "b", "c d", axis=1), node("Reshape", "c shape", "f"),
             node("Unsqueeze", "f axes", "g"), node("Squeeze", "g axes", "h"),
             node("Transpose", "h", "i", perm=[1, 0]), node("Cast", "i", "j", to=1),
             node("MatMul", "X j", "Y"), node("MatMul", "X d", "Z")]
    yield "chain", model(graph(steps, [weight("W", (33, 16)), ints("s", 1), ints("e", 33),
                                       ints("shape", 8, -1), ints("axes", 0)]))
    turned = [node("Transpose", "W", "T"), node("MatMul", "X T", "a"), node("Identity", "W", "I"),
              node("MatMul", "a I", "Y")]
    yield "turned", model(graph(turned, [weight("W", (32, 40))]))
    body = helper.make_graph([node("MatMul", "x w", "y")], "body",
                             [info("i"), info("go"), info("x"), info("w")],
                             [info("go"), info("y"), info("w")])
    loop = node("Loop", "M c X W", "Y after", body=body)
    yield "loop", model(graph([loop], [weight("W", (32, 32))]))
    function = helper.make_function("local", "f", ["a", "w"], ["b"], [node("MatMul", "a w", "b")],
                                    [helper.make_opsetid("", 21)])
    yield "argument", model(graph([node("f", "X W", "Y", domain="local")],
                                  [weight("W", (32, 8))]), functions=[function])


def upgrades():
    axes = [node("Squeeze", "X", "a", axes=[0]), node("ReduceSum", "a", "b", axes=[1]),
            node("Unsqueeze", "b", "c", axes=[0]), node("Softmax", "c", "d", axis=1),
            node("Split", "d", "e h", axis=0, split=[1, 1]), node("Clip", "e", "f", min=0.0),
            node("Pad", "f", "g", pads=[0, 0, 1, 1], mode="constant", value=0.5),
            node("MatMul", "g W", "Y")]
    for opset in (7, 9, 10, 11, 12, 13, 17, 18):
        yield f"opset{opset}", model(graph(axes, [weight("W", (32, 8))]), opset, 6)
    resize = [node("Upsample", "X S", "a", mode="nearest"), node("Dropout", "a", "b", ratio=0.5),
              node("TopK", "b", "c d", k=3), node("Slice", "c", "Y", starts=[0], ends=[1])]
    yield "resize", model(graph(resize, [weight("S", (4,))]), 9, 4)


def rows():
    """Each row of docs/upgrading.md, from the first and the last opset before it."""
    for op_type, version, first, case in upgrade_rows.ROWS:
        for opset in sorted({first, version - 1}):
            for i, trial in enumerate(itertools.islice(case(opset), ROW_TRIALS)):
                yield f"row-{op_type}-{version}-from-{opset}-{i}", trial.model(opset)


def cut(tensor):
    array = numpy_helper.to_array(tensor)
    if array.size > MOST:
        small = array[tuple(slice(0, MOST) for _ in array.shape)]
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(small), tensor.name))


def real():
    """Whole graphs of exporters and of other quantizers. Their shapes no longer fit."""
    folders = (ROOT / "models", ROOT / "tests/python/foreign")
    for path in sorted(path for folder in folders for path in folder.glob("*.onnx")):
        proto = onnx.load(path)
        for tensor in proto.graph.initializer:
            cut(tensor)
        for item in proto.graph.node:
            item.ClearField("metadata_props")
            for attribute in item.attribute:
                if attribute.type == onnx.AttributeProto.TENSOR:
                    cut(attribute.t)
        yield f"real-{path.stem}", proto


EXTERNAL = ["location=w\noffset=16\nlength=1024", "location=w\noffset=0",
            "location=link\nlength=1024", "location=./w\nlength=1024\nchecksum=x",
            "location=../w\nlength=1", "location=/dev/zero\nlength=1024", "location=pipe",
            "location=folder/../w\nlength=1024", "location=circle",
            "location=w\noffset=9223372036854775807\nlength=1024", "location=m.onnx\nlength=1024"]
OPTIONS = ["--type\nint8\n--block-size\n32", "--rule\nop=MatMul: type=int8,per-channel",
           "--rule\n?/x/: keep\n--rule\nrole=head: decode=load", "--include\n^(W|V)$\n-v",
           "--exclude\ngraph=If.*", "--bits-per-weight\n4.5\n--asymmetric", "--min-snr=20",
           "--preset\ngenai-int4-mixed", "--target\nopenvino\n--format\nnbits",
           '--config\nc.json\0{"type": "uint4", "rules": ["op=Gather: keep"], "threads": 1}',
           '--config\nc.json\n--print-config\0{"block-size": 64, "include": "[WV]"}',
           "--json\n-\n--strict\n--max-size\n100000"]


def packed():
    for level in (1, 9):
        yield gzip.compress(b"some bytes" * 100, level, mtime=0)
    yield gzip.compress(b"one") + gzip.compress(b"two") + b"rest"
    yield b"\x1f\x8b\x08\x1c\0\0\0\0\0\xff\2\0abname\0comment\0\3\0\0\0\0\0\0\0\0\0"


def main():
    folder = pathlib.Path(sys.argv[1])

    def save(target, name, data):
        (folder / target).mkdir(parents=True, exist_ok=True)
        (folder / target / f"seed-{name}").write_bytes(data)

    options = itertools.cycle([b"\0\0\0\0\0\1\0", b"\1\0\0\0\0\1\2", b"\2\1\0\0\1\1\1",
                               b"\3\2\0\0\0\2\5", b"\0\x17\0\0\4\1\0", b"\6\3\0\x30\x10\0\3",
                               b"\0\0\2\0\x80\x31\0"])
    seeds = itertools.chain(operators(), values(), structures(), chains(), upgrades(), real())
    for (name, proto), prefix in zip(seeds, options):
        data = proto.SerializeToString()
        save("quantize", name, prefix + data)
        save("read", name, data)
        save("upgrade", name, prefix[:1] + data)
    for name, proto in rows():
        data = proto.SerializeToString()
        save("upgrade", name, b"\0" + data)
        save("rows", name, data)
    for target, texts in (("external", EXTERNAL), ("options", OPTIONS)):
        for i, text in enumerate(texts):
            save(target, i, text.encode())
    for i, data in enumerate(packed()):
        save("gzip", i, data)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()
