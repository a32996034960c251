"""Shared parts of the benchmarks of whole processes: time and peak memory of a command,
alternating runs, tables."""

import glob
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))


class Failed(Exception):
    """A command that failed."""


def measure(command, output=None):
    """The wall seconds and the peak memory in MB of one command, whose standard output goes
    into the file `output`.

    GNU time starts it, because the peak of a process counts from its start on. As a child of
    this process it would begin with all that Python takes."""
    with tempfile.NamedTemporaryFile("r") as peak, open(output or os.devnull, "wb") as sink:
        start = time.perf_counter()
        done = subprocess.run(["time", "-f", "%M", "-o", peak.name, *map(str, command)],
                              stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.PIPE)
        wall = time.perf_counter() - start
        if done.returncode != 0:
            reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise Failed(f"{' '.join(map(str, command))}: {' '.join(reason)}")
        return {"seconds": wall, "peak_mb": int(peak.read().split()[-1]) * 1024 / 1e6}


def alternate(commands, runs, between=lambda: None):
    """{name: medians} of commands that run one after the other, round by round, so that a slow
    spell of the machine meets them all. The first round warms up and does not count. between()
    is called before each run. A command that fails says why."""
    results, failures = {name: [] for name in commands}, {}
    for _ in range(runs + 1):
        for name, command in commands.items():
            if name in failures:
                continue
            between()
            try:
                results[name].append(measure(command))
            except Failed as reason:
                failures[name] = {"failed": str(reason)}
    medians = {name: medians_of(rows[1:]) for name, rows in results.items()
               if name not in failures}
    return {name: failures.get(name) or medians[name] for name in commands}


def medians_of(rows):
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def remove(*paths):
    """Removes files, and the data files of outputs."""
    for path in [*paths, *(f for p in paths for f in glob.glob(glob.escape(p) + ".*.data"))]:
        if os.path.exists(path):
            os.remove(path)


def has_room(folder, size):
    """True if that many bytes fit into the folder, with some to spare. The folder may be in
    memory, so they must fit into the free memory, too."""
    with open("/proc/meminfo") as file:
        free = next(int(line.split()[1]) * 1024 for line in file if "MemAvailable" in line)
    return size + (2 << 30) < min(free, shutil.disk_usage(folder).free)


# ---- tables ----------------------------------------------------------------

def heading(title, columns, first=32):
    """Prints the head of a table: a column of names, and numbers of width 9."""
    names = "".join(f"{name:>9}" for name in columns)
    print(f"\n{title}\n{'':{first}}{names}".rstrip(), flush=True)


def row(name, values, first=32):
    """Prints a row. Values are text, numbers, or None for an empty cell."""
    cells = "".join(f"{cell(value):>9}" for value in values)
    print(f"{name:{first}}{cells}".rstrip(), flush=True)


def cell(value):
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    digits = 3 if value < 10 else 1 if value < 1000 else 0
    return f"{value:.{digits}f}"


def sorry(name, reason):
    """Prints a row that could not be measured."""
    print(f"{name}: {reason}"[:400], flush=True)


def note(text):
    """Tells people who watch what goes on. It is not part of the results."""
    if sys.stderr.isatty():
        print(f"  {text} ...", file=sys.stderr, flush=True)
