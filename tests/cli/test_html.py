"""The report as an HTML page (--report, nibble report): one file that loads nothing, and in which
names from a model are only ever text."""

import base64
import hashlib
import html.parser
import json
import re

import numpy as np
import pytest

import models

VOID = {"meta", "br"}
SVG = {"line", "rect"}  # closed by "/>"
EVIL = ("<script>alert(1)</script>", "\" onclick='x' \"", "a&amp;b", "turn\u202ed", "\x1b[31mred",
        "</style><img src=http://evil.example/x>")


class Page(html.parser.HTMLParser):
    """All tags with their attributes, the text of each, and the tables."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.open, self.text, self.tables = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == [], "tags are left open"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in VOID | SVG:
            self.open.append(tag)

    handle_startendtag = handle_starttag

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "table" in self.open and ({"td", "th"} & set(self.open)):
            self.tables[-1][-1][-1] += data
        if not {"script", "style"} & set(self.open):
            self.text.append(data)

    def rows(self, head):
        """The rows of the table whose first head is this."""
        for table in self.tables:
            heads = [row for row in table if row and row[0] == head]
            if heads:
                return table[table.index(heads[0]):]
        raise AssertionError(f"no table begins with {head}")

    def all_text(self):
        return "".join(self.text)

    def count(self, tag):
        return sum(name == tag for name, _ in self.tags)


def page_of(nibble, *arguments):
    run = nibble(*arguments, "--report", "page.html")
    assert run.status == 0, run.err
    return Page((nibble.folder / "page.html").read_text())


def normal(rows, columns, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


def put(folder, name, weights):
    (folder / name).write_bytes(models.chain(weights).SerializeToString())


def test_the_page_says_what_the_json_says(nibble, folder):
    put(folder, "n.onnx", {"a": normal(64, 64), "b": normal(64, 64, 1), "c": normal(60, 4)})
    page = page_of(nibble, "n.onnx", "-o", "out.onnx", "--json", "r.json", "--block-size", "32")
    report = json.loads((folder / "r.json").read_text())
    rows = page.rows("Weight")[1:]
    assert [row[0] for row in rows] == ["a", "b"]
    for row, weight in zip(rows, report["weights"]):
        assert row[1:3] == ["MatMul", "64x64"] and row[4] == "int4 block 32"
        assert row[-1] == f"{weight['snr_db']:.1f} dB"
    text = page.all_text()
    assert "fewer than 256 elements" in text and "2 of 3 constants" in text
    command = "nibble quantize n.onnx -o out.onnx --json r.json --block-size 32 --report page.html"
    assert report["command"] == command and command in text


def test_histograms_are_those_of_numpy(nibble, folder):
    """Values over scales, in bars of a quarter of a code: the ten worst weights have one."""
    weights = {f"w{i}": normal(64, 64, i) for i in range(12)}
    put(folder, "n.onnx", weights)
    page = page_of(nibble, "n.onnx", "-o", "out.onnx", "--per-tensor", "--method", "rtn",
                   "--json", "r.json")
    report = json.loads((folder / "r.json").read_text())
    assert page.count("svg") == 10
    assert "likely to ruin" in report["notes"][0] and report["notes"][0] in page.all_text()
    worst = sorted(report["weights"], key=lambda w: w["snr_db"])[:10]
    assert {w["name"] for w in report["weights"] if "histogram" in w} == {w["name"] for w in worst}
    for weight in worst:
        histogram, values = weight["histogram"], weights[weight["name"]]
        scale = np.float32(np.abs(values).max() / np.float32(7))
        edges = histogram["first"] + histogram["step"] * np.arange(len(histogram["counts"]) + 1)
        assert (histogram["lowest"], histogram["highest"], edges[0], edges[-1]) == (-8, 7, -9.5, 8.5)
        expected = np.histogram(values.astype(float) / float(scale), edges)[0]
        assert np.abs(expected - histogram["counts"]).sum() <= 2  # rounding at an edge
        assert sum(histogram["counts"]) == values.size


@pytest.mark.parametrize("options", [("--type", "int8"), ("--type", "uint4"), ("--block-size", "16"),
                                     ("--per-channel",), ("--format", "nbits"), ("--threads", "3")])
def test_every_value_is_counted_once(nibble, folder, options):
    put(folder, "n.onnx", {"a": normal(257, 130), "b": normal(130, 64)})
    page_of(nibble, "n.onnx", "-o", "out.onnx", "--json", "r.json", *options)
    for weight in json.loads((folder / "r.json").read_text())["weights"]:
        assert sum(weight["histogram"]["counts"]) == weight["elements"]


def test_without_a_page_there_are_no_histograms(nibble, folder):
    nibble("model.onnx", "-o", "out.onnx", "--json", "r.json")
    assert "histogram" not in (folder / "r.json").read_text()


def test_names_are_only_text(nibble, folder):
    put(folder, "n.onnx", {name: normal(64, 64, i) for i, name in enumerate(EVIL)} |
        {f"{name} small": normal(64, 2) for name in EVIL[:1]})
    page = page_of(nibble, "n.onnx", "-o", "out.onnx")
    names = [row[0] for row in page.rows("Weight")[1:]]
    assert names[:3] == list(EVIL[:3]) and names[5] == EVIL[5]
    assert names[3:5] == ["turn\\u202Ed", "\\x1B[31mred"]
    assert page.count("script") == 1 and page.count("img") == 0
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)


def test_names_of_files_and_options_are_only_text(nibble, folder):
    name = "<b> it's.onnx"
    (folder / name).write_bytes((folder / "model.onnx").read_bytes())
    page = page_of(nibble, name, "-o", "<img>", "--exclude", "<i>'\"")
    assert page.count("b") == 2  # "times smaller"
    assert page.count("img") == page.count("i") == 0
    assert "nibble quantize '<b> it'\\''s.onnx' -o '<img>'" in page.all_text()


def test_reports_of_others_are_only_text(nibble, folder):
    """A JSON file may come from anywhere: each text in it is escaped, each type is checked."""
    evil = "<script>alert(1)</script>"
    weight = {"name": evil, "op_type": evil, "graph": evil, "dims": [evil, 1e300, -1],
              "quantized": True, "type": evil, "granularity": evil, "form": evil,
              "bytes": {"before": evil, "after": -1e300}, "snr_db": evil, "calibrated": True,
              "histogram": {"first": -9.5, "step": 0.25, "lowest": -8, "highest": 7,
                            "counts": [1, 2, evil, -3, 1e300]}}
    left = {"name": evil, "quantized": False, "reason": evil, "bytes": 7}
    report = {"nibble": evil, "model": evil, "output": evil, "command": evil, "notes": [evil, 1],
              "weights": [weight, left, 7, "x"], "outputs": [{"name": evil, "snr_db": "inf"}, 1],
              "data": evil, "quantized": 1e300, "left": -1, "opset": [], "latency": evil}
    (folder / "r.json").write_text(json.dumps(report))
    for second in [(), ("r.json",)]:
        assert nibble("report", "r.json", *second, "-o", "page.html").status == 0
        page = Page((folder / "page.html").read_text())
        assert page.count("script") == 1


def test_the_page_loads_nothing(nibble, folder):
    put(folder, "n.onnx", {"a": normal(64, 64)})
    page = page_of(nibble, "n.onnx", "-o", "out.onnx")
    allowed = {"class", "data-key", "content", "name", "http-equiv", "charset", "lang", "role",
               "aria-label", "viewbox", "colspan", "x", "y", "x1", "x2", "y1", "y2", "width",
               "height"}
    assert {key for _, attributes in page.tags for key in attributes} <= allowed
    text = (folder / "page.html").read_text()
    assert "url(" not in text and "@import" not in text and "http" not in text.replace("http-eq", "")


def test_the_policy_allows_the_style_and_the_script(nibble, folder):
    """After a change of either, this says which hashes html_style.c must have."""
    text = (page_of(nibble, "model.onnx", "-o", "out.onnx"), folder / "page.html")[1].read_text()
    policy = re.search('Content-Security-Policy content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        inside = re.search(f"<{tag}>(.*?)</{tag}>", text, re.S)[1]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_light_and_dark(nibble, folder):
    page_of(nibble, "model.onnx", "-o", "out.onnx")
    text = (folder / "page.html").read_text()
    assert "prefers-color-scheme:dark" in text and "color-scheme:light dark" in text


def test_two_reports_side_by_side(nibble, folder):
    put(folder, "n.onnx", {"a": normal(64, 64), "b": normal(64, 64, 1)})
    put(folder, "m.onnx", {"b": normal(64, 64, 1), "c": normal(64, 64, 2)})
    nibble("n.onnx", "-o", "o.onnx", "--json", "a.json")
    nibble("m.onnx", "-o", "p.onnx", "--json", "b.json", "--type", "int8", "--exclude", "c")
    run = nibble("report", "a.json", "b.json", "-o", "page.html")
    assert (run.status, run.text, run.err) == (0, "", "")
    page = Page((folder / "page.html").read_text())
    rows = {row[0]: row[1:] for row in page.rows("Weight")[1:]}
    assert set(rows) == {"a", "b"}
    assert [rows["b"][3], rows["b"][6]] == ["int4 block 64", "int8 block 64"]
    assert rows["a"][6] == ""
    assert "n.onnx" in page.all_text() and "m.onnx" in page.all_text()


def test_a_comparison(nibble, folder):
    put(folder, "n.onnx", {"a": normal(64, 64)})
    nibble("n.onnx", "-o", "o.onnx")
    page = page_of(nibble, "compare", "n.onnx", "o.onnx")
    assert page.rows("Weight")[1][:4] == ["a", "MatMul", "64x64", "int4"]


def test_inspect(nibble, folder):
    page = page_of(nibble, "inspect", "model.onnx")
    assert page.rows("Weight")[1][-1] == "" and page.count("svg") == 0


def test_to_standard_output(nibble):
    run = nibble("model.onnx", "-o", "out.onnx", "--report", "-")
    assert run.status == 0 and run.text.startswith("<!DOCTYPE html>")
    Page(run.text)


@pytest.mark.parametrize("victim", ["model.onnx", "out.onnx", "r.json"])
def test_no_other_file_is_replaced(nibble, folder, victim):
    before = (folder / "model.onnx").read_bytes()
    (folder / "r.json").touch()
    run = nibble("model.onnx", "-o", "out.onnx", "--json", "r.json", "--report", f"./{victim}")
    assert run.status == 2 and not (folder / "out.onnx").exists()
    assert (folder / "model.onnx").read_bytes() == before
    assert not list(folder.glob(".*"))


def test_a_failure_leaves_nothing(nibble, folder):
    (folder / "page.html").write_text("old")
    (folder / "bad.onnx").write_bytes(b"\x08\x07nothing")
    assert nibble("bad.onnx", "-o", "out.onnx", "--report", "page.html").status == 1
    assert nibble("model.onnx", "-o", "out.onnx", "--report", "/dev/full").status == 1
    assert nibble("model.onnx", "-o", "out.onnx", "--report", "none/p.html").status == 1
    assert (folder / "page.html").read_text() == "old"
    assert sorted(path.name for path in folder.iterdir()) == ["bad.onnx", "model.onnx", "page.html"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"weights": 1}', "[" * 5000])
def test_what_is_no_report_is_named(nibble, folder, text):
    (folder / "r.json").write_text(text)
    run = nibble("report", "r.json", "-o", "page.html")
    assert run.status == 1 and "no report" in run.err and not (folder / "page.html").exists()


def test_usage_of_report(nibble, folder):
    nibble("model.onnx", "-o", "out.onnx", "--json", "r.json")
    assert nibble("report", "r.json").status == 2
    assert nibble("report", "r.json", "-o", "r.json").status == 2
    assert nibble("report", "r.json", "r.json", "r.json", "-o", "p.html").status == 2
    assert nibble("report", "none.json", "-o", "p.html").status == 1
