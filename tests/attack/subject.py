"""What is attacked: the program on a small model, in a folder with old files. Whatever happens,
it ends with the right output, or with an error and the old files as they were."""

import dataclasses
import gzip
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TIMEOUT = 60
OLD = b"old"
# The text on standard output comes last, when all files have their names.
TEXT_FAILED = "nibble: out of memory while writing the report\n"
SHARED_MEMORY = pathlib.Path("/dev/shm")


def model():
    """Some weights of every size of work: a matrix, one that is used transposed, a kernel, a
    table, a chain of constants, and a body."""
    rng = np.random.default_rng(1)

    def weight(name, *shape):
        return numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)

    def info(name, kind=TensorProto.FLOAT):
        return helper.make_tensor_value_info(name, kind, None)

    node = helper.make_node
    body = helper.make_graph([node("MatMul", ["x", "v"], ["t"])], "body", [], [info("t")],
                             [weight("v", 48, 32)])
    nodes = [node("MatMul", ["x", "w"], ["y0"]), node("Gemm", ["x", "g"], ["y1"], transB=1),
             node("Conv", ["c", "k"], ["y2"]), node("Gather", ["table", "i"], ["y3"]),
             node("Transpose", ["u"], ["ut"], perm=[1, 0]), node("MatMul", ["x", "ut"], ["y4"]),
             node("If", ["b"], ["y5"], then_branch=body, else_branch=body)]
    weights = [weight("w", 48, 64), weight("g", 40, 48), weight("k", 16, 8, 3, 3),
               weight("table", 200, 32), weight("u", 40, 48), weight("bias", 7)]
    graph = helper.make_graph(
        nodes, "graph",
        [info("x"), info("c"), info("i", TensorProto.INT64), info("b", TensorProto.BOOL)],
        [info(f"y{i}") for i in range(6)], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@dataclasses.dataclass(frozen=True)
class Case:
    """A way to start the program: its files in a folder, and its arguments."""

    name: str
    arguments: tuple[str, ...]
    reports: tuple[str, ...] = ()
    external: bool = False  # the model has a data file


CASES = [
    Case("plain", ("m.onnx", "-o", "out.onnx", "-q")),
    Case("data", ("m.onnx", "-o", "out.onnx", "--external-data", "--json", "out.json"),
         ("out.json",), external=True),
    Case("reports", ("m.onnx", "-o", "out.onnx", "--json", "out.json", "--report", "out.html"),
         ("out.json", "out.html")),
    Case("gzip", ("m.onnx.gz", "-o", "out.onnx.gz", "-q")),
    Case("verify", ("m.onnx", "-o", "out.onnx", "--external-data", "--verify", "-q")),
    Case("budget", ("m.onnx", "-o", "out.onnx", "--bits-per-weight", "5", "-q")),
    Case("unchanged", ("m.onnx", "-o", "out.onnx", "--min-elements", "1000000", "-q"),
         external=True),
    Case("upgrade", ("upgrade", "m.onnx", "-o", "out.onnx", "--external-data")),
]


def snapshot(folder):
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*") if path.is_file()}


class Subject:
    """The program, the folder for one case, and what must come out."""

    def __init__(self, program, case, base, shim=None, threads=1):
        self.case, self.shim, self.base = case, shim, base
        self.words = [str(program), *case.arguments]
        if case.arguments[0] != "upgrade":
            self.words += ["--threads", str(threads)]
        self.inputs = self._inputs()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nibble-attack-", dir=base))
        self.old = self._clean({})
        done = self.run()
        assert done.returncode == 0, done.stderr.decode()
        self.new = snapshot(self.folder)
        self.old = self._old()

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def _inputs(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            path = folder / "m.onnx"
            onnx.save(model(), path, save_as_external_data=self.case.external, location="m.bin",
                      size_threshold=100)
            if "m.onnx.gz" in self.case.arguments:
                path.with_name("m.onnx.gz").write_bytes(gzip.compress(path.read_bytes()))
                path.unlink()
            return snapshot(folder)

    def _old(self):
        """An old pair that the program wrote itself, and old reports."""
        out = self.case.arguments[self.case.arguments.index("-o") + 1]
        old = {name: OLD for name in (out, *self.case.reports)}
        if "--external-data" in self.case.arguments:
            old[f"{out}.0123456789abcdef.data"] = OLD
        return old

    def _clean(self, files):
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name, data in {**self.inputs, **files}.items():
            (self.folder / name).write_bytes(data)
        (self.folder / "tmp").mkdir()
        return files

    def reset(self):
        self._clean(self.old)

    def run(self, attack=None, before=None, clean=False, **options):
        if clean:
            self.reset()
        environment = {**os.environ, "TMPDIR": str(self.folder / "tmp")}
        if attack:
            environment |= {"LD_PRELOAD": str(self.shim), **attack}
        return subprocess.run(self.words, cwd=self.folder, env=environment, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=TIMEOUT, preexec_fn=before,
                              **options)

    # ---- what must hold ----------------------------------------------------------------

    def judge(self, status, message, killed=False, leaves=()):
        """None, or what is wrong with the folder after a run. `leaves`: how the program could
        not do all: "old", it could not remove an old data file or a temporary file; "reports",
        it could not rename a report behind the output."""
        found = snapshot(self.folder)
        outputs = {name: data for name, data in found.items() if name not in self.inputs}
        inputs = {name: data for name, data in found.items() if name in self.inputs}
        if inputs != self.inputs:
            return "an input was changed"
        new = {n: d for n, d in self.new.items() if n not in self.inputs}
        if killed:
            return self._judge_killed(outputs, new)
        if "old" in leaves:
            outputs = {n: d for n, d in outputs.items()
                       if n in new or (status != 0 and not n.startswith("."))}
        if "reports" in leaves and status == 1:
            if all(outputs.get(n) in (self.old.get(n), d) for n, d in new.items()):
                return None
        if status < 0 and outputs == new:
            return None  # the signal came too late
        if message == TEXT_FAILED and all(outputs.get(n) == d for n, d in new.items()):
            return None
        if status == 0:
            return None if outputs == new else f"exit 0, but {self._difference(outputs, new)}"
        if outputs != self.old:
            return f"exit {status}, but {self._difference(outputs, self.old)}: {message}"
        if status < 0 and -status in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            return None
        if status != 1 or not message.startswith("nibble: ") or len(message) < 15:
            return f"exit {status}: {message!r}"
        return None

    def _judge_killed(self, outputs, new):
        """A complete old pair, or a complete new one, and files that the next run removes.
        Reports may be old beside a new output."""
        out = self.case.arguments[self.case.arguments.index("-o") + 1]
        pair = {n for n in {**self.old, **new} if n not in self.case.reports}
        is_old = all(outputs.get(n) == d for n, d in self.old.items() if n in pair)
        is_new = all(outputs.get(n) == d for n, d in new.items() if n in pair)
        if not is_old and not is_new:
            return f"killed, and {out} is neither old nor new: {sorted(outputs)}"
        done = self.run()
        left = snapshot(self.folder)
        if done.returncode != 0 or left != {**self.inputs, **new}:
            return f"killed, and the next run leaves {sorted(left)}"
        return None

    @staticmethod
    def _difference(found, wanted):
        names = sorted(n for n in {**found, **wanted} if found.get(n) != wanted.get(n))
        return f"these files are wrong: {names}"
