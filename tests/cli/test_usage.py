"""Wrong usage gives exit status 2, nothing on stdout, and one line on stderr that says what is
wrong and how to correct it. Help and version go to stdout with exit status 0."""

import pty
import os
import re

import pytest

WRONG = [
    # arguments, words that the message must have
    ("", ["no model", "nibble --help"]),
    ("quantize", ["no model", "nibble quantize --help"]),
    ("model.onnx", ["no output", "-o OUT", "--dry-run"]),
    ("upgrade model.onnx", ["no output", "-o OUT"]),
    ("model.onnx other.onnx -o out", ["one model", "'other.onnx'"]),
    ("inspct model.onnx", ["unknown command 'inspct'", "inspect?"]),
    ("-q inspect model.onnx", ["command comes first", "nibble inspect"]),
    ("model.onnx -o out --blok-size 32", ["--blok-size", "did you mean --block-size?"]),
    ("model.onnx -o out --dryrun", ["--dryrun", "did you mean --dry-run?"]),
    ("model.onnx -o out --frobnicate", ["--frobnicate", "nibble quantize --help"]),
    ("model.onnx -o out -z", ["-z", "nibble quantize --help"]),
    ("model.onnx -o out --per", ["--per-channel or --per-tensor"]),
    ("model.onnx -o out --dry", ["--dry: did you mean --dry-run?"]),
    ("model.onnx -o out --min-e 5", ["--min-e: did you mean --min-elements?"]),
    ("model.onnx -o out --bits 8", ["--bits", "--type int8"]),
    ("model.onnx -o out --bits=4", ["--bits", "--type int4"]),
    ("model.onnx -o out --group-size 32", ["--group-size", "--block-size"]),
    ("model.onnx -o out --nodes_to_exclude x", ["--exclude"]),
    ("model.onnx -o out --block_size 32", ["did you mean --block-size?"]),
    ("inspect model.onnx --output x", ["--output is an option of 'nibble quantize'"]),
    ("model.onnx -o=out", ["-o=out", "-o out", "--output=out"]),
    ("-version", ["-version", "did you mean --version?"]),
    ("model.onnx -output out", ["did you mean --output?"]),
    ("model.onnx -type=int8 -o out", ["did you mean --type=int8?"]),
    ("-V", ["-V", "--version"]),
    ("model.onnx -o out -t int8", ["-t", "--type"]),
    ("help inspct", ["unknown command", "inspect"]),
    ("model.onnx -o", ["--output OUT"]),
    ("model.onnx -o out --block-size", ["--block-size N"]),
    ("model.onnx -o out --quiet=yes", ["--quiet takes no value"]),
    ("model.onnx -o out --type int5", ["'int5'", "int4, uint4, int8 or uint8"]),
    ("model.onnx -o out --method magic", ["'magic'", "rtn"]),
    ("model.onnx -o out --block-size 1", ["from 2", "'1'"]),
    ("model.onnx -o out --block-size 32k", ["whole number", "'32k'"]),
    ("model.onnx -o out --block-size -4", ["whole number", "'-4'"]),
    ("model.onnx -o out --block-size 99999999999999999999", ["whole number"]),
    ("model.onnx -o out --min-elements x", ["--min-elements", "'x'"]),
    ("model.onnx -o out --threads many", ["--threads", "'many'"]),
    ("model.onnx -o out --cpu z80", ["z80"]),
    ("model.onnx -o out --include (", ["--include", "regular expression"]),
    ("model.onnx -o out --include a --include b", ["--include is given twice", "(A)|(B)"]),
    ("model.onnx -o out --symmetric --asymmetric", ["--symmetric and --asymmetric"]),
    ("model.onnx -o out --per-tensor --block-size 4", ["--per-tensor and --block-size"]),
    ("model.onnx -o out --bits-per-weight 5 --min-snr 20",
     ["--bits-per-weight and --min-snr exclude each other"]),
    ("model.onnx -o out --bits-per-weight 5 --type int8", ["--bits-per-weight and --type"]),
    ("model.onnx -o out --type int4 --min-snr 20", ["--type and --min-snr"]),
    ("model.onnx -o out --bits-per-weight 5 --block-size 32",
     ["--bits-per-weight and --block-size"]),
    ("model.onnx -o out --per-channel --min-snr 20", ["--per-channel and --min-snr"]),
    ("model.onnx -o out --per-tensor --bits-per-weight 5", ["--per-tensor and --bits-per"]),
    ("model.onnx -o out --bits-per-weight 0", ["--bits-per-weight", "above 0", "4.5", "'0'"]),
    ("model.onnx -o out --bits-per-weight 65", ["up to 64", "'65'"]),
    ("model.onnx -o out --bits-per-weight 4,5", ["'4,5'"]),
    ("model.onnx -o out --bits-per-weight 4.5.1", ["'4.5.1'"]),
    ("model.onnx -o out --bits-per-weight .", ["'.'"]),
    ("model.onnx -o out --bits-per-weight -5", ["'-5'"]),
    ("model.onnx -o out --min-snr nan", ["--min-snr", "'nan'"]),
    ("model.onnx -o out --min-snr 1e1", ["'1e1'"]),
    ("model.onnx -o out --min-snr 200.5", ["up to 200"]),
    ("model.onnx -o out --bits-per-weight 2", ["model.onnx: ", "2 is too little", "4.5"]),
    ("inspect model.onnx --bits-per-weight 2", ["2 is too little"]),
    ("model.onnx -o out --format nbits --decode load", ["--format nbits", "--decode load"]),
    ("model.onnx -o out --format nbits-int8 --decode portable", ["--decode"]),
    ("model.onnx -o out --format nbits --target generic", ["--target generic"]),
    ("inspect model.onnx --target generic --decode load", ["--target generic", "--decode load"]),
    ("inspect model.onnx --target portable --decode auto", ["--target portable", "--decode auto"]),
    ("inspect model.onnx --target openvino --format nbits", ["--target openvino", "nbits"]),
    ("inspect model.onnx --target opencv", ["'opencv'", "onnxruntime-web", "portable"]),
    ("model.onnx -o out --bits-per-weight 2", ["bits each at the least", "--scale-type float16"]),
    ("model.onnx -o out -q -v", ["--quiet and --verbose"]),
    ("model.onnx -o out --opset 21", ["--opset", "nibble upgrade"]),
    ("inspect model.onnx -o out", ["--output", "nibble quantize", "nibble inspect"]),
    ("upgrade model.onnx -o out --type int8", ["--type", "nibble upgrade"]),
    ("upgrade model.onnx -o out --opset 20", ["from 21", "'20'"]),
    ("model.onnx -o - --json -", ["standard output", "--json FILE"]),
    ("model.onnx -o - --external-data", ["--external-data", "-o FILE"]),
    ("model.onnx -o out --json model.onnx", ["--json would replace the model"]),
    ("model.onnx -o out --json ./model.onnx", ["--json would replace the model"]),
    ("model.onnx -o out --json out", ["--json would replace the output"]),
    ("model.onnx -o model.onnx", ["model itself", "-f"]),
    ("model.onnx -o ./model.onnx", ["model itself", "-f"]),
]


@pytest.mark.parametrize("arguments, words", WRONG, ids=[row[0] for row in WRONG])
def test_wrong(nibble, folder, arguments, words):
    before = (folder / "model.onnx").read_bytes()
    run = nibble(*arguments.split())
    assert run.status == 2
    assert run.text == ""
    assert re.fullmatch(r"nibble: [^\n]+\n", run.err), run.err
    for word in words:
        assert word in run.err
    assert os.listdir(folder) == ["model.onnx"]
    assert (folder / "model.onnx").read_bytes() == before


def test_empty_names(nibble):
    assert "empty" in nibble("", "-o", "out").err
    assert "--output takes a name" in nibble("model.onnx", "-o", "").err


def test_message_cannot_move_the_cursor(nibble):
    run = nibble("model.onnx", "-o", "out", "--type", "\x1b[31mred\x9b")
    assert run.status == 2
    assert "\x1b" not in run.err and run.err.count("\n") == 1


@pytest.mark.parametrize("arguments", ["--help", "-h", "quantize --help", "inspect --help",
                                       "upgrade -h", "compare --help", "model.onnx --help", "help",
                                       "help quantize", "help upgrade"])
def test_help(nibble, arguments):
    run = nibble(*arguments.split())
    assert (run.status, run.err) == (0, "")
    lines = run.text.splitlines()
    assert lines[0].startswith("Usage: nibble ")
    assert len(lines) <= 60 and max(map(len, lines)) <= 80


@pytest.mark.parametrize("command", ["quantize", "inspect", "upgrade", "compare", "report"])
def test_help_of_all_options(nibble, command):
    """The short page is the long one without some options. It says how many, and where they
    are."""
    short, long = (nibble(command, word).text.splitlines() for word in ("--help", "--help-all"))
    assert max(map(len, long)) <= 80
    options = [[line for line in page if re.match(r"  .{4}--", line)] for page in (short, long)]
    assert set(options[0]) <= set(options[1])
    left = len(options[1]) - len(options[0])
    last = f"'nibble {command} --help-all' lists {left} more options."
    assert (short[-1] == last) == (left > 0)
    assert not [line for line in long if "more options" in line]
    assert nibble("--help-all").text == nibble("quantize", "--help-all").text


def test_common_options_are_on_the_short_page(nibble):
    page = nibble("quantize", "--help").text
    for name in "type", "bits-per-weight", "data", "output", "decode", "dry-run", "quiet", "help":
        assert f"--{name} " in page, name


def test_help_as_a_command(nibble):
    assert nibble("help").text == nibble("--help").text
    assert nibble("help", "inspect").text == nibble("inspect", "--help").text


def test_words_behind_two_dashes_are_names(nibble, folder):
    (folder / "model.onnx").rename(folder / "-q")
    assert nibble("-o", "out.onnx", "-q", "--", "-q").status == 0
    assert (folder / "out.onnx").exists()


def test_version(nibble):
    run = nibble("--version")
    assert (run.status, run.err) == (0, "")
    assert re.fullmatch(r"nibble \d+\.\d+\.\d+\n", run.text)


def test_model_never_goes_to_a_terminal(nibble):
    ours, theirs = pty.openpty()
    run = nibble("model.onnx", "-o", "-", stdout=theirs)
    assert run.status == 2 and "terminal" in run.err and "-o FILE" in run.err
    os.close(ours)
    os.close(theirs)


def test_option_may_come_anywhere_and_be_short(nibble, folder):
    assert nibble("-qo", "a.onnx", "model.onnx").status == 0
    assert nibble("quantize", "--output=b.onnx", "model.onnx", "--type=int4", "-q").status == 0
    assert (folder / "a.onnx").read_bytes() == (folder / "b.onnx").read_bytes()


def test_choosing_goes_with_other_options(nibble):
    for words in ("--asymmetric", "--symmetric", "--method search", "--decode load",
                  "--format nbits", "--target generic", "--embedding-type int8",
                  "--exclude small", "--min-elements 4", "--scale-type float16"):
        for choice in "--bits-per-weight=9.5", "--min-snr=20":
            run = nibble("model.onnx", "--dry-run", choice, *words.split())
            assert run.status == 0
            assert not run.err or "--embedding-type" in run.err
            assert "chosen " in run.text and "bits per weight for" in run.text


def test_later_value_wins(nibble, folder):
    run = nibble("model.onnx", "--type", "int8", "--type", "int4", "-o", "out.onnx")
    assert " int4 " in run.text
