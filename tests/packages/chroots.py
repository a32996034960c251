"""Tries in a fresh Debian 12 what users do with containers and packages. Needs root, debootstrap
and the machine's own apt sources.

    python3 chroots.py deb FOLDER        installs the packages of the folder, runs the program, and
                                         builds a program with libnibble-dev
    python3 chroots.py image             runs the steps of examples/ci/Dockerfile, one by one, for
                                         machines without a daemon for containers

Chroots stand for containers: FROM is a new Debian, RUN a shell in it. What they can't show is
what docker itself does: layers, .dockerignore, volumes.
"""

import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BASES = ROOT / "build/chroots"
MODEL = "models/fashion_cnn_ts17.onnx"
RELEASE = {"debian:12": "bookworm", "debian:12-slim": "bookworm"}


def run(*words, **more):
    print("+", shlex.join(map(str, words)), flush=True)
    return subprocess.run(words, check=True, **more)


def mirror():
    """Where this machine gets Debian from."""
    sites = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE)",
                            "Created-By: Packages"], check=True, capture_output=True, text=True)
    return next(site for site in sites.stdout.split() if site.endswith("/debian"))


def inside(root, script):
    return run("chroot", root, "sh", "-ec", script, stdin=subprocess.DEVNULL, env={
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/"})


class Debian:
    """New chroots: copies of one for each release, which is made once."""

    def __init__(self, folder):
        self.folder, self.count = folder, 0

    def make(self, release):
        self.count += 1
        base, root = BASES / release, self.folder / f"{self.count}"
        if not base.exists():
            made = self.folder / release
            run("debootstrap", "--variant=minbase", release, made, mirror(),
                stdout=subprocess.DEVNULL)
            BASES.mkdir(parents=True, exist_ok=True)
            made.rename(base)
        run("cp", "-a", base, root)
        return root


# ---- packages -------------------------------------------------------------------


def packages(folder, debian):
    root = debian.make("bookworm")
    for package in folder.glob("*.deb"):
        shutil.copy(package, root / "tmp")
    shutil.copy(ROOT / MODEL, root / "tmp/model.onnx")
    shutil.copy(HERE / "installed.c", root / "tmp")
    inside(root, "apt-get -qq update && apt-get -qq install --no-install-recommends "
                 "/tmp/nibble_*.deb >/dev/null")
    inside(root, "cd /tmp && nibble --version && nibble model.onnx -o small.onnx -q --verify "
                 "&& nibble compare model.onnx small.onnx -q")
    inside(root, "ls /usr/share/bash-completion/completions/nibble.bash "
                 "/usr/share/zsh/vendor-completions/_nibble "
                 "/usr/share/fish/vendor_completions.d/nibble.fish")
    inside(root, "apt-get -qq install --no-install-recommends gcc libc6-dev pkg-config "
                 "/tmp/libnibble-dev_*.deb /tmp/libnibble0_*.deb >/dev/null")
    inside(root, "cd /tmp && cc installed.c -o own $(pkg-config --cflags --libs nibble) "
                 "&& ./own model.onnx")
    inside(root, "apt-get -qq purge nibble libnibble0 libnibble-dev >/dev/null "
                 "&& ! ls /usr/bin/nibble /usr/include/nibble.h 2>/dev/null")


# ---- the Dockerfile ---------------------------------------------------------------


def steps(path):
    """(instruction, its text) of a Dockerfile."""
    text = path.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(None, 1)) for line in lines]


def copy(text, root, stages):
    words = text.split()
    source = ROOT
    if words[0].startswith("--from="):
        source = stages[words.pop(0).removeprefix("--from=")]
        run("cp", "-a", f"{source}{words[0]}/.", f"{root}{words[1]}")
        return
    target = root / words[1].lstrip("/")
    target.mkdir(parents=True, exist_ok=True)
    files = subprocess.run(["git", "ls-files", "-z"], cwd=source, check=True, capture_output=True)
    archive = subprocess.run(["tar", "--null", "-T", "-", "-cf", "-"], cwd=source, check=True,
                             input=files.stdout, capture_output=True)
    run("tar", "-xf", "-", "-C", target, input=archive.stdout)


def image(debian):
    stages, root, entry = {}, None, None
    for instruction, text in steps(ROOT / "examples/ci/Dockerfile"):
        if instruction == "FROM":
            name, *stage = text.split()
            root = debian.make(RELEASE[name])
            stages[stage[1] if stage else ""] = root
        elif instruction == "RUN":
            inside(root, text)
        elif instruction == "COPY":
            copy(text, root, stages)
        elif instruction == "ENTRYPOINT":
            entry = text
        else:
            raise SystemExit(f"{instruction}: this script does not know it")
    assert entry == '["nibble"]'
    shutil.copy(ROOT / MODEL, root / "tmp/model.onnx")
    inside(root, "cd /tmp && nibble --version && nibble model.onnx -o small.onnx --verify")


def main(what, folder=None):
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as work:
        debian = Debian(pathlib.Path(work))
        if what == "deb":
            packages(pathlib.Path(folder), debian)
        else:
            image(debian)


if __name__ == "__main__":
    main(*sys.argv[1:])
