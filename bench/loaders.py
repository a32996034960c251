"""Runs what presets write in the loaders that they are for: onnxruntime-web in node and in a
headless Chromium, and onnxruntime-genai. Every row of the table is run.

    python bench/loaders.py [--nibble build/nibble] [--models build/models] [--only web|genai]
                            [--json FILE]

Both loaders are installed into build/ once. genai's own builder makes a small decoder of random
weights, which needs PyTorch: some GB of packages. Prints Markdown. Ends with 1 if a model does
not load, differs from ONNX Runtime, or generates too little.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "models"))
import browser  # noqa: E402
import elsewhere  # noqa: E402
import environments  # noqa: E402
import feeds  # noqa: E402
import runtimes  # noqa: E402

WEB, GENAI = "1.30.0", "0.18.0"
WEB_PRESETS = ["transformers.js-q4", "transformers.js-q4f16", "transformers.js-q4-mixed",
               "transformers.js-q4f16 --compute float16", "--compute float16"]
GENAI_PRESETS = ["genai-int4", "genai-int4-mixed"]
# Activations are rounded to int8, not by the same kernels.
TOLERANCE = 3e-2
PROMPT, LENGTH = list(range(3, 40)), 60
PACKAGES = [f"onnxruntime-genai=={GENAI}", "onnxruntime==1.32.0", "onnx==1.23.2", "onnx-ir",
            "torch==2.14.1", "transformers==5.24.0", "numpy<3"]


def quantize(nibble, model, output, preset):
    """A preset, or options that begin with one."""
    words = ["--preset", *preset.split()] if not preset.startswith("-") else preset.split()
    subprocess.run([nibble, model, "-o", output, "-q", *words], check=True)
    return sum(path.stat().st_size for path in output.parent.glob(f"{output.name}*"))


def web(nibble, models, folder):
    """A row for each model and preset: the largest difference from ONNX Runtime."""
    package = environments.node(f"onnxruntime-web-{WEB}", f"onnxruntime-web@{WEB}")
    runners = {"node": lambda jobs: elsewhere.run_node(package, "onnxruntime-web", jobs)}
    if browser.find():
        runners["Chromium"] = lambda jobs: browser.run(package, jobs)
    else:
        print("chromium is not installed: nothing runs in a browser", file=sys.stderr)
    jobs, rows = [], []
    for model in models:
        feed = feeds.inputs(model, 1)
        for preset in WEB_PRESETS:
            stem = folder / f"{model.stem}-{preset.replace(' ', '')}"
            output = stem.with_name(f"{stem.name}.onnx")
            size = quantize(nibble, model, output, preset)
            session = feeds.session(output, threads=1)
            names = [out.name for out in session.get_outputs()]
            runtimes.save(f"{stem}.feed", feed, feed.values())
            runtimes.save(f"{stem}.wanted", names, session.run(None, feed))
            jobs.append((output, f"{stem}.feed.json", f"{stem}.wanted.json"))
            rows.append((model.stem, preset, size))
    for place, runner in runners.items():
        for row, answer in zip(rows, runner(jobs), strict=True):
            is_right = not isinstance(answer, str) and answer <= TOLERANCE
            found = (runtimes.reason(answer) if isinstance(answer, str)
                     else f"differs by {answer:.1e}")
            yield f"onnxruntime-web {WEB}, {place}", *row, found, is_right


def genai(nibble, folder):
    """A row for each preset: how much was generated, and the SNR of the first logits."""
    python = environments.python("loaders-genai", *PACKAGES)
    script = HERE / "decoder.py"
    subprocess.run([python, script, "make", folder / "decoder"], check=True, stdout=sys.stderr)
    source = folder / "decoder" / "float"
    made = [source]
    for preset in GENAI_PRESETS:
        made.append(folder / "decoder" / preset)
        shutil.copytree(source, made[-1], ignore=shutil.ignore_patterns("model.onnx*"))
        quantize(nibble, source / "model.onnx", made[-1] / "model.onnx", preset)
    made.insert(1, folder / "decoder" / "int4")  # genai's own
    for path in made:
        size = sum(f.stat().st_size for f in path.glob("model.onnx*"))
        done = subprocess.run([python, script, "generate", path, source, json.dumps(PROMPT),
                               str(LENGTH)], capture_output=True, text=True, check=False)
        row = (f"onnxruntime-genai {GENAI}", "decoder", path.name, size)
        if done.returncode != 0:
            yield *row, runtimes.reason(done.stderr), False
            continue
        answer = json.loads(done.stdout.splitlines()[-1])
        found = f"{answer['tokens']} tokens, logits {answer['snr']:.1f} dB"
        yield *row, found, answer["tokens"] == LENGTH - len(PROMPT) and answer["snr"] > 10


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--nibble", default="build/nibble")
    parser.add_argument("--models", default="build/models", type=pathlib.Path)
    parser.add_argument("--only", choices=["web", "genai"])
    parser.add_argument("--json")
    args = parser.parse_args()
    models = [HERE.parent / "models" / "bible_lm_ts17.onnx",
              HERE.parent / "models" / "fashion_cnn_ts17.onnx", args.models / "minilm.onnx"]
    print("| loader | model | preset | bytes | result |\n|---|---|---|---:|---|", flush=True)
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        rows = []
        if args.only != "genai":
            rows += web(args.nibble, [m for m in models if m.exists()], folder)
        if args.only != "web":
            rows += genai(args.nibble, folder)
    for loader, model, preset, size, found, is_right in rows:
        failed += not is_right
        print(f"| {loader} | {model} | {preset} | {size:,} | {'' if is_right else 'NO: '}"
              f"{found} |")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(rows, indent=2))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
