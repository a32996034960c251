"""The output is replaced in one rename and never half-written. Old files stay after a failure.
Links and modes are respected."""

import os
import stat

import pytest

import models


def test_replaces(nibble, folder):
    (folder / "out.onnx").write_text("old")
    (folder / "out.onnx").chmod(0o640)
    assert nibble("model.onnx", "-o", "out.onnx", "-q").status == 0
    assert "INT4" in models.codes(folder / "out.onnx").values()
    assert stat.S_IMODE((folder / "out.onnx").stat().st_mode) == 0o640
    assert sorted(os.listdir(folder)) == ["model.onnx", "out.onnx"]


def test_old_output_is_kept_on_failure(nibble, folder):
    (folder / "out.onnx").write_text("old")
    (folder / "cut.onnx").write_bytes(models.plain()[:2000])
    assert nibble("cut.onnx", "-o", "out.onnx").status == 1
    assert (folder / "out.onnx").read_text() == "old"


def test_itself_needs_force(nibble, folder):
    before = (folder / "model.onnx").read_bytes()
    os.symlink("model.onnx", folder / "link.onnx")
    os.link(folder / "model.onnx", folder / "hard.onnx")
    for name in ["model.onnx", "link.onnx", "hard.onnx"]:
        run = nibble("model.onnx", "-o", name)
        assert run.status == 2 and "-f" in run.err
        assert nibble("link.onnx", "-o", name).status == 2
        assert (folder / "model.onnx").read_bytes() == before
    assert nibble("model.onnx", "-o", "model.onnx", "-f", "-q").status == 0
    assert "INT4" in models.codes(folder / "model.onnx").values()


def test_link_stays_a_link(nibble, folder):
    (folder / "real.onnx").write_text("old")
    os.symlink("real.onnx", folder / "link.onnx")
    assert nibble("model.onnx", "-o", "link.onnx", "-q").status == 0
    assert (folder / "link.onnx").is_symlink()
    assert "INT4" in models.codes(folder / "real.onnx").values()


def test_link_to_nothing(nibble, folder):
    os.symlink("nowhere.onnx", folder / "link.onnx")
    run = nibble("model.onnx", "-o", "link.onnx", "-q")
    assert run.status == 1 and "link.onnx" in run.err and "symbolic link" in run.err
    assert os.readlink(folder / "link.onnx") == "nowhere.onnx"


def test_directory(nibble, folder):
    (folder / "dir").mkdir()
    run = nibble("model.onnx", "-o", "dir")
    assert run.status == 1 and "directory" in run.err
    assert os.listdir(folder / "dir") == []


def test_missing_directory(nibble):
    run = nibble("model.onnx", "-o", "none/out.onnx")
    assert run.status == 1 and "there is no folder 'none'" in run.err
    run = nibble("upgrade", "model.onnx", "-o", "none/out.onnx")
    assert run.status == 1 and "there is no folder 'none'" in run.err


def test_unwritable_directory(nibble, folder):
    if os.geteuid() == 0:
        folder = "/proc"  # not even root makes files there
        run = nibble("model.onnx", "-o", "/proc/out.onnx")
    else:
        (folder / "locked").mkdir(mode=0o555)
        run = nibble("model.onnx", "-o", "locked/out.onnx")
    assert run.status == 1 and "out.onnx" in run.err


def test_full_device(nibble):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    run = nibble("model.onnx", "-o", "/dev/full", "-q")
    assert run.status == 1 and "No space left" in run.err


def test_standard_output(nibble, folder):
    run = nibble("model.onnx", "-o", "-")
    assert run.status == 0 and "quantized  1 of 2" in run.err
    assert nibble("model.onnx", "-o", "a.onnx", "-q").status == 0
    assert run.out == (folder / "a.onnx").read_bytes()
    assert nibble("model.onnx", "-o", "-", "-q").err == ""


def test_closed_standard_output(nibble, folder):
    """The model must not get descriptor 1, or the report would be written into it."""
    process = nibble.start("model.onnx", "-o", "out.onnx", stdout=None,
                           preexec_fn=lambda: os.close(1))
    error = process.communicate()[1].decode()
    assert process.returncode == 1 and "standard output" in error
    models.codes(folder / "out.onnx")


@pytest.mark.parametrize("arguments", [["inspect", "model.onnx"], ["--help"], ["--version"],
                                       ["model.onnx", "-o", "out.onnx"]])
def test_report_that_is_lost_is_a_failure(nibble, arguments):
    with open("/dev/full", "w") as full:
        run = nibble(*arguments, stdout=full)
    assert run.status == 1 and "standard output: No space left" in run.err


def test_broken_pipe(nibble):
    ours, theirs = os.pipe()
    os.close(ours)
    run = nibble("inspect", "model.onnx", stdout=theirs)
    os.close(theirs)
    assert run.status == 1 and "Broken pipe" in run.err


def test_same_bytes_for_any_threads_and_cpu(nibble, folder):
    outputs = []
    for options in [["--threads", "1"], ["--threads", "7"], ["--cpu", "scalar"], []]:
        assert nibble("model.onnx", "-o", "out.onnx", "-q", *options).status == 0
        outputs.append((folder / "out.onnx").read_bytes())
    assert len(set(outputs)) == 1


def test_external_data(nibble, folder):
    assert nibble("model.onnx", "-o", "out.onnx", "-q", "--external-data").status == 0
    assert "INT4" in models.codes(str(folder / "out.onnx")).values()
