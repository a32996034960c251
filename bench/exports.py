"""Exports common architectures with PyTorch and quantizes them in every form.

    python bench/exports.py [--nibble build/nibble] [--folder build/exports] [--only RE]
                            [--exporter dynamo|torchscript] [--keep]

A row says how many of the float weights' bytes are quantized, the SNR of the outputs, and
whether every form holds: onnx.checker takes it, ONNX Runtime loads it, and it answers as
the portable form does without optimizations, where the weights are decoded by Cast, Mul and
the like. Below the table are the reasons why weights stay float. Ends with 1 if a form does not
hold. Models are exported once; --keep takes those of the last run.
"""

import argparse
import collections
import json
import logging
import pathlib
import re
import subprocess
import sys
import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import helper

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "models"))

MODES = {"default": [], "auto": ["--decode", "auto"], "load": ["--decode", "load"],
         "portable": ["--decode", "portable"], "nbits": ["--format", "nbits"]}
SAME = 60  # dB: rounding of float32 along some layers
EXACT = ("session.qdq_matmulnbits_accuracy_level", "1")  # activations stay float


# ---- export -----------------------------------------------------------------------------


def export(name, exporter, path):
    """Writes the model to `path` and its inputs to an .npz beside it."""
    import torch

    from architectures import ARCHITECTURES

    def write(inputs, to):
        more = {"dynamo": True, "verbose": False} if exporter == "dynamo" else {
            "dynamo": False, "opset_version": 17}
        torch.onnx.export(model, inputs, str(to), external_data=False, **more)

    torch.manual_seed(0)
    model, inputs = ARCHITECTURES[name]()
    model = model.eval()
    with torch.no_grad():
        if name == "whisper_decoder":
            parts = [path.with_suffix(f".{part}") for part in ("past", "start")]
            write(inputs, parts[0])
            write(inputs[:2], parts[1])
            onnx.save(merged(*map(onnx.load, parts)), path)
            inputs = (torch.tensor([True]), *inputs)
        else:
            write(inputs, path)
    names = [value.name for value in onnx.load(path).graph.input]
    np.savez(path.with_suffix(".npz"), **dict(zip(names, (t.numpy() for t in inputs))))


def merged(past, start):
    """A merged decoder: one If with both models as branches. Initializers lie outside, and
    equal ones once."""
    outside = {}
    for prefix, model in (("past_", past), ("start_", start)):
        names = {a.name: b.name for a, b in zip(model.graph.input, past.graph.input)}
        for tensor in model.graph.initializer:
            key = (tensor.data_type, tuple(tensor.dims), tensor.raw_data)
            names[tensor.name] = outside.setdefault(key, (prefix + tensor.name, tensor))[0]
        rename(model.graph, lambda name, n=names, p=prefix: n.get(name, name and p + name))
    for name, tensor in outside.values():
        tensor.name = name
    count = len(start.graph.output)
    branches = [helper.make_graph(model.graph.node, "branch", [], model.graph.output[:count])
                for model in (past, start)]
    outputs = [helper.make_tensor_value_info(f"output_{i}", onnx.TensorProto.FLOAT, None)
               for i in range(count)]
    choice = helper.make_tensor_value_info("use_cache_branch", onnx.TensorProto.BOOL, [1])
    node = helper.make_node("If", [choice.name], [output.name for output in outputs],
                            then_branch=branches[0], else_branch=branches[1])
    graph = helper.make_graph([node], "merged", [choice, *past.graph.input], outputs,
                              [tensor for _, tensor in outside.values()])
    return helper.make_model(graph, opset_imports=past.opset_import, ir_version=past.ir_version,
                             functions=past.functions)


def rename(graph, name_of):
    for node in graph.node:
        node.input[:] = map(name_of, node.input)
        node.output[:] = map(name_of, node.output)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                rename(attribute.g, name_of)
    for value in (*graph.output, *graph.value_info, *graph.input):
        value.name = name_of(value.name)


# ---- checks -----------------------------------------------------------------------------


def run(path, feeds, optimized=True):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.add_session_config_entry(*EXACT)
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options).run(None, feeds)


def snr(wanted, got):
    """The least SNR of the outputs, in dB."""
    least = 200.0
    for one, other in zip(wanted, got):
        if one.dtype.kind == "f" and one.size:
            signal = np.square(one, dtype=np.float64).sum()
            noise = np.square(one.astype(np.float64) - other).sum()
            if noise > 0:
                least = min(least, 10 * np.log10(signal / noise + 1e-30))
    return least


def quantize(nibble, path, mode, output, rules=()):
    done = subprocess.run([nibble, path, "-o", output, "--json", "-", *MODES[mode], *rules],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)


def rules_of(report):
    """Rules for the weights that MatMulNBits and GatherBlockQuantized share: these have no zero
    points, and in other forms the default has some."""
    names = {row["name"] for row in report["weights"]
             if row.get("form") == "GatherBlockQuantized" and row["type"] == "uint4"}
    return [word for name in sorted(names) for word in ("--rule", f"^{re.escape(name)}$: symmetric")]


def is_valid(path):
    """Whether the checker takes a model. It refuses some of PyTorch's own exports."""
    try:
        onnx.checker.check_model(str(path), full_check=True)
        return True
    except Exception:  # pylint: disable=broad-except
        return False


def problem(output, feeds, decoded, checked):
    """What is wrong with a quantized model. None: nothing."""
    try:
        if checked:
            onnx.checker.check_model(str(output), full_check=True)
        answers = run(output, feeds)
    except Exception as error:  # pylint: disable=broad-except
        return str(error).strip().splitlines()[0][:200]
    same = snr(decoded, answers)
    return None if same >= SAME else f"{same:.1f} dB from the decoded weights"


def examine(nibble, path, folder):
    """(row, reasons, problems)"""
    with np.load(path.with_suffix(".npz")) as file:
        feeds = dict(file)
    wanted, reports, problems = run(path, feeds), {}, {}
    outputs = {mode: folder / f"{path.stem}.{mode}.onnx" for mode in MODES}
    for mode, output in outputs.items():
        try:
            reports[mode] = quantize(nibble, path, mode, output)
        except RuntimeError as error:
            problems[mode] = str(error)[:300]
    if "portable" not in reports:
        return [path.stem, "", "", "", ""], {}, problems
    decoded = dict.fromkeys(MODES, run(outputs["portable"], feeds, optimized=False))
    rules = rules_of(reports.get("nbits", {"weights": []}))
    if rules:
        tied = folder / f"{path.stem}.tied.onnx"
        quantize(nibble, path, "portable", tied, rules)
        decoded["nbits"] = run(tied, feeds, optimized=False)
    checked = is_valid(path)
    for mode in reports:
        wrong = problem(outputs[mode], feeds, decoded[mode], checked)
        if wrong:
            problems[mode] = wrong
    report = reports.get("default") or reports["portable"]
    weights = [w for w in report["weights"] if len(w["dims"]) > 1 or w["quantized"]]
    total = sum(w["bytes"]["before"] for w in weights)
    reasons = collections.Counter()
    for weight in weights:
        if not weight["quantized"]:
            reasons[weight["reason"]] += weight["bytes"]["before"]
    share = 100 * (1 - sum(reasons.values()) / total) if total else 0.0
    smaller = report["bytes"]["before"] / report["bytes"]["after"]
    row = [path.stem, f"{share:.1f}", f"{smaller:.2f}", f"{snr(wanted, decoded['portable']):.1f}",
           "no" if problems else "yes"]
    return row, {r: 100 * b / total for r, b in reasons.items()}, problems


# ---- the table --------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--nibble", default="build/nibble")
    parser.add_argument("--folder", default="build/exports", type=pathlib.Path)
    parser.add_argument("--only", default=".")
    parser.add_argument("--exporter", choices=["dynamo", "torchscript"])
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    from architectures import ARCHITECTURES
    failed, notes = 0, []
    print("| model | % quantized | times smaller | SNR, dB | all forms hold |")
    print("|---|---:|---:|---:|---|")
    for name in ARCHITECTURES:
        for exporter in ("dynamo", "torchscript"):
            stem = f"{name}-{exporter}"
            path = args.folder / f"{stem}.onnx"
            if not re.search(args.only, name) or args.exporter not in (None, exporter):
                continue
            try:
                if not (args.keep and path.exists()):
                    export(name, exporter, path)
            except Exception as error:  # pylint: disable=broad-except
                notes.append(f"{stem}: PyTorch can't export it: {str(error).strip()[:150]!r}")
                continue
            row, reasons, problems = examine(args.nibble, path, args.folder)
            print("| " + " | ".join(row) + " |", flush=True)
            notes += [f"{stem}: {share:.1f} %: {reason}" for reason, share in reasons.items()]
            notes += [f"{stem}, {mode}: FAILS: {text}" for mode, text in problems.items()]
            failed += bool(problems)
    print()
    for note in notes:
        print(f"- {note}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
