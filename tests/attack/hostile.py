"""Hostile models: damaged bytes, and messages with fields that no exporter would write."""

import os
import pathlib
import random
import shutil
import subprocess
import tempfile

import onnx
from google.protobuf.descriptor import FieldDescriptor as Field

import subject

OPTIONS = [["--block-size", "4"], ["--type", "uint4", "--per-channel"], ["--external-data"],
           ["--type", "int8", "--per-tensor"], ["--freeze"], ["--decode", "load"],
           ["--decode", "portable"], ["--format", "nbits"], ["--bits-per-weight", "5"],
           ["--target", "openvino"], ["--decode", "auto", "--type", "uint8"]]
NUMBERS = [0, 1, -1, 2, 3, 7, 8, 22, 127, 128, 2**16, 2**31 - 1, -2**31, 2**31, 2**62, 2**63 - 1,
           -2**63]
TEXTS = ["", "x", "w", "out.onnx", "../m.bin", "/dev/zero", "pipe", "m.onnx", "folder", "a" * 5000,
         "\x1b[31m", "a/b", "%s%n", "é\u202e", "MatMul", "If", "Loop", "Gather", "com.microsoft",
         "ai.onnx", "graph", "then_branch", "\n"]


def messages(message, found=None):
    found = [] if found is None else found
    found.append(message)
    for field, value in message.ListFields():
        if field.type == Field.TYPE_MESSAGE:
            for item in value if field.is_repeated else [value]:
                messages(item, found)
    return found


def scalar(rng, field):
    if field.type in (Field.TYPE_STRING, Field.TYPE_BYTES):
        text = rng.choice(TEXTS)
        return text.encode() * rng.choice([1, 1, 9]) if field.type == Field.TYPE_BYTES else text
    if field.type in (Field.TYPE_FLOAT, Field.TYPE_DOUBLE):
        return rng.choice([0.0, float("nan"), float("inf"), 1e30, -1e-45])
    if field.type == Field.TYPE_ENUM:
        return rng.choice(field.enum_type.values).number
    return rng.choice(NUMBERS)


def change(rng, message, pool):
    """One field of the message becomes something else."""
    field = rng.choice(message.DESCRIPTOR.fields)
    if field.is_repeated:
        items = getattr(message, field.name)
        if len(items) > 0 and rng.random() < 0.5:
            del items[rng.randrange(len(items))]
        elif field.type == Field.TYPE_MESSAGE:
            like = [m for m in pool if m.DESCRIPTOR is field.message_type]
            items.add().ParseFromString(rng.choice(like).SerializeToString() if like else b"")
        else:
            items.extend([scalar(rng, field)] * rng.choice([1, 1, 20]))
    elif rng.random() < 0.3:
        message.ClearField(field.name)
    elif field.type == Field.TYPE_MESSAGE:
        like = [m for m in pool if m.DESCRIPTOR is field.message_type]
        if like:
            data = rng.choice(like).SerializeToString()
            getattr(message, field.name).ParseFromString(data)
    else:
        setattr(message, field.name, scalar(rng, field))


def structural(rng, seed_model):
    model = onnx.ModelProto()
    model.CopyFrom(seed_model)
    for _ in range(rng.choice([1, 1, 2, 4])):
        pool = messages(model)
        try:
            change(rng, rng.choice(pool), pool)
        except (ValueError, TypeError):
            continue  # the package itself refuses the value
    return model.SerializeToString()


def damaged(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 3, 10])):
        at = rng.randrange(len(data))
        what = rng.randrange(5)
        if what == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            data[at : at + 1] = rng.choice([b"\xff" * 10, b"\x80" * 9 + b"\x01", b"\x0b", b""])
        elif what == 2:
            end = at + rng.randrange(1, 200)
            data[at:at] = data[at:end]
        elif what == 3:
            del data[at : at + rng.randrange(1, 50)]
        else:
            del data[at:]
        data = data or bytearray(b"\0")
    return bytes(data)


def attack(program, base, seed):
    """Yields (what, None or what is wrong)."""
    rng = random.Random(seed)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="nibble-hostile-", dir=base))
    seed_model = subject.model()
    seed_bytes = seed_model.SerializeToString()
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    try:
        while True:
            data = structural(rng, seed_model) if rng.random() < 0.7 else damaged(rng, seed_bytes)
            options = rng.choice(OPTIONS)
            wrong = survive(program, folder, data, options)
            if wrong:
                kept = pathlib.Path(base) / f"hostile-{rng.getrandbits(32):08x}.onnx"
                kept.write_bytes(data)
                wrong = f"{wrong}; kept as {kept}"
            yield " ".join(options), wrong
    finally:
        shutil.rmtree(folder)


def survive(program, folder, data, options):
    path, out = folder / "m.onnx", folder / "out.onnx"
    path.write_bytes(data)
    out.write_bytes(subject.OLD)
    words = ["prlimit", f"--as={2 << 30}", program, path.name, "-o", out.name, "-q", "--verify",
             "--threads", "1", "--min-elements", "4", "--json", "out.json", *options]
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, timeout=20,
                              stdin=subprocess.DEVNULL,
                              env={**os.environ, "TMPDIR": str(folder)})
    except subprocess.TimeoutExpired:
        return "does not end"
    left = {p.name for p in folder.iterdir()} - {"m.onnx", "out.onnx", "folder", "pipe"}
    message = done.stderr.decode(errors="replace")
    content = out.read_bytes()
    for name in left:
        if (folder / name).is_file():
            (folder / name).unlink()
    if done.returncode == 1:
        if left or content != subject.OLD:
            return f"failed and left {left}, or a new output"
        bad = not message.startswith("nibble: ") or len(message) > 6000
        return f"bad message {message[:200]!r}" if bad else None
    if done.returncode != 0:
        return f"exit {done.returncode}: {message[:300]}"
    try:
        onnx.load_model_from_string(content)
    except Exception as error:  # whatever the package may raise
        return f"the output can't be read: {error}"
    return None
