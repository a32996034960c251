"""How time and memory grow with the number of parts of a model: small weights, nodes, and nodes
in nested bodies. A part of bench/process.py."""

import os
import tempfile

import make_many
import memory
from measure import alternate, heading, note, remove, row, sorry

COUNTS = {"weights": 20_000, "nodes": 100_000, "bodies": 5_000}
STEPS = [1, 2, 4]
COMMANDS = {"quantize": ["quantize", "-q", "--method", "rtn", *make_many.MIN_ELEMENTS],
            "upgrade": ["upgrade"]}


def of_kind(kind, args):
    """Models of 1, 2 and 4 times the size, in alternating runs."""
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        out, commands, limits = os.path.join(folder, "out.onnx"), {}, {}
        for step in STEPS:
            model = os.path.join(folder, f"{step}.onnx")
            note(f"{step * COUNTS[kind]} {kind}")
            payload = make_many.write(kind, step * COUNTS[kind], model)
            for name, command in COMMANDS.items():
                key = name, step
                limits[key] = memory.limit_mb(model, payload)
                commands[key] = [args.nibble, *command, model, "-o", out]
        results = alternate(commands, args.runs, lambda: remove(out))
    for key, result in results.items():
        result["limit_mb"] = limits[key]
    show(kind, results)
    return {f"{name}, {step}x": result for (name, step), result in results.items()}


def show(kind, results):
    heading(f"scaling: {COUNTS[kind]} {kind}, and more of them",
            ["seconds", "growth", "peak MB", "growth", "limit"], 28)
    for (name, step), result in results.items():
        title = f"{name}, {step * COUNTS[kind]}"
        if "failed" in result:
            sorry(title, result["failed"])
            continue
        before = results.get((name, step // 2), {})
        for field in ("seconds", "peak_mb"):
            result[f"{field}_growth"] = (result[field] / before[field]
                                         if field in before else None)
        row(title, [result["seconds"], result["seconds_growth"], result["peak_mb"],
                    result["peak_mb_growth"], result["limit_mb"]], 28)


PARTS = {f"scaling: {kind}": lambda args, kind=kind: of_kind(kind, args) for kind in COUNTS}
