"""Whatever happens to a run, its files stay whole: an output with a data file is one commit, no
file of the run replaces another one, links are not followed by surprise, and what a killed
process leaves behind is removed."""

import fcntl
import json
import os
import pathlib
import re
import signal
import stat
import time

import onnx
import pytest

import models

DATA = re.compile(r"out\.onnx\.[0-9a-f]{16}\.data")


def data_files(folder):
    return [name for name in sorted(os.listdir(folder)) if DATA.fullmatch(name)]


def pair(nibble, *options):
    """Writes out.onnx and its data file, and returns their names and bytes."""
    assert nibble("model.onnx", "-o", "out.onnx", "-q", "--external-data", *options).status == 0
    return contents(nibble.folder)


def contents(folder):
    return {p.name: p.read_bytes() for p in pathlib.Path(folder).iterdir()
            if p.is_file() and p.name != "model.onnx"}


# ---- two files are one commit ------------------------------------------------------

def test_data_file_is_named_by_its_contents(nibble, folder):
    first = pair(nibble)
    assert len(first) == 2 and len(data_files(folder)) == 1
    assert pair(nibble) == first
    second = pair(nibble, "--type", "uint4")
    assert len(second) == 2 and data_files(folder) != [name for name in first if ".data" in name]
    onnx.checker.check_model(str(folder / "out.onnx"))
    assert "UINT4" in models.codes(folder / "out.onnx").values()


def test_one_file_replaces_two(nibble, folder):
    pair(nibble)
    assert nibble("model.onnx", "-o", "out.onnx", "-q").status == 0
    assert sorted(os.listdir(folder)) == ["model.onnx", "out.onnx"]


def test_data_of_others_are_kept(nibble, folder):
    """Names that only look alike, and the data that the model itself reads."""
    pair(nibble)
    os.rename(folder / "out.onnx", folder / "copy.onnx")
    others = ["out.onnx.data", "out.onnx.0123.data", "out.onnx.0123456789ABCDEF.data",
              "xout.onnx.0123456789abcdef.data", "out.onnx.0123456789abcdef.data.old"]
    for name in others:
        (folder / name).write_text("of somebody else")
    before = contents(folder)
    assert nibble("copy.onnx", "-o", "out.onnx", "-q").status == 0
    after = contents(folder)
    assert {name: after[name] for name in before} == before


def test_forced_onto_itself(nibble, folder):
    pair(nibble)
    data = data_files(folder)
    run = nibble("upgrade", "out.onnx", "-o", "out.onnx", "-f", "--opset", "22")
    assert run.status == 0
    assert data_files(folder) == [] and len(data) == 1
    onnx.checker.check_model(str(folder / "out.onnx"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed_at_any_moment(nibble, folder, number):
    """The pair is the old one or the new one, and the next run leaves nothing behind."""
    old, new = pair(nibble), pair(nibble, "--type", "uint4")
    started = time.monotonic()
    pair(nibble)
    length = time.monotonic() - started
    for step in range(10):
        process = nibble.start("model.onnx", "-o", "out.onnx", "-q", "--external-data",
                               "--type", "uint4" if step % 2 else "int4")
        time.sleep(length * step / 8)
        process.send_signal(number)
        process.communicate()
        now = contents(folder)
        model = onnx.load(folder / "out.onnx", load_external_data=False)
        names = {e.value for t in model.graph.initializer for e in t.external_data
                 if e.key == "location"}
        assert len(names) == 1
        whole = {name: now[name] for name in ["out.onnx", *names]}
        assert whole in (old, new)
    pair(nibble)
    assert set(os.listdir(folder)) - {"model.onnx"} == set(old)


def test_writers_race(nibble, folder):
    old, new = pair(nibble), pair(nibble, "--type", "uint4")
    for _ in range(5):
        running = [nibble.start("model.onnx", "-o", "out.onnx", "-q", "--external-data",
                                "--type", type) for type in ("int4", "uint4") * 2]
        for process in running:
            assert process.communicate()[1] == b"" and process.returncode == 0
        assert contents(folder) in (old, new)


def test_fixed_name(nibble, folder):
    assert nibble("model.onnx", "-o", "out.onnx", "-q",
                  "--external-data=weights.bin").status == 0
    assert sorted(os.listdir(folder)) == ["model.onnx", "out.onnx", "weights.bin"]
    onnx.checker.check_model(str(folder / "out.onnx"))
    for name, words in [("a/b", "without a folder"), ("..", "without a folder"), ("", "a name"),
                        ("out.onnx", "same name")]:
        run = nibble("model.onnx", "-o", "out.onnx", "-q", f"--external-data={name}")
        assert run.status == 2 and words in run.err


# ---- every pair of files -------------------------------------------------------------

@pytest.fixture
def split(nibble, folder):
    """A float model in two files."""
    assert nibble("upgrade", "model.onnx", "-o", "split.onnx", "--opset", "22",
                  "--external-data=split.bin").status == 0
    return "split.onnx"


def spelled(folder, name, how):
    if how == "link":
        os.symlink(name, folder / "link")
        return "link"
    if how == "hard link":
        os.link(folder / name, folder / "hard")
        return "hard"
    return {"same": name, "dot": f"./{name}", "absolute": str(folder / name),
            "up": f"../{folder.name}/{name}"}[how]


@pytest.mark.parametrize("how", ["same", "dot", "absolute", "up", "link", "hard link"])
@pytest.mark.parametrize("victim", ["split.onnx", "split.bin", "out.onnx", "weights.bin"])
def test_report_replaces_no_file_of_the_run(nibble, folder, split, how, victim):
    for name in ["out.onnx", "weights.bin"]:
        (folder / name).write_text("old")
    path = spelled(folder, victim, how)
    before = contents(folder)
    run = nibble(split, "-o", "out.onnx", "-q", "--external-data=weights.bin", "--type", "int8",
                 "--json", path)
    assert run.status == 2 and "name another file" in run.err
    assert contents(folder) == before


@pytest.mark.parametrize("how", ["same", "dot", "absolute", "up"])
@pytest.mark.parametrize("victim", ["out.onnx", "weights.bin"])
def test_report_is_no_new_file_of_the_run(nibble, folder, how, victim):
    run = nibble("model.onnx", "-o", "out.onnx", "--external-data=weights.bin",
                 "--json", spelled(folder, victim, how))
    assert run.status == 2 and "name another file" in run.err
    assert os.listdir(folder) == ["model.onnx"]


@pytest.mark.parametrize("victim", ["split.bin", "other.bin"])
def test_report_of_compare(nibble, folder, split, victim):
    nibble("model.onnx", "-o", "other.onnx", "-q", "--external-data=other.bin")
    before = contents(folder)
    run = nibble("compare", split, "other.onnx", "--json", f"./{victim}")
    assert run.status == 2 and contents(folder) == before


def test_report_that_cannot_be_written(nibble, folder):
    """The old output stays, and so does the old report."""
    (folder / "out.onnx").write_text("old")
    run = nibble("model.onnx", "-o", "out.onnx", "-q", "--json", "/dev/full")
    assert run.status == 1 and "No space left" in run.err
    assert contents(folder) == {"out.onnx": b"old"}
    (folder / "dir").mkdir()
    run = nibble("model.onnx", "-o", "out.onnx", "-q", "--json", "dir")
    assert run.status == 1 and contents(folder) == {"out.onnx": b"old"}


def test_report_is_replaced(nibble, folder):
    (folder / "report.json").write_text("old")
    (folder / "report.json").chmod(0o600)
    assert nibble("none.onnx", "-o", "out.onnx", "--json", "report.json").status == 1
    assert (folder / "report.json").read_text() == "old"
    assert nibble("model.onnx", "-o", "out.onnx", "--json", "report.json").status == 0
    assert json.loads((folder / "report.json").read_text())["output"] == "out.onnx"
    assert stat.S_IMODE((folder / "report.json").stat().st_mode) == 0o600
    assert sorted(os.listdir(folder)) == ["model.onnx", "out.onnx", "report.json"]


# ---- links ---------------------------------------------------------------------------

def test_data_file_follows_no_link(nibble, folder):
    (folder / "victim").write_text("precious")
    os.symlink("victim", folder / "weights.bin")
    assert nibble("model.onnx", "-o", "out.onnx", "-q",
                  "--external-data=weights.bin").status == 0
    assert (folder / "victim").read_text() == "precious"
    assert not (folder / "weights.bin").is_symlink()
    onnx.checker.check_model(str(folder / "out.onnx"))
    first = data_files(folder) or [name for name in pair(nibble) if DATA.fullmatch(name)]
    (folder / first[0]).unlink()
    os.symlink("victim", folder / first[0])
    pair(nibble)
    assert (folder / "victim").read_text() == "precious"
    assert not (folder / first[0]).is_symlink()


def test_data_file_is_no_device(nibble, folder):
    os.mkfifo(folder / "weights.bin")
    run = nibble("model.onnx", "-o", "out.onnx", "-q", "--external-data=weights.bin")
    assert run.status == 1 and "not a regular file" in run.err


def test_output_is_a_link(nibble, folder):
    """A link in the same folder works with a data file. One to another folder can't: readers look
    for the data beside the link."""
    (folder / "real.onnx").write_text("old")
    os.symlink("real.onnx", folder / "link.onnx")
    assert nibble("model.onnx", "-o", "link.onnx", "-q", "--external-data").status == 0
    assert (folder / "link.onnx").is_symlink()
    onnx.checker.check_model(str(folder / "link.onnx"))
    (folder / "sub").mkdir()
    (folder / "sub" / "real.onnx").write_text("old")
    os.symlink("sub/real.onnx", folder / "far.onnx")
    run = nibble("model.onnx", "-o", "far.onnx", "-q", "--external-data")
    assert run.status == 1 and "link" in run.err and "sub/real.onnx" in run.err
    assert (folder / "sub" / "real.onnx").read_text() == "old"
    assert os.listdir(folder / "sub") == ["real.onnx"]
    assert nibble("model.onnx", "-o", "far.onnx", "-q").status == 0
    assert (folder / "far.onnx").is_symlink()


# ---- what killed processes leave -------------------------------------------------------

def test_abandoned_temporaries(nibble, folder):
    """A temporary file stays while a process has it locked."""
    kept = [".other.onnx.1-0.tmp", ".out.onnx.1-0.tmp.old", ".out.onnx.x-0.tmp", ".out.onnx.3-0.tmp"]
    for name in [".out.onnx.1-0.tmp", ".out.onnx.12345-67.tmp", *kept]:
        (folder / name).write_text("half")
    with open(folder / ".out.onnx.3-0.tmp") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        assert nibble("model.onnx", "-o", "out.onnx", "-q").status == 0
        assert sorted(os.listdir(folder)) == sorted([*kept, "model.onnx", "out.onnx"])
    assert nibble("model.onnx", "-o", "out.onnx", "-q").status == 0
    assert sorted(os.listdir(folder)) == sorted([*kept[:-1], "model.onnx", "out.onnx"])


def test_folder_that_stays_locked(nibble, folder):
    """Anybody who can read a folder can lock it. A single file needs no lock."""
    before = os.open(folder, os.O_RDONLY)
    fcntl.flock(before, fcntl.LOCK_EX)
    assert nibble("model.onnx", "-o", "out.onnx", "-q").status == 0
    process = nibble.start("model.onnx", "-o", "two.onnx", "-q", "--external-data")
    time.sleep(0.5)
    assert process.poll() is None
    os.close(before)
    assert process.communicate(timeout=60)[1] == b"" and process.returncode == 0


def test_private_output_is_never_open_to_others(nibble, folder):
    """The temporary file has no mode that the old file has not."""
    models.sparse(folder, 1)
    (folder / "out.onnx").write_text("old")
    (folder / "out.onnx").chmod(0o600)
    process = nibble.start("large.onnx", "-o", "out.onnx", "-q", "--external-data",
                           preexec_fn=lambda: os.umask(0))
    seen = set()
    while process.poll() is None:
        for name in os.listdir(folder):
            if name.endswith(".tmp"):
                try:
                    seen.add(stat.S_IMODE((folder / name).stat().st_mode))
                except FileNotFoundError:
                    pass
    assert seen == {0o600}
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.glob("out.onnx*")} == {0o600}
