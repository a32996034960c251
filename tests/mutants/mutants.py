#!/usr/bin/env python3
"""Makes small random changes of src/, one at a time, and counts how many the tests catch.

    mutants.py SOURCE BUILD [--count N] [--seed N] [--only PATH]...

SOURCE is the repository, which stays as it is: the changes are made in a copy of it below BUILD,
which has a build of its own. A change that does not compile does not count. A change that all
unit tests pass is tried with tests in Python, those of its part first."""

import argparse
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

# (what to find, what to write instead): operators, constants, conditions, returns.
RULES = [
    (r" < ", [" <= ", " >= "]), (r" <= ", [" < ", " > "]), (r" > ", [" >= ", " <= "]),
    (r" >= ", [" > ", " < "]), (r" == ", [" != "]), (r" != ", [" == "]),
    (r" && ", [" || "]), (r" \|\| ", [" && "]), (r" \+ ", [" - "]), (r" - ", [" + "]),
    (r" \* ", [" / "]), (r" / ", [" * "]), (r" % ", [" / "]), (r" \+= ", [" -= "]),
    (r" << ", [" >> "]), (r" >> ", [" << "]), (r"\+\+", ["--"]),
    (r"(?<=[ (\[])0(?=[;,)\] ])", ["1"]), (r"(?<=[ (\[])1(?=[;,)\] ])", ["0", "2"]),
    (r"return true;", ["return false;"]), (r"return false;", ["return true;"]),
    (r"if \(", ["if (!"]), (r"return (?=[a-z_]+\()", ["return !"]),
    (r"continue;", ["break;"]), (r"break;", [";"]), (r"= true;", ["= false;"]),
]
SKIPPED = re.compile(r"^\s*(/\*|\*|//|#|static const|enum|struct|typedef|_Static_assert)")
# Files that unit tests do not reach: the program has tests of its own.
OUTSIDE = {"cli"}
# Tests that take long, and the folder that alone they are run for.
SLOW = {"quant-search": "src/quant", "quant-methods": "src/quant", "quant-layouts": "src/quant",
        "quant-importance": "src/quant", "quant-finite": "src/quant", "truncated": "src/core"}

# Tests in Python of a part of src/. Some parts have hardly any unit test, because their oracle is
# numpy or ONNX Runtime.
BESIDE = {
    "src/cali": ["python/test_calibration.py", "e2e/test_observe.py", "e2e/test_trials.py"],
    "src/solve": ["python/test_calibration.py"],
    "src/compare": ["cli/test_compare.py", "python/test_compare.py", "cli/test_verify.py"],
    "src/report": ["cli/test_report.py", "cli/test_html.py", "cli/test_page.py"],
    "src/constants": ["e2e/test_constants.py", "e2e/test_chains.py"],
    "src/upgrade": ["cli/test_upgrade.py", "e2e/test_upgrade_operators.py"],
    "src/plan": ["e2e/test_already.py", "e2e/test_experts.py", "e2e/test_banks.py",
                 "e2e/test_float16.py", "e2e/test_fixed.py", "e2e/test_neighbours.py"],
    "src/fill": ["e2e/test_statistics.py"],
    "src/emit": ["e2e/test_float16.py", "e2e/test_copies.py"],
}
ALWAYS = ["cli"]


def places(source, only):
    """All (path, line number, begin, end, what to write)."""
    found = []
    for path in sorted((source / "src").rglob("*.c")):
        name = path.relative_to(source).as_posix()
        if path.relative_to(source / "src").parts[0] in OUTSIDE:
            continue
        if only and not any(name.startswith(prefix) for prefix in only):
            continue
        comment = False
        for number, line in enumerate(path.read_text().splitlines()):
            comment |= "/*" in line
            if not comment and not SKIPPED.match(line) and '"' not in line:
                found += [(name, number, match.start(), match.end(), text)
                          for pattern, texts in RULES
                          for match in re.finditer(pattern, line) for text in texts]
            comment &= "*/" not in line
    return found


def run(words, **options):
    try:
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=900, **options)
    except subprocess.TimeoutExpired:
        return None


class Copy:
    """A copy of the repository with a build."""

    def __init__(self, source, build):
        self.root = build / "source"
        shutil.rmtree(self.root, ignore_errors=True)  # the build is used again
        for name in ("src", "tests", "proto", "models", "python", "third_party", "docs"):
            shutil.copytree(source / name, self.root / name,
                            ignore=shutil.ignore_patterns("build", "packagecache"))
        for name in ("meson.build", "meson_options.txt", "README.md", "pyproject.toml"):
            shutil.copy(source / name, self.root / name)
        if not (build / "made/build.ninja").exists():
            done = run(["meson", "setup", str(build / "made"), str(self.root),
                        "--buildtype=debug", "-Dc_args=-O1"])
            assert done and done.returncode == 0, done and done.stdout
        self.made = build / "made"
        listed = run(["meson", "test", "-C", str(self.made), "--suite", "unit", "--list"])
        self.tests = re.findall(r"^(?:\S+ / )?([\w-]+)$", listed.stdout, re.MULTILINE)
        assert self.tests, listed.stdout
        assert self.compiles(), "it does not compile without a change"
        for path in {path for paths in BESIDE.values() for path in paths}:
            assert self._pytest("--collect-only", f"tests/{path}"), f"{path} can't be run"

    def compiles(self):
        done = run(["ninja", "-C", str(self.made), "--quiet"])
        return done is not None and done.returncode == 0

    def passes(self, name):
        """The tests of the file's folder first: they are the likeliest to fail."""
        tests = [test for test in self.tests if name.startswith(SLOW.get(test, ""))]
        folder = name.split("/")[1].removesuffix(".c")
        near = [test for test in tests if test.startswith(folder)]
        rest = [test for test in tests if test not in near]
        return all(self._run(some) for some in (near, rest) if some) and self._python(name)

    def _pytest(self, *words):
        """Each file of tests has a run of its own: the folders have a conftest each."""
        environment = {**os.environ, "NIBBLE": str(self.made / "nibble"), "PYTHONPATH": "models",
                       "NIBBLE_LIBRARY": str(self.made / "src/libnibble.so")}
        done = run([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *words],
                   cwd=self.root, env=environment)
        return done is not None and done.returncode == 0

    def _python(self, name):
        beside = [path for part, paths in BESIDE.items() if name.startswith(part)
                  for path in paths]
        return all(self._pytest(f"tests/{path}") for path in beside + ALWAYS)

    def _run(self, tests):
        done = run(["meson", "test", "-C", str(self.made), "--no-rebuild", "--maxfail", "1",
                    "--timeout-multiplier", "0.5", *tests])
        return done is not None and done.returncode == 0

    def attempt(self, place):
        """"caught", "survived" or "void"."""
        name, number, begin, end, text = place
        path = self.root / name
        old = path.read_text()
        lines = old.splitlines(keepends=True)
        line = lines[number]
        lines[number] = line[:begin] + text + line[end:]
        path.write_text("".join(lines))
        try:
            if not self.compiles():
                return "void"
            return "survived" if self.passes(name) else "caught"
        finally:
            path.write_text(old)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", action="append", default=[])
    asked = parser.parse_args()
    copy = Copy(asked.source.absolute(), asked.build.absolute())
    found = places(asked.source, asked.only)
    rng, counts = random.Random(asked.seed), {"caught": 0, "survived": 0, "void": 0}
    print(f"seed {asked.seed}: {asked.count} of {len(found)} places", flush=True)
    while counts["caught"] + counts["survived"] < asked.count:
        place = rng.choice(found)
        result = copy.attempt(place)
        counts[result] += 1
        if result != "void":
            name, number, begin, end, text = place
            line = (copy.root / name).read_text().splitlines()[number]
            print(f"{result}: {name}:{number + 1}: {line.strip()}"
                  f"   [{line[begin:end]!r} -> {text!r}]", flush=True)
    total = counts["caught"] + counts["survived"]
    print(f"{counts['caught']} of {total} caught, {counts['void']} did not compile")
    return 0


if __name__ == "__main__":
    sys.exit(main())
