"""The bytes are the same for any number of threads, for any kernels, and for any way that the
model comes in. They are also the same whether errors are measured or not (-q uses other
kernels)."""

import gzip
import itertools

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import build
from build import LAYERS
from forms_check import FORMS
from oracle import Scheme

SCHEMES = [Scheme(), Scheme("int4", 32), Scheme("uint4", 7), Scheme("int8", "channel"),
           Scheme("uint8", "tensor"), Scheme("uint4", "channel", symmetric=True)]
MODELS = ["fashion_cnn_dynamo18.onnx", "bible_lm_dynamo18.onnx"]
THREADS = [1, 2, 3, 8]


@pytest.fixture(scope="session")
def cpus(run, tmp_path_factory):
    """The kernels that run on this CPU. The others are refused by name."""
    folder = tmp_path_factory.mktemp("cpus")
    layer = LAYERS["matmul"]
    onnx.save(build.layer_model(layer, build.weight(layer)), folder / "in.onnx")
    found = []
    for name in ("scalar", "avx2", "avx512"):
        done = run(folder / "in.onnx", "-o", folder / "out.onnx", "--cpu", name)
        if done.returncode == 0:
            found.append(name)
        else:
            assert done.returncode == 2 and name.encode() in done.stderr
    assert "scalar" in found
    return found


def outputs(run, tmp_path, variants, stdin=None):
    """The bytes that each variant of the command line writes."""
    made = {}
    for words in variants:
        out = tmp_path / "out.onnx"
        done = run("quantize", *words, "-o", out, stdin=stdin)
        assert done.returncode == 0, done.stderr
        made[words] = out.read_bytes()
    return made


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_threads_and_kernels(name, scheme, real_model, run, cpus, tmp_path):
    variants = [(real_model(name), *scheme.options(), "--threads", threads, "--cpu", cpu)
                for threads, cpu in itertools.product(THREADS, cpus)]
    variants += [(*variant, "-q") for variant in variants]
    variants.append((real_model(name), *scheme.options()))
    assert len(set(outputs(run, tmp_path, variants).values())) == 1


@pytest.mark.parametrize("method", ["search", "exact"])
@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_methods(scheme, method, real_model, run, cpus, tmp_path):
    """The methods' sums, and how they decide between two equally good scales."""
    variants = [(real_model(MODELS[0]), *scheme.options(), "--method", method,
                 "--threads", threads, "--cpu", cpu)
                for threads, cpu in itertools.product((1, 3), cpus)]
    assert len(set(outputs(run, tmp_path, variants).values())) == 1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", MODELS)
def test_forms(name, form, real_model, run, cpus, tmp_path):
    variants = [(real_model(name), *FORMS[form], "--threads", threads, "--cpu", cpu, *quiet)
                for threads, cpu, quiet in itertools.product(THREADS, cpus, [(), ("-q",)])]
    assert len(set(outputs(run, tmp_path, variants).values())) == 1


@pytest.mark.parametrize("dtype", ["float", "float16", "bfloat16", "double"])
@pytest.mark.parametrize("layer", ["matmul-odd", "matmul-rank3", "gemm-transb", "conv2d",
                                   "transpose2d", "matmul-column"])
def test_small_models(layer, dtype, run, cpus, tmp_path):
    """Odd shapes and special values, which kernels may treat in a different way."""
    layer = LAYERS[layer]
    w = build.extremes(layer, dtype)
    path = tmp_path / "in.onnx"
    onnx.save(build.layer_model(layer, w, dtype=dtype), path)
    for scheme, method in itertools.product(SCHEMES, ("rtn", "search")):
        variants = [(path, *scheme.options(), "--method", method, "--min-elements", 16,
                     "--threads", t, "--cpu", cpu) for t, cpu in itertools.product((1, 3), cpus)]
        variants += [(*variant, "-q") for variant in variants]
        assert len(set(outputs(run, tmp_path, variants).values())) == 1, (scheme, method)


@pytest.mark.parametrize("command", ["quantize", "upgrade"])
@pytest.mark.parametrize("name", MODELS)
def test_ways_in(name, command, real_model, run, tmp_path):
    model = onnx.load(real_model(name))
    raw = model.SerializeToString()
    (tmp_path / "in.onnx").write_bytes(raw)
    (tmp_path / "in.onnx.gz").write_bytes(gzip.compress(raw))
    onnx.save(model, tmp_path / "external.onnx", save_as_external_data=True,
              location="external.data", size_threshold=0)
    ways = [("in.onnx", None), ("in.onnx.gz", None), ("external.onnx", None), ("-", raw),
            ("-", gzip.compress(raw))]
    made = set()
    for path, stdin in ways:
        out = tmp_path / "out.onnx"
        done = run(command, tmp_path / path if stdin is None else path, "-o", out, stdin=stdin)
        assert done.returncode == 0, done.stderr
        made.add(out.read_bytes())
    assert len(made) == 1


@pytest.mark.parametrize("name", MODELS)
def test_external_data_too(name, real_model, run, tmp_path):
    """The data file, too, which several threads fill. Its name depends on its contents."""
    made = set()
    for threads in THREADS:
        out = tmp_path / "out.onnx"
        assert run(real_model(name), "-o", out, "--external-data",
                   "--threads", threads).returncode == 0
        data = [(p.name, p.read_bytes()) for p in tmp_path.glob("out.onnx.*.data")]
        assert len(data) == 1
        made.add((out.read_bytes(), *data))
    assert len(made) == 1


def stored(path):
    """The bytes of codes, scales and zero points, whatever their names are."""
    return sorted(t.raw_data for t in onnx.load(path).graph.initializer if len(t.raw_data) > 1000)


@pytest.mark.parametrize("options", [(), ("--type", "uint4", "--block-size", 32)], ids=str)
def test_large_weight_is_turned(options, run, tmp_path):
    """A weight of several panels is stored like its transpose, which needs no transposing."""
    w = np.random.default_rng(0).standard_normal((5002, 4100), dtype=np.float32)
    made = []
    for name, value, node in (
            ("gemm", w, helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)),
            ("matmul", np.ascontiguousarray(w.T), helper.make_node("MatMul", ["x", "w"], ["y"]))):
        io = [helper.make_tensor_value_info("x", 1, [1, 4100]),
              helper.make_tensor_value_info("y", 1, [1, 5002])]
        graph = helper.make_graph([node], "g", io[:1], io[1:], [numpy_helper.from_array(value, "w")])
        path = tmp_path / f"{name}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)],
                                    ir_version=10), path)
        for threads in (1, 2):
            out = tmp_path / "out.onnx"
            assert run(path, "-o", out, "-q", "--method", "rtn", "--threads", threads,
                       *options).returncode == 0
            made.append(stored(out))
    assert len(made[0]) >= 2
    assert all(m == made[0] for m in made)


def test_report_too(real_model, run, tmp_path):
    """Errors in dB are sums, and their order must not depend on threads."""
    reports = set()
    for threads in THREADS:
        done = run(real_model(MODELS[1]), "-o", tmp_path / "out.onnx", "--threads", threads,
                   "--json", "-")
        reports.add(done.stdout)
    assert len(reports) == 1
