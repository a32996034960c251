"""Peak memory of every command on models of 0.2 to 6 GB. The limit is 64 MiB plus three times
the bytes of the file without the values of weights. A part of bench/process.py."""

import gzip
import os
import shutil
import tempfile

import numpy as np

import make_model
from measure import Failed, has_room, heading, measure, note, remove, row, sorry

BASE = 64 << 20
FACTOR = 3
LIMIT_INSIDE = 2.0  # GB: larger models have weights in a file of their own
QUICK = 2.0  # GB: --quick stops there
SIZES = [0.2, 1.5, 3, 6]

RTN, SEARCH = (["quantize", "-q", "--method", method] for method in ("rtn", "search"))

# Name, command, True if it writes, True if the output is as large as the input.
QUANTIZE = [
    ("rtn, 1 thread", [*RTN, "--threads", "1"], True, False),
    ("rtn, per channel", [*RTN, "--per-channel"], True, False),
    ("rtn, block 32", [*RTN, "--block-size", "32"], True, False),
    ("search", SEARCH, True, False),
    ("search, per channel", [*SEARCH, "--per-channel"], True, False),
    ("search, block 32", [*SEARCH, "--block-size", "32"], True, False),
]
COMMANDS = QUANTIZE + [
    ("rtn, --external-data", [*RTN, "--external-data"], True, False),
    ("upgrade", ["upgrade"], True, True),
    ("inspect", ["inspect"], False, False),
    ("--dry-run", ["quantize", "-q", "--dry-run"], False, False),
]
# Another order and another type take other paths. gzip has one size of its own.
KINDS = {"[K,N] float32": {}, "[N,K] float32": {"order": "nk"},
         "[K,N] float16": {"dtype": np.float16},
         "[N,K] float16": {"order": "nk", "dtype": np.float16}}
LARGE = 12288  # rows and columns of one weight of 0.6 GB
OTHER_SIZE = 1.5


def limit_mb(model, payload):
    """The limit of the peak in MB. `payload` is the bytes of weights in the file."""
    return (BASE + FACTOR * (os.path.getsize(model) - payload)) / 1e6


def peaks(model, payload, commands, args, folder):
    out = os.path.join(folder, "out.onnx")
    results, most = {}, limit_mb(model, payload)
    for name, command, writes, copies in commands:
        if copies and not has_room(folder, os.path.getsize(model) + payload):
            results[name] = {"failed": f"skipped: no room in {folder}"}
            continue
        try:
            done = measure([args.nibble, *command, model] + (["-o", out] if writes else []))
            results[name] = done | {"limit_mb": most}
        except Failed as reason:
            results[name] = {"failed": str(reason)}
        remove(out)
    return results


def of_model(title, gigabytes, made, commands, args):
    """The table of one model. The model is made and then removed."""
    external = gigabytes > LIMIT_INSIDE
    if not has_room(args.folder, 1.3e9 * gigabytes):
        sorry(title, f"skipped: no room in {args.folder}")
        return {"failed": "no room"}
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        model = os.path.join(folder, "model.onnx")
        note(f"writing {gigabytes} GB")
        payload = make_model.write(model, gigabytes, external=external, **made)
        results = peaks(model, 0 if external else payload, commands, args, folder)
    show(title, results)
    return results


def show(title, results):
    heading(title, ["seconds", "peak MB", "limit MB", ""])
    for name, result in results.items():
        if "failed" in result:
            sorry(name, result["failed"])
            continue
        well = result["peak_mb"] <= result["limit_mb"]
        row(name, [result["seconds"], result["peak_mb"], result["limit_mb"],
                   "" if well else "ABOVE"])


def sizes(args):
    return {f"{size:g} GB": of_model(f"memory: {size:g} GB, [K,N] float32"
                                     + ", external" * (size > LIMIT_INSIDE),
                                     size, {}, COMMANDS, args)
            for size in SIZES if not (args.quick and size > QUICK)}


def kinds(args):
    return {name: of_model(f"memory: {OTHER_SIZE:g} GB, {name}", OTHER_SIZE, made,
                           QUANTIZE, args)
            for name, made in KINDS.items() if made}


def large(args):
    """One weight. Memory must not grow with its rows or columns either."""
    return {order: of_model(f"memory: one weight of 0.6 GB, [{order[0]},{order[1]}] float32",
                            0.6, {"order": order.lower(), "side": LARGE}, QUANTIZE, args)
            for order in ("KN", "NK")}


def compressed(args):
    """The stream has stored blocks. It is quick to make and large enough."""
    results = {}
    for gigabytes in (0.2, 1.5):
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            plain, packed = (os.path.join(folder, f"model.onnx{end}") for end in ("", ".gz"))
            payload = make_model.write(plain, gigabytes)
            most = limit_mb(plain, payload)
            with open(plain, "rb") as source, gzip.open(packed, "wb", 0) as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            remove(plain)
            for end in ("", ".gz"):
                out = os.path.join(folder, f"out.onnx{end}")
                done = measure([args.nibble, "quantize", "-q", "--method", "rtn", packed,
                                "-o", out])
                results[f"{gigabytes:g} GB, .gz to {end or 'plain'}"] = done | {"limit_mb": most}
                remove(out)
    show("memory: .onnx.gz", results)
    return results


PARTS = {"memory: sizes": sizes, "memory: kinds": kinds, "memory: one weight": large,
         "memory: .onnx.gz": compressed}
