"""The command lines of README, docs, the manual page and examples/ci run as they are printed,
on a small model that stands in for the reader's."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import ROOT, new_runtime, normal

pytest.importorskip("onnxruntime")
PAGES = ["README.md", "docs/nibble.1"]
PAGES += sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))


def stand_in():
    """A language model with the names that PyTorch's exporter gives."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["h0"], name="/embed/Gather"),
        helper.make_node("MatMul", ["h0", "onnx::MatMul_1"], ["h1"], name="/layers.0/MatMul"),
        helper.make_node("Relu", ["h1"], ["h2"]),
        helper.make_node("MatMul", ["h2", "onnx::MatMul_2"], ["h3"], name="/layers.1/MatMul"),
        helper.make_node("MatMul", ["h3", "onnx::MatMul_3"], ["y"], name="/lm_head/MatMul"),
    ]
    shapes = {
        "table": (256, 128),
        "onnx::MatMul_1": (128, 256),
        "onnx::MatMul_2": (256, 128),
        "onnx::MatMul_3": (128, 256),
    }
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "graph",
        [value("ids", TensorProto.INT64, ["n"])],
        [value("y", TensorProto.FLOAT, ["n", 256])],
        [
            numpy_helper.from_array(normal(*shape, seed=i), name)
            for i, (name, shape) in enumerate(shapes.items())
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def reader(tmp_path):
    """Runs a script of the shell in a folder with what a reader has."""
    for folder, count in ("samples", 8), ("tests", 4), ("text", 6):
        (tmp_path / folder).mkdir()
        for i in range(count):
            ids = np.random.default_rng(i + 10 * count).integers(0, 256, 64)
            np.savez(tmp_path / folder / f"{i}.npz", ids=ids)
    (tmp_path / "models").mkdir()
    for name in (
        "model.onnx",
        "text.onnx",
        "ppocr_rec.onnx",
        "bible_lm_ts17.onnx",
        "models/fashion_cnn_ts17.onnx",
    ):
        onnx.save(stand_in(), tmp_path / name)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "nibble").symlink_to(
        pathlib.Path(os.environ.get("NIBBLE", ROOT / "build/nibble")).absolute()
    )
    for name in "quantize", "compare":
        script = programs / f"nibble-{name}"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m nibble._{name}_program "$@"\n')
        script.chmod(0o755)
    environment = {
        **os.environ,
        "NIBBLE": "nibble",
        "PATH": f"{programs}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "python"),
    }

    def run(script):
        return subprocess.run(
            ["bash", "-c", f"set -e -o pipefail\n{script}"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )

    return run


def commands(page):
    """The command lines of a page, with the lines that they go on with."""
    text = (ROOT / page).read_text()
    if page.endswith(".1"):
        lines = [line.replace("\\e", "\\") for line in re.findall(r"^\.Dl (.*)", text, re.M)]
        joined = "\n".join(lines).replace("|\n", "| ").replace("\\\n", " ")
        return [line for line in joined.splitlines() if line.startswith("nibble ")]
    found, going_on = [], False
    for line in text.splitlines():
        begins = re.match(r"    (?:\$ )?(nibble .*)", line)
        if going_on and line.startswith("    "):
            found[-1] += "\n" + line.strip()
        elif begins:
            found.append(begins[1])
        else:
            continue
        quotes = found[-1].count("'") % 2
        going_on = line.endswith("\\") or quotes == 1
    return found


def is_synopsis(command):
    """Words such as MODEL stand for something."""
    return re.search(r"\b(MODEL|FLOAT|COMMAND)\b", command) is not None


ALL = {page: commands(page) for page in PAGES}


def test_pages_have_commands():
    assert len(ALL["docs/guide.md"]) >= 14 and len(ALL["README.md"]) >= 8
    assert len(ALL["docs/nibble.1"]) >= 5 and len(ALL["docs/rules.md"]) >= 4


@new_runtime
@pytest.mark.parametrize("page", [page for page, found in ALL.items() if found])
def test_commands_run(reader, page):
    """One after the other in one folder. 3 is no failure: a gate may find the stand-in bad."""
    for command in ALL[page]:
        if is_synopsis(command) or ("| jq" in command and not shutil.which("jq")):
            continue
        for quantized in "int4.onnx", "small.onnx":
            if f"compare model.onnx {quantized}" in command:
                reader(f"test -e {quantized} || nibble model.onnx -qo {quantized}")
        done = reader(command)
        assert done.returncode in (0, 3), f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES)
def test_options_exist(page, program):
    """Options in running text and in synopses, too."""
    known = {"--version", "--help", "--help-all"}
    for command in "quantize", "inspect", "upgrade", "compare":
        known |= set(re.findall(r"--[a-z][\w-]+", program(command, "--help-all").stdout))
    for command in ALL[page]:
        if command.split()[0] == "nibble":
            used = set(re.findall(r"(?<![\w-])--[a-z][\w-]+", command))
            assert used <= known, command


# ---- command lines of other programs ------------------------------------------------------

# Those that no test here runs as they are, and what does it instead.
ELSEWHERE = {
    "pip install '.[runtime]'": "./dev wheel: test_package.py installs what pip builds",
    "pip install '.[runtime]' torch onnxscript": "the same, and ./dev exports installs PyTorch",
    "python examples/vision.py": "test_examples.py, where torch is installed",
    "apt-get install gcc": "./dev deb --check installs these packages: the Dockerfile's",
    "apt-get install ./build/deb/nibble_*.deb": "./dev deb --check, in a fresh Debian",
    "meson setup build --buildtype=release": "./dev build",
    "ninja -C build": "./dev build",
    "meson install -C build": "./dev deb --check: the Dockerfile's steps",
}
OTHER_PROGRAMS = re.compile(
    r"    (?:\$ )?((?:apt-get|pip|meson|ninja|make|docker|python|git|npm|node|cc|curl|cmake) .*"
    r"|\./dev .*)"
)
ALL_PAGES = [*PAGES, "CONTRIBUTING.md", "examples/README.md"]


def other_lines():
    for page in ALL_PAGES:
        for line in (ROOT / page).read_text().splitlines():
            found = OTHER_PROGRAMS.fullmatch(line)
            if found:
                yield page, found[1]


def test_other_commands_are_known():
    """A new line of another program needs a test or a reason. A reason without a line goes."""
    lines = [(page, line) for page, line in other_lines() if not line.startswith("./dev ")]
    for page, line in lines:
        assert any(line.startswith(known) for known in ELSEWHERE), f"{page}: {line}"
    for known in ELSEWHERE:
        assert any(line.startswith(known) for _, line in lines), f"no page has {known}"


def test_dev_commands_exist():
    text = (ROOT / "dev").read_text()
    known = set(re.search(r"^build \|.*(?=\) \"\$command\")", text, re.M)[0].split(" | "))
    usage = subprocess.run(
        [ROOT / "dev", "help"], capture_output=True, text=True, check=True
    ).stdout
    used = {line.split()[1] for _, line in other_lines() if line.startswith("./dev ")}
    used |= {
        name
        for page in ALL_PAGES
        for name in re.findall(r"`\./dev ([a-z]+)[^`]*`", (ROOT / page).read_text())
    }
    assert len(used) > 12 and used <= known | {"test"}
    for name in known:
        assert re.search(rf"^  {name}\b", usage, re.M), name


# ---- examples/ci ------------------------------------------------------------------------


def workflow_steps():
    """{name: script} of the workflow's steps that run something."""
    text = (ROOT / "examples/ci/quantize.yml").read_text()
    found = {}
    for name, block, line in re.findall(
        r"- name: (.*)\n +run: (?:\|\n((?: {10}.*\n|\n)+)|(.*)\n)", text
    ):
        found[name] = re.sub(r"^ {10}", "", block, flags=re.M) or line
    return found


def test_workflow(reader):
    steps = workflow_steps()
    assert list(steps) == [
        "Install",
        "Quantize",
        "Compare with the float model",
        "Check the size",
    ]
    for name, script in steps.items():
        if name == "Install":
            continue  # ./dev wheel tests the wheel
        done = reader(script)
        assert done.returncode == 0, f"{name}: {done.stdout}\n{done.stderr}"
    assert reader("test -s model.int4.onnx -a -s report.json").returncode == 0
    # The gates can fail.
    tight = steps["Check the size"].replace("0.3", "0.01")
    assert reader(tight).returncode == 1
    tight = steps["Compare with the float model"].replace("12", "90")
    assert reader(tight).returncode == 3


def test_makefile(reader):
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    reader("rm -r model.onnx ppocr_rec.onnx bible_lm_ts17.onnx models")
    makefile = ROOT / "examples/ci/Makefile"
    done = reader(f"make -f {makefile} all check")
    assert done.returncode == 0, done.stderr
    assert reader("test -s text.int4.onnx -a -s text.json").returncode == 0
    assert "up to date" in reader(f"make -f {makefile} text.int4.onnx").stdout
    assert reader(f"make -f {makefile} check MIN_SNR=90").returncode == 2
    reader(f"make -f {makefile} clean")
    assert reader("test -e text.int4.onnx").returncode == 1


def test_dockerfile_installs_what_is_needed():
    """Every package of the README, but for tests and calibration."""
    readme = re.search(
        r"apt-get install (gcc(?:.|\n)*?)\n +meson", (ROOT / "README.md").read_text()
    )[1]
    packages = set(readme.replace("\\", " ").split()) - {
        "libcmocka-dev",
        "libopenblas-pthread-dev",
    }
    dockerfile = (ROOT / "examples/ci/Dockerfile").read_text()
    assert packages <= set(dockerfile.replace("\\", " ").split())


# ---- presets ----------------------------------------------------------------------------


@new_runtime
@pytest.mark.parametrize("preset", ["transformers.js-q4", "genai-int4", "genai-int4-mixed"])
def test_presets_run(preset, tmp_path):
    """ONNX Runtime loads what presets make, and answers nearly as the float model."""
    import nibble

    onnx.save(stand_in(), tmp_path / "model.onnx")
    report = nibble.quantize(tmp_path / "model.onnx", tmp_path / "out.onnx", preset=preset)
    assert {weight.form for weight in report.weights} <= {
        "MatMulNBits",
        "GatherBlockQuantized",
        "Gather",
    }
    data = [{"ids": np.arange(i, i + 40)} for i in range(4)]
    found = nibble.compare(
        tmp_path / "model.onnx", tmp_path / "out.onnx", data=data, latency=False
    )
    assert found.snr_db > 10
