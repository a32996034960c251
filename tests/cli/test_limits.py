"""A machine with little of everything: stack, threads, memory, descriptors, and space. The program
does its work with less, or ends with a clear error and leaves the old output as it was."""

import errno
import gzip
import os
import pathlib
import resource
import shutil
import tempfile

import pytest

import models
from conftest import PROGRAM

# Sanitizers reserve terabytes, and look for leaks in a process of their own.
plain_program = pytest.mark.skipif(b"__asan_init" in PROGRAM.read_bytes(), reason="sanitized")

METHODS = [["--method", "rtn"], ["--method", "search"], ["--method", "exact"],
           ["--type", "uint8"], ["--per-tensor"], ["--bits-per-weight", "5"],
           ["--decode", "load", "--external-data"]]


@pytest.fixture
def wide(folder):
    """Weights with long rows and with long columns."""
    weights = {"rows": models.integers(64, 8192), "columns": models.integers(8192, 64)}
    (folder / "wide.onnx").write_bytes(models.chain(weights).SerializeToString())
    return "wide.onnx"


def limit(kind, value):
    return lambda: resource.setrlimit(kind, (value, value))


def run(nibble, *arguments, before):
    process = nibble.start(*arguments, preexec_fn=before)
    _, text = process.communicate(timeout=120)
    return process.returncode, text.decode()


@pytest.mark.parametrize("options", METHODS, ids=" ".join)
def test_small_stack(nibble, wide, options):
    """128 KiB are musl's default for threads."""
    status, text = run(nibble, wide, "-o", "out.onnx", "-q", *options,
                       before=limit(resource.RLIMIT_STACK, 128 << 10))
    assert (status, text) == (0, "")
    status, text = run(nibble, wide, "-o", "out.onnx.gz", "-q",
                       before=limit(resource.RLIMIT_STACK, 128 << 10))
    assert (status, text) == (0, "")


@pytest.mark.parametrize("out", ["out.onnx", "out.onnx.gz"])
def test_limit_of_file_size(nibble, folder, wide, out):
    (folder / out).write_text("old")
    for limited in [100, 5000, 200000]:
        status, text = run(nibble, wide, "-o", out, "-q",
                           before=limit(resource.RLIMIT_FSIZE, limited))
        assert status == 1 and os.strerror(errno.EFBIG) in text
        assert (folder / out).read_text() == "old"
        assert sorted(os.listdir(folder)) == sorted(["model.onnx", out, wide])


PATTERNS = {
    "20,000 groups": "(" * 20000, "deep": "(" * 200 + "x" + ")" * 200,
    "repetitions": "((((x{1,99}){1,99}){1,99}){1,99})", "pluses": "(" * 60 + "x" + "+)" * 60,
    "one repetition": "x{32000}", "back references": r"(x*)*\1\1\1\1", "long": "x" * 100000,
    "many repetitions": "x{900}" * 100, "stacked": f"x{'+' * 13}*{'+' * 13}",
    "stacked with ?": f"x{'+' * 13}?{'+' * 13}", "stacked intervals": "x{,200}{,200}{,200}",
    "loops in loops": "x*++++++++++++", "optional": "x?++++++++++++", "many stars": "x*" * 3000,
    "loops in a group": "((x*){40}){40}", "all but empty": "(x{0,2}){800}y+{800}",
}


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
@pytest.mark.parametrize("option", ["--include", "--exclude"])
def test_patterns_are_bounded(nibble, pattern, option):
    status, text = run(nibble, "inspect", "model.onnx", option, pattern,
                       before=limit(resource.RLIMIT_CPU, 5))
    assert status == 2 and text.startswith(f"nibble: {option}: ") and "too complicated" in text


@pytest.mark.parametrize("pattern", [
    "|".join(f"^block\\.{i}\\.weight$" for i in range(500)), "[]({1,9]{2}", "[^]]*[[:alpha:]]+",
    "x{2,40}", "((a|b)+c?)*", "\\(\\)\\{", "(((((((((x)))))))))", "a{,3}b{",
    "|".join(f"^block{i}\\.[0-9]+\\..*weight$" for i in range(500)), "x+++*++", "(x*){300}"])
def test_patterns_that_are_fine(nibble, pattern):
    run = nibble("inspect", "model.onnx", "--include", pattern, "-v")
    assert run.status == 0 or "not a regular expression" in run.err, run.err


@pytest.fixture
def bomb(folder):
    """100 MB of zeros in 100 kB."""
    (folder / "bomb.onnx.gz").write_bytes(gzip.compress(bytes(100 << 20), 9))
    return "bomb.onnx.gz"


def test_compressed_model_has_a_largest_size(nibble, folder, bomb):
    run = nibble("inspect", bomb)
    assert run.status == 1 and "--max-size" in run.err
    (folder / "model.onnx.gz").write_bytes(gzip.compress((folder / "model.onnx").read_bytes()))
    size = (folder / "model.onnx").stat().st_size
    assert nibble("inspect", "model.onnx.gz", "--max-size", str(size)).status == 0
    run = nibble("inspect", "model.onnx.gz", "--max-size", str(size - 1))
    assert run.status == 1 and "--max-size" in run.err
    assert nibble("inspect", "model.onnx", "--max-size", "1").status == 0  # it is only mapped
    run = nibble("inspect", bomb, "--max-size", "1000000000")
    assert run.status == 1 and "--max-size" not in run.err


def test_endless_input(nibble, folder):
    with open("/dev/zero", "rb") as endless:
        process = nibble.start("inspect", "-", "--max-size", "5000000", stdin=endless)
        _, text = process.communicate(timeout=60)
    assert process.returncode == 1 and b"--max-size" in text


def no_threads():
    """A limit of processes does not hold for root."""
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)


@plain_program
def test_no_threads(nibble, folder, wide):
    with tempfile.TemporaryDirectory() as open_folder:
        os.chmod(open_folder, 0o777)
        model = shutil.copy(folder / wide, open_folder)
        one, many = f"{open_folder}/one.onnx", f"{open_folder}/many.onnx"
        assert nibble(model, "-o", one, "-q", "--threads", "1").status == 0
        status, text = run(nibble, model, "-o", many, "-q", "--threads", "16",
                           before=no_threads)
        assert (status, text) == (0, "")
        assert pathlib.Path(many).read_bytes() == pathlib.Path(one).read_bytes()


@plain_program
@pytest.mark.parametrize("megabytes", [10, 16, 24, 40])
def test_little_memory(nibble, folder, wide, megabytes):
    (folder / "out.onnx").write_text("old")
    status, text = run(nibble, wide, "-o", "out.onnx", "-q", "--threads", "2",
                       before=limit(resource.RLIMIT_AS, megabytes << 20))
    assert status in (0, 1, 127)
    if status != 0:
        assert (folder / "out.onnx").read_text() == "old"
        assert "emory" in text or status == 127  # the program could not be loaded
    assert sorted(os.listdir(folder)) == ["model.onnx", "out.onnx", wide]
