"""Replaces a section of docs/measurements.md by what a bench has printed.

    ./dev bench --page models
    build/venv/bin/python bench/models.py | build/venv/bin/python bench/page.py models

A section lies between the lines "<!-- begin models -->" and "<!-- end models -->". It
begins with a line that says what was run, when, and on which machine. Lines of text that
are not a Markdown table become a block of code, since their columns are made of spaces.
"""

import argparse
import datetime
import importlib.metadata
import os
import pathlib
import re
import sys

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs/measurements.md"


def cpu_name():
    """The name of the processor, as Linux tells it."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return "unknown CPU"
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else "unknown CPU"


def origin(bench):
    """The line above the figures."""
    runtime = importlib.metadata.version("onnxruntime")
    return (
        f"`./dev bench {bench}`, {datetime.date.today()}, {cpu_name()}, "
        f"{os.cpu_count()} CPUs, ONNX Runtime {runtime}:"
    )


def as_markdown(text):
    """The output of a bench without the titles that ./dev prints before it."""
    lines = text.splitlines()
    titles = [i for i, line in enumerate(lines) if line.startswith("== ")]
    body = "\n".join(lines[titles[-1] + 1 if titles else 0 :]).strip("\n")
    is_table = any(line.startswith("|") for line in body.splitlines())
    return body if is_table else f"```\n{body}\n```"


def replace_section(page, name, section):
    """The page with another text between the markers of a section."""
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError(f"{PAGE.name} has no section '{name}': put '{begin.strip()}' and "
                         f"'{end}' where its figures belong")
    before, rest = page.split(begin)
    after = rest.split(end)[1]
    return f"{before}{begin}{section}\n{end}{after}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", help="of the section and of the bench: models, process, ...")
    parser.add_argument("--page", type=pathlib.Path, default=PAGE)
    args = parser.parse_args()
    body = as_markdown(sys.stdin.read())
    if not body.strip("`\n"):
        parser.error("standard input is empty: pipe the output of a bench into this script")
    try:
        page = replace_section(
            args.page.read_text(), args.name, f"{origin(args.name)}\n\n{body}"
        )
    except ValueError as error:
        parser.error(str(error))
    args.page.write_text(page)


if __name__ == "__main__":
    main()
