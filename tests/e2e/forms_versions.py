"""Runtimes of other versions, each in a virtual environment of its own below build/,
made on demand; and the program that runs models there.
"""

import json
import os
import pathlib
import subprocess
import sys
import venv

import conftest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENABLE = "NIBBLE_VERSIONS"

# Runs inside: reads a list of jobs, prints what came of each. A job: the model, its
# feeds and the outputs that are wanted, as files.
RUNNER = '''
import json, sys
import numpy as np

def onnxruntime_runner(path):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "0")
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda feed: session.run(None, feed)

def openvino_runner(path):
    import openvino as ov
    core = ov.Core()
    core.set_property("CPU", {"INFERENCE_NUM_THREADS": 1})
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    if EXACT:
        hints["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = "0"
    compiled = core.compile_model(path, "CPU", hints)
    return lambda feed: list(compiled(feed).to_tuple())

def difference(wanted, got):
    wanted, got = wanted.astype(np.float64), np.asarray(got).astype(np.float64)
    if wanted.shape != got.shape:
        return "shape %s, not %s" % (got.shape, wanted.shape)
    return float(abs(wanted - got).max() / max(abs(wanted).max(), 1e-30))

kind, EXACT, jobs = sys.argv[1], sys.argv[2] == "exact", json.load(sys.stdin)
results = []
for path, feeds, wanted in jobs:
    try:
        with np.load(feeds) as f, np.load(wanted) as w:
            outputs = globals()[kind + "_runner"](path)(dict(f))
            worst = [difference(w[name], got) for name, got in zip(w.files, outputs)]
        results.append(max(worst, key=lambda x: float("inf") if isinstance(x, str) else x))
    except Exception as error:
        results.append(str(error).strip()[:2000] or repr(error))
json.dump(results, sys.stdout)
'''


def need(request):
    """Skips the test, and says so loudly, unless other runtimes are asked for."""
    if os.environ.get(ENABLE) != "1":
        conftest.skip_for(request, f"other runtimes: set {ENABLE}=1",
                          f"installs other runtimes into build/: set {ENABLE}=1")


def environment(name, *packages):
    """The Python in build/NAME, which has these packages."""
    folder = ROOT / "build" / name
    python, stamp = folder / "bin" / "python", folder / "packages.txt"
    wanted = "\n".join(packages)
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet",
                        "--disable-pip-version-check", *packages], check=True,
                       stdout=sys.stderr)
        stamp.write_text(wanted)
    return python


def run(python, kind, jobs, exact=False):
    """jobs: (model, feeds, wanted) as paths. For each the difference relative to the
    largest output, or the error's text. One process for all; where it dies, one for
    each."""
    words = [python, "-c", RUNNER, kind, "exact" if exact else ""]
    done = subprocess.run(words, input=json.dumps(jobs), capture_output=True, text=True,
                          check=False)
    if done.returncode == 0:
        return json.loads(done.stdout)
    if len(jobs) == 1:
        return [f"crash, status {done.returncode}: {done.stderr[-500:]}"]
    return [result for job in jobs for result in run(python, kind, [job], exact)]
