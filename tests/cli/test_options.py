"""The options of --help, of the man page and of README's table are the same, each with the same
argument."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
COMMANDS = ["quantize", "inspect", "upgrade", "compare"]


@pytest.fixture
def table(nibble):
    """{name: (letter, argument)} of all commands."""
    found = {}
    for command in COMMANDS:
        for line in nibble(command, "--help-all").text.splitlines():
            row = re.match(r"  (?:-(\w), |    )--([\w-]+)(?:\[?[ =]([A-Z]+)\]?)?(?: |$)", line)
            if row:
                found[row[2]] = (row[1], row[3])
    assert len(found) > 25
    return found


@pytest.fixture
def words(nibble):
    """{name: [word]} of options that take one of a list."""
    text = re.sub(r"\n {28}", " ", nibble("quantize", "--help-all").text)
    found = {}
    for name, line in re.findall(r"--([\w-]+) [A-Z]+ +(.*)", text):
        if "(default)" in line:
            lists = line.split(": ")[-1].replace(" (default)", "")
            found[name] = re.split(r", | or ", lists)
    assert found["type"] == ["int4", "uint4", "int8", "uint8"] and len(found) >= 6
    return found


def man():
    return (ROOT / "docs/nibble.1").read_text()


def man_options():
    """The options of the man page, and the text of each."""
    found, texts = {}, {}
    for entry in man().split("\n.It ")[1:]:
        head, _, text = entry.partition("\n")
        row = re.match(r"(?:Fl (\w) , )?Fl -([\w-]+)(?: (?:Ns Oo = Ns )?Ar ([A-Z]+)(?: Oc)?)?$", head)
        if row:
            found[row[2]] = (row[1], row[3])
            texts[row[2]] = text
    return found, texts


def readme_options():
    found = {}
    for line in (ROOT / "README.md").read_text().splitlines():
        if line.startswith("| `-"):
            first = line.split(" | ")[0]
            for letter, name, argument in re.findall(
                    r"`(?:-(\w), )?--([\w-]+)(?:\[?[ =]([A-Z]+)\]?)?`", first):
                found[name] = (letter or None, argument or None)
    return found


def test_man_page(table):
    assert man_options()[0] == table


def test_readme(table):
    assert readme_options() == table


def test_words_are_in_the_man_page(words):
    texts = man_options()[1]
    for name, listed in words.items():
        for word in listed:
            assert re.search(rf"^\.Cm {word}\b", texts[name], re.M), (name, word)


def test_wrong_words_are_answered_with_the_list(nibble, words):
    for name, listed in words.items():
        run = nibble("model.onnx", "--dry-run", f"--{name}", "wrong")
        assert run.status == 2
        assert " ".join(run.err.split(" not ")[0].replace(",", "").replace(" or", "").split()
                        ).endswith(" ".join(listed))


def test_operators_are_in_the_man_page_and_readme():
    """All operators of the standard domain with weights, as the source lists them."""
    source = (ROOT / "src/plan/weight_operators.c").read_text()
    operators = set(re.findall(r'\{STANDARD, "(\w+)"', source))
    assert {"MatMul", "Gather", "LSTM"} <= operators
    for text in man(), (ROOT / "README.md").read_text():
        missing = {name for name in operators if not re.search(rf"\b{name}\b", text)}
        assert not missing
