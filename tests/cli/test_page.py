"""bench/page.py puts the figures of a bench into a page."""

import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "bench/page.py"
PAGE = "before\n\n<!-- begin models -->\nold\n<!-- end models -->\n\nafter\n"


def replace(path, name, text):
    path.write_text(PAGE)
    command = [sys.executable, SCRIPT, name, "--page", path]
    return subprocess.run(command, input=text, capture_output=True, text=True)


@pytest.mark.parametrize("title", ["", "dev: a note\n\n== models in every form\n"])
def test_a_table_takes_the_place_of_the_old_one(title, tmp_path):
    table = "| model | latency |\n|---|---:|\n| a | 0.31 |"
    result = replace(tmp_path / "page.md", "models", f"{title}{table}\n")
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "page.md").read_text()
    assert page.startswith("before\n\n<!-- begin models -->\n`./dev bench models`, ")
    assert page.endswith(f":\n\n{table}\n<!-- end models -->\n\nafter\n")
    assert "old" not in page and "a note" not in page


def test_columns_made_of_spaces_are_a_block_of_code(tmp_path):
    text = "\n== whole process\n\n-q      seconds\ncp        0.687\n"
    assert replace(tmp_path / "page.md", "models", text).returncode == 0
    page = (tmp_path / "page.md").read_text()
    assert "\n\n```\n-q      seconds\ncp        0.687\n```\n<!-- end models -->" in page


@pytest.mark.parametrize("name, text", [("kernels", "| a |\n"), ("models", "\n")])
def test_the_page_stays_if_there_is_no_such_section_or_no_figure(name, text, tmp_path):
    assert replace(tmp_path / "page.md", name, text).returncode == 2
    assert (tmp_path / "page.md").read_text() == PAGE
