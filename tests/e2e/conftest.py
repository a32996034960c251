"""Fixtures of the end-to-end tests, and the lines that they print at the end.

    NIBBLE=build/nibble NIBBLE_MODELS=build/models pytest tests/e2e

NIBBLE is the program. NIBBLE_MODELS is the folder that models/download.py has filled.
These are the defaults. NIBBLE_SLOW=1 runs the slow tests, too.
"""

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys

import onnx
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"
sys.path.insert(0, str(MODELS))  # feeds, evaluate
sys.path.insert(0, str(pathlib.Path(__file__).parent / "helpers"))

pytest.register_assert_rewrite("oracle", "verify", "damage")

ADDRESS_SPACE = 2 << 30  # bytes; the program needs far less for small models
TIMEOUT = 60  # seconds

def pytest_configure(config):
    config.addinivalue_line("markers", "slow: only with NIBBLE_SLOW=1")


def pytest_collection_modifyitems(items):
    if os.environ.get("NIBBLE_SLOW") != "1":
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: set NIBBLE_SLOW=1"))


def said(terminalreporter, key):
    """What tests said under this key, in any process."""
    reports = [report for kind in ("passed", "failed", "skipped")
               for report in terminalreporter.stats.get(kind, [])]
    return dict.fromkeys(value for report in reports for name, value in report.user_properties
                         if name == key)


def pytest_terminal_summary(terminalreporter):
    rows = said(terminalreporter, "accuracy")
    if rows:
        terminalreporter.section("accuracy")
        for row in rows:
            terminalreporter.write_line(row)
    names = said(terminalreporter, "missing")
    if names:
        terminalreporter.section("MISSING DATA", yellow=True)
        terminalreporter.write_line(
            f"WARNING: tests were SKIPPED for want of: {', '.join(sorted(names))} "
            "(./dev models downloads models)", yellow=True, bold=True)


# ---- the program -----------------------------------------------------------

@pytest.fixture(scope="session")
def nibble():
    """Path of the program."""
    path = pathlib.Path(os.environ.get("NIBBLE", ROOT / "build/nibble")).absolute()
    if not os.access(path, os.X_OK):
        pytest.exit(f"{path}: no such program: build it, or set NIBBLE", returncode=2)
    return path


@pytest.fixture(scope="session")
def run(nibble):
    """Runs the program with arguments, within limits of time and memory: run(*words,
    stdin=bytes, limit=bytes) -> subprocess.CompletedProcess."""
    is_sanitized = b"__asan_init" in nibble.read_bytes()  # reserves terabytes

    def run(*words, stdin=None, limit=ADDRESS_SPACE):
        words = [nibble, *map(str, words)]
        if limit and not is_sanitized:
            words = ["prlimit", f"--as={limit}", *words]
        source = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
        return subprocess.run(words, capture_output=True, timeout=TIMEOUT, **source)

    return run


@dataclasses.dataclass
class Result:
    """One successful run of `nibble quantize`."""
    model: pathlib.Path
    output: pathlib.Path
    report: dict
    stderr: str

    @property
    def reasons(self):
        """{name: why the weight stays float}"""
        return {w["name"]: w["reason"] for w in self.report["weights"] if not w["quantized"]}

    @property
    def names(self):
        """The names of the quantized weights."""
        return {w["name"] for w in self.report["weights"] if w["quantized"]}

    def load(self):
        return onnx.load(self.output)


@pytest.fixture
def quantize(run, tmp_path):
    """quantize(MODEL, *options) -> Result. MODEL is a path or a ModelProto. A ModelProto is
    written to tmp_path first."""
    def quantize(model, *options, output="out.onnx", limit=ADDRESS_SPACE, target=None):
        if isinstance(model, onnx.ModelProto):
            path = tmp_path / "model.onnx"
            onnx.save(model, path)
            model = path
        output, report = tmp_path / output, tmp_path / "report.json"
        done = run("quantize", model, "-o", output, "-q", "--verify", "--threads", 1,
                   "--json", report, *options, *["--target", target] * bool(target),
                   limit=limit)
        message = done.stderr.decode()
        assert done.returncode == 0, f"exit status {done.returncode}: {message}"
        return Result(model, output, json.loads(report.read_bytes()), message)

    return quantize


@pytest.fixture
def generic(quantize):
    """The same with round to nearest and with DequantizeLinear in its plainest layout, which is
    what verify reads."""
    def generic(model, *options, **settings):
        return quantize(model, "--method", "rtn", *options, target="generic", **settings)

    return generic


OUTPUT = re.compile(r"out\.onnx(\.[0-9a-f]{16}\.data)?")


def read(path):
    try:
        onnx.load(path)
    except Exception as error:  # whatever onnx may raise
        return f"the output can't be read: {error}"


@pytest.fixture
def survive(run, tmp_path):
    """survive(BYTES, options, status): None if the program behaved well, otherwise what it did."""
    path, out = tmp_path / "in.onnx", tmp_path / "out.onnx"

    def survive(data, options=("--block-size", "4"), status=(0, 1)):
        path.write_bytes(data)
        try:
            done = run(path, "-o", out, "-q", "--threads", 1, "--min-elements", 4, *options)
        except subprocess.TimeoutExpired:
            return "does not end"
        message = done.stderr.decode(errors="replace")
        left = sorted(p.name for p in tmp_path.iterdir() if p != path)
        outcome = read(out) if done.returncode == 0 and out.exists() else None
        for name in left:
            (tmp_path / name).unlink()
        if done.returncode not in status:
            return f"exit status {done.returncode}: {message[:300]}"
        if done.returncode == 0:
            return outcome or (
                None if all(map(OUTPUT.fullmatch, left)) else f"left {left}")
        if left:
            return f"failed, and left {left}"
        if "in.onnx" not in message or len(message.splitlines()) > 3 or len(message) > 5000:
            return f"bad message: {message[:300]!r}"
        return None

    return survive


# ---- models ----------------------------------------------------------------

DOWNLOADED = pathlib.Path(os.environ.get("NIBBLE_MODELS", ROOT / "build/models"))


@pytest.fixture(scope="session")
def find_model():
    """find_model(NAME) -> the path of a committed or downloaded model, or None."""
    def find_model(name):
        paths = [(folder / name).absolute() for folder in (MODELS, DOWNLOADED)]
        return next((path for path in paths if path.exists()), None)

    return find_model


@pytest.fixture
def real_model(request, find_model):
    """The same, but skips the test with a loud message if the model is missing."""
    def real_model(name):
        return find_model(name) or skip_for(request, name, f"{name} is not in {DOWNLOADED}")

    return real_model


@pytest.fixture
def need(request):
    """need(FUNCTION): the result of the function. Skips the test if a data set is missing."""
    def need(function):
        try:
            return function()
        except SystemExit as reason:
            return skip_for(request, str(reason), str(reason))

    return need


def skip_for(request, name, reason):
    request.node.user_properties.append(("missing", name))
    pytest.skip(reason)


@pytest.fixture
def print_at_end(request):
    """print_at_end(LINE): adds a line to the accuracy table."""
    return lambda line: request.node.user_properties.append(("accuracy", line))
