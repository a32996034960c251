"""Finds out which runtime loads which form. Every cell of the table is run.

    python bench/runtimes.py [--nibble build/nibble] [--models build/models]
                             [--only RE] [--json FILE]

Quantizes a CNN, a language model and a sentence encoder in each form, and runs them in
each runtime on real inputs. Beside them are two generated models: a tied embedding, whose rows
are columns of the stored matrix, and a mixture of experts in one operator. A cell counts models
that run and agree with ONNX Runtime within the tolerance of the runtime. Only models that the
runtime runs as float count. The runtimes are installed into build/ once. Prints Markdown. Ends
with 1 if a model for a --target does not run in a runtime that this target names.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "models"))
import elsewhere  # noqa: E402
import environments  # noqa: E402
import feeds  # noqa: E402

FORMS = {
    "float": None,
    "default": [],
    "block 32": ["--block-size", "32"],
    "per channel": ["--per-channel"],
    "load": ["--decode", "load"],
    "portable": ["--decode", "portable"],
    "nbits": ["--format", "nbits"],
    "int8": ["--type", "int8"],
}
# What --target promises: the runtimes, by their names, that load all models.
TARGETS = {"onnxruntime": "ONNX Runtime", "onnxruntime-web": "onnxruntime-", "openvino": "OpenVINO",
           "generic": "onnx.reference", "portable": "."}
FORMS |= {f"target {name}": ["--target", name] for name in TARGETS}
EXACT, INT8 = 1e-4, 3e-2  # activations in float; rounded to int8 by the runtime


def python(kind, version, *packages, tolerance=EXACT, numpy_version="numpy<3"):
    def run(jobs):
        name = f"{kind}-{version}"
        program = environments.python(name, *packages, numpy_version)
        return elsewhere.run(program, kind, jobs)
    return run, "npz", tolerance


def node(package, version):
    def run(jobs):
        folder = environments.node(f"{package}-{version}", f"{package}@{version}")
        return elsewhere.run_node(folder, package, jobs)
    return run, "json", EXACT


def ort(version):
    return python("onnxruntime", version, f"onnxruntime=={version}")


RUNTIMES = {
    "ONNX Runtime 1.22": ort("1.22.1"),
    "ONNX Runtime 1.24": ort("1.24.3"),
    "ONNX Runtime 1.27": ort("1.27.0"),
    "ONNX Runtime 1.32": ort("1.32.0"),
    "onnxruntime-node 1.30": node("onnxruntime-node", "1.30.0"),
    "onnxruntime-web 1.30": node("onnxruntime-web", "1.30.0"),
    "onnx.reference 1.23": python("reference", "1.23.2", "onnx==1.23.2"),
    "OpenVINO 2026.4": python("openvino", "2026.4.1", "openvino==2026.4.1", tolerance=INT8),
    "tract 0.23": python("tract", "0.23.9", "tract==0.23.9"),
    "OpenCV 5.0": python("opencv", "5.0.0.93", "opencv-python-headless==5.0.0.93"),
}


def generated(name, nodes, inputs, weights, extra=()):
    """(model, feed). The output is Y."""
    rng = np.random.default_rng(1)
    made = [numpy_helper.from_array((rng.standard_normal(shape) / 8).astype(np.float32), key)
            for key, shape in weights.items()]
    values = [helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
              for key, x in inputs.items()]
    output = helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, name, values, [output], made)
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in extra)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8), inputs


def tied():
    nodes = [helper.make_node("Transpose", ["E"], ["rows"], perm=[1, 0]),
             helper.make_node("Gather", ["rows", "ids"], ["h"]),
             helper.make_node("MatMul", ["h", "E"], ["Y"])]
    return generated("tied", nodes, {"ids": np.array([[5, 0, 799]])}, {"E": (256, 800)})


def experts():
    rng = np.random.default_rng(2)
    x, router = (rng.standard_normal((5, n)).astype(np.float32) for n in (128, 4))
    node_ = helper.make_node("MoE", ["X", "R", "up", "", "down"], ["Y"], domain="com.microsoft",
                             k=2, activation_type="silu", normalize_routing_weights=1)
    return generated("experts", [node_], {"X": x, "R": router},
                     {"up": (4, 128, 128), "down": (4, 128, 128)}, ["com.microsoft"])


GENERATED = {"tied": tied, "experts": experts}


def save(path, names, arrays):
    """Saves the arrays for both kinds of runner."""
    np.savez(f"{path}.npz", **dict(zip(names, arrays)))
    table = {name: {"type": str(a.dtype), "dims": list(a.shape), "values": a.ravel().tolist()}
             for name, a in zip(names, arrays)}
    pathlib.Path(f"{path}.json").write_text(json.dumps(table))


def make(nibble, models, folder):
    """{form: [stem of a job]}. A job is STEM.onnx with its feeds and wanted outputs."""
    stems = {form: [] for form in FORMS}
    pairs = [(model, feeds.inputs(model, 1)) for model in models]
    for name, function in GENERATED.items():
        model, feed = function()
        onnx.save(model, folder / f"{name}.onnx")
        pairs.append((folder / f"{name}.onnx", feed))
    for model, feed in pairs:
        for form, options in FORMS.items():
            stem = folder / f"{model.stem}-{form.replace(' ', '-')}"
            output = f"{stem}.onnx"
            if options is None:
                pathlib.Path(output).symlink_to(model.resolve())
            else:
                subprocess.run([nibble, model, "-o", output, "-q", *options], check=True)
            session = feeds.session(output, threads=1)
            names = [out.name for out in session.get_outputs()]
            save(f"{stem}.feed", feed, feed.values())
            save(f"{stem}.wanted", names, session.run(None, feed))
            stems[form].append(stem)
    return stems


def ask(runtime, stems):
    """{form: [True if it is right, answer]}"""
    run, kind, tolerance = RUNTIMES[runtime]
    jobs = [(f"{stem}.onnx", f"{stem}.feed.{kind}", f"{stem}.wanted.{kind}")
            for form in FORMS for stem in stems[form]]
    answers = iter(run(jobs))
    return {form: [(not isinstance(answer, str) and answer <= tolerance, answer)
                   for answer in (next(answers) for _ in stems[form])] for form in FORMS}


def cell(of_float, answers):
    known = [i for i, (fine, _) in enumerate(of_float) if fine]
    right = sum(answers[i][0] for i in known)
    if not known or right == 0:
        return "no"
    return "yes" if right == len(known) else f"{right} of {len(known)}"


def reason(answer):
    """The line of an error that says most, or the difference."""
    text = re.split(r"\n\s*(?:Stack backtrace|Summary):", str(answer))[0]
    return text.strip().splitlines()[-1].strip()[:150]


def show(results):
    forms = list(FORMS)[1:]
    print("| runtime | models | " + " | ".join(forms) + " |\n" + "|---" * (len(forms) + 2) + "|")
    for runtime, answers in results.items():
        of_float = answers["float"]
        cells = [cell(of_float, answers[form]) for form in forms]
        print(f"| {runtime} | {sum(fine for fine, _ in of_float)} | " + " | ".join(cells) + " |")
    print()
    for runtime, answers in results.items():
        reasons = {}
        for form, column in answers.items():
            for fine, answer in column:
                if not fine:
                    reasons.setdefault(reason(answer), set()).add(form)
        for text, found in reasons.items():
            print(f"- {runtime}, {', '.join(f for f in FORMS if f in found)}: {text}")


def broken_promises(results):
    for target, names in TARGETS.items():
        for runtime, answers in results.items():
            column = cell(answers["float"], answers[f"target {target}"])
            if re.search(names, runtime) and column != "yes":
                yield f"--target {target} in {runtime}: {column}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--nibble", default="build/nibble")
    parser.add_argument("--models", default="build/models", type=pathlib.Path)
    parser.add_argument("--only", default=".")
    parser.add_argument("--json")
    args = parser.parse_args()
    models = [HERE.parent / "models" / "fashion_cnn_ts17.onnx",
              HERE.parent / "models" / "bible_lm_ts17.onnx", args.models / "minilm.onnx"]
    with tempfile.TemporaryDirectory() as folder:
        stems = make(args.nibble, [m for m in models if m.exists()], pathlib.Path(folder))
        results = {}
        for runtime in RUNTIMES:
            if re.search(args.only, runtime):
                results[runtime] = ask(runtime, stems)
    show(results)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(results, indent=2))
    broken = list(broken_promises(results))
    for line in broken:
        print(f"- BROKEN: {line}")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
