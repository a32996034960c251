"""nibble chooses types and granularities for each weight. --bits-per-weight stays within its
bound and loses no more than any single setting within the bound. --min-snr takes the smallest
choice that reaches its bound. numpy takes bytes and errors from the files."""

import dataclasses
import functools
import itertools
import json
import math
import pathlib
import re

import feeds as models_feeds
import numpy as np
import onnx
import pytest

import build
import folding
import oracle
import runtime
from build import LAYERS
from forms_check import FORMS, rival
from oracle import Scheme
from verify import TOLERANCE, check_outputs

COMMITTED = ["fashion_cnn_ts17.onnx", "fashion_cnn_dynamo18.onnx",
             "bible_lm_ts17.onnx", "bible_lm_dynamo18.onnx"]
DOWNLOADED = ["ppocr_rec.onnx", "silero_vad.onnx", "silero_lstm.onnx", "minilm.onnx"]
# By a rule: without one, tables that are added would have 8 bits in all of them.
SETTINGS = [("--rule", f".: type={words}") for words in
            ("int4", "int4, block-size=128", "int4, block-size=64", "int4, block-size=32", "int8")]
BITS = [4.25, 4.5, 5, 8]
SNR = [14.5, 19, 21, 30, 44]  # dB
CLOSE = 1e-3  # of an error, and of an SNR in dB: nibble adds up float32


@dataclasses.dataclass
class Outcome:
    """What one weight became."""
    bytes: int
    error: float  # noise / signal

    @property
    def snr(self):
        return -10 * math.log10(self.error) if self.error else math.inf


def relative_error(x, decoded):
    x, decoded = x.astype(np.float64), decoded.astype(np.float64)
    signal = np.square(x).sum()
    return np.square(x - decoded).sum() / signal if signal else 0


class Subject:
    """A model, and what each single setting makes of each of its weights."""

    def __init__(self, path, run, folder, more=()):
        self.path, self.run, self.folder, self.more = path, run, folder, more
        outputs = [self.quantize(*setting) for setting in SETTINGS]
        keys = set().union(*map(oracle.decoders, outputs))
        self.floats = folding.fold(onnx.load(path), keys)
        known = oracle.constants(self.floats)
        self.weights = {key: known[key].tensor for key in sorted(keys & known.keys())}
        self.values = {key: oracle.array_of(t) for key, t in self.weights.items()}
        self.elements = sum(x.size for x in self.values.values())
        self.uniform = [self.outcomes(output) for output in outputs]

    def start(self, *options):
        out = self.folder / "out.onnx"
        out.unlink(missing_ok=True)
        return self.run("quantize", self.path, "-o", out, "-q", "--threads", 1, "--json",
                        self.folder / "report.json", "--target", "generic", "--method",
                        "rtn", *self.more, *options)

    def quantize(self, *options):
        done = self.start(*options)
        assert done.returncode == 0, done.stderr.decode()
        return self.output()

    def output(self):
        """The model itself if all weights stay float."""
        out = self.folder / "out.onnx"
        if self.report()["quantized"] == 0:
            assert out.read_bytes() == pathlib.Path(self.path).read_bytes()
        return onnx.load(out)

    def report(self):
        return json.loads((self.folder / "report.json").read_bytes())

    def outcomes(self, output):
        """{key: Outcome}, including weights that stay float."""
        found, result = oracle.decoders(output), {}
        for key, x in self.values.items():
            made = found.get(key)
            result[key] = (Outcome(made.bytes, relative_error(x, made.unrounded())) if made
                           else Outcome(x.size * oracle.item_size(self.weights[key]), 0))
        return result

    def sums(self, outcomes):
        """(bits per weight, error of all weights)"""
        return (8 * sum(o.bytes for o in outcomes.values()) / self.elements,
                sum(o.error for o in outcomes.values()))


@functools.cache
def cached(path, more, run, folder):
    return Subject(path, run, folder, more)


@pytest.fixture
def subject(real_model, run, tmp_path_factory, request):
    def subject(name, *more):
        folder = tmp_path_factory.getbasetemp() / "budget"
        folder.mkdir(exist_ok=True)
        return cached(real_model(name), more, run, folder)

    return subject


# ---- --bits-per-weight --------------------------------------------------------

def check_bits(subject, bits):
    """Returns True if the bound could be met."""
    done = subject.start("--bits-per-weight", bits)
    sums = [subject.sums(outcomes) for outcomes in subject.uniform]
    if done.returncode == 2:
        least = float(re.search(r"take ([\d.]+) bits each at the least", done.stderr.decode())[1])
        assert all(b > bits for b, _ in sums)
        assert bits < least <= min(b for b, _ in sums) + 0.001
        assert subject.start("--bits-per-weight", least).returncode == 0
        return False
    assert done.returncode == 0, done.stderr.decode()
    stored, error = subject.sums(subject.outcomes(subject.output()))
    assert stored <= bits
    report = subject.report()
    assert report["bits_per_weight"] <= bits
    assert report["bits_chosen"] == pytest.approx(stored, rel=1e-12)
    assert report["elements_chosen"] == subject.elements
    assert not any(row["asked"] for row in report["weights"]
                   if not row["quantized"] and "--bits-per-weight" in row["reason"])
    for other_bits, other_error in sums:
        assert other_bits > bits or error <= other_error * (1 + CLOSE)
    return True


@pytest.mark.parametrize("more", [(), ("--asymmetric",)], ids=["symmetric", "asymmetric"])
@pytest.mark.parametrize("name", COMMITTED + DOWNLOADED)
def test_bits(name, more, subject):
    one = subject(name, *more)
    done = [check_bits(one, bits) for bits in BITS]
    assert done[-1]
    types = {row["type"] for row in one.report()["weights"] if row["quantized"]}
    assert types <= ({"uint4", "uint8"} if more else {"int4", "int8"})


@pytest.mark.parametrize("name", COMMITTED[::2])
def test_narrow_scales(name, subject):
    """Scales with half the bytes leave room for more blocks."""
    one, wide = subject(name, "--scale-type", "float16"), subject(name)
    assert all([check_bits(one, bits) for bits in BITS])
    least = [s.start("--bits-per-weight", 1).stderr.decode() for s in (one, wide)]
    assert len({re.search(r"take ([\d.]+) bits", text)[1] for text in least}) == 2


@pytest.mark.parametrize("name", COMMITTED)
def test_more_bits_lose_less(name, subject):
    one, errors = subject(name), []
    for bits in np.arange(4.5, 33, 1.5):
        output = one.quantize("--bits-per-weight", bits)
        errors.append(one.sums(one.outcomes(output))[1])
        if errors[-1] == 0:
            break
    for before, after in itertools.pairwise(errors):
        assert after <= before * (1 + CLOSE)
    assert errors[-1] < errors[0] / 100


@pytest.mark.parametrize("name", COMMITTED[1:3])
def test_mixture_is_near_the_bound(name, subject):
    """If weights could be split between the settings, the result could be only a little better."""
    one = subject(name)
    for bits in 4.5, 5, 6:
        one_error = one.sums(one.outcomes(one.quantize("--bits-per-weight", bits)))[1]
        table = [[(8 * o[key].bytes, o[key].error) for o in one.uniform] +
                 [(8 * x.size * 4, 0)] for key, x in one.values.items()]
        bound = max(sum(min(e + price * b for b, e in row) for row in table) -
                    price * bits * one.elements for price in np.geomspace(1e-9, 1e-3, 400))
        worst = max(row[0][1] for row in table)
        assert bound * (1 - CLOSE) <= one_error <= bound * (1 + CLOSE) + worst


@pytest.mark.parametrize("method", ["search", "exact"])
def test_methods(method, real_model, run, tmp_path):
    """Errors are measured with the method that is used in the end."""
    one = Subject(real_model(COMMITTED[0]), run, tmp_path, ("--method", method))
    assert check_bits(one, 4.5)
    floats, _ = min((one.sums(o) for o in one.uniform), key=lambda sums: sums[0])
    assert check_bits(one, floats)


# ---- --min-snr ----------------------------------------------------------------

@pytest.mark.parametrize("more", [(), ("--asymmetric",)], ids=["symmetric", "asymmetric"])
@pytest.mark.parametrize("name", COMMITTED + DOWNLOADED)
def test_min_snr(name, more, subject):
    one = subject(name, *more)
    for least in SNR:
        outcomes = one.outcomes(one.quantize("--min-snr", least))
        if one.report()["quantized"] == 0:
            # All of it is better than this, or weights that were folded would have to be
            # stored as floats, which takes more than the others save.
            break
        left = 0
        for key, made in outcomes.items():
            assert made.snr >= least - CLOSE
            left += made.error == 0
            for other in one.uniform:
                assert other[key].bytes >= made.bytes or other[key].snr < least + CLOSE
        report = one.report()
        rows = [row for row in report["weights"]
                if not row["quantized"] and "--min-snr" in row["reason"]]
        assert len(rows) <= left and all(row["asked"] for row in rows)
        assert all(row["snr_db"] is None or row["snr_db"] >= least - CLOSE
                   for row in report["weights"] if row["quantized"])
        assert report["bits_chosen"] == pytest.approx(one.sums(outcomes)[0], rel=1e-12)


def test_unreached_is_missed(real_model, run, tmp_path):
    words = (real_model(COMMITTED[0]), "-o", tmp_path / "out.onnx", "--strict", "-q")
    assert run(*words, "--min-snr", 60).returncode == 3
    assert run(*words, "--min-snr", 20).returncode == 0
    assert run(*words, "--bits-per-weight", 20).returncode == 0


# ---- runtimes -----------------------------------------------------------------

@pytest.mark.parametrize("words", [("--bits-per-weight", "4.6"), ("--min-snr", "21")], ids=str)
@pytest.mark.parametrize("name", COMMITTED + DOWNLOADED)
def test_plain_outputs(name, words, real_model, generic, need):
    """Plain DequantizeLinear of the chosen blocks, decoded by numpy."""
    path = real_model(name)
    feeds = [need(lambda: models_feeds.feeds(path))]
    result = generic(path, *words, "--method", "rtn")
    onnx.checker.check_model(str(result.output), full_check=True)
    found = oracle.decoders(result.load())
    before = folding.fold(onnx.load(path), found)
    found = {key: made for key, made in found.items() if key in oracle.constants(before)}
    assert len({(made.type, made.block) for made in found.values()}) > 1
    check_outputs(result, before, found, feeds, 5 * TOLERANCE)


@pytest.mark.parametrize("form", [form for form in FORMS if form != "generic"])
@pytest.mark.parametrize("name", COMMITTED + ["silero_lstm.onnx"])
def test_forms(name, form, real_model, quantize, need):
    """Every form of the choices is compared with weights that numpy rounded as the report says."""
    path = real_model(name)
    feeds = [need(lambda: models_feeds.feeds(path))]
    for scheme, words in ((Scheme("int4"), []), (Scheme("uint4"), ["--asymmetric"])):
        result = quantize(path, *words, "--bits-per-weight", 5.2, "--method", "rtn",
                          *FORMS[form])
        assert result.report["bits_chosen"] <= 5.2
        assert stored_bits(result) <= 5.2
        known = {place.label: place.path for place in oracle.places(onnx.load(path))}
        keys = {(known[row["graph"]], row["name"]) for row in result.report["weights"]}
        other = result.output.with_name("rival.onnx")
        onnx.save(rival(folding.fold(onnx.load(path), keys), result, scheme), other)
        a, b = (runtime.run_ort(p, feeds) for p in (other, result.output))
        assert runtime.worst(a, b) <= TOLERANCE


def stored_bits(result):
    """The bits of everything that replaces the weights in the file: tensors of codes, scales
    and zero points, found by type and name. Forms that the file has twice count twice."""
    elements = sum(row["elements"] for row in result.report["weights"]
                   if row["quantized"] and not row["copy"])
    tensors = [c.tensor for c in oracle.constants(result.load()).values()]
    before = {c.name for c in oracle.constants(onnx.load(result.model)).values()}
    stored = sum(len(t.raw_data) for t in tensors if t.name not in before and (
        t.data_type in oracle.CODE_TYPE or t.name.endswith("_scale")))
    left = [row for row in result.report["weights"]
            if not row["quantized"] and "--bits-per-weight" in row["reason"]]
    stored += sum(row["bytes"]["after"] for row in left)
    return 8 * stored / (elements + sum(row["elements"] for row in left))


def test_upgrade_keeps_the_choice(quantize, real_model, tmp_path, run):
    """The opset is raised after the choice, unless the choice needs no higher opset."""
    layers = ["matmul", "conv2d", "gemm-transb"]
    for layer in map(LAYERS.get, layers):
        model = build.layer_model(layer, build.weight(layer))
        model.opset_import[0].version = 13
        result = quantize(model, "--min-snr", 30, "--min-elements", 16)
        assert {row["type"] for row in result.report["weights"] if row["quantized"]} <= {"int8"}
        result = quantize(model, "--bits-per-weight", 7, "--min-elements", 16)
        assert result.report["bits_chosen"] <= 7
        if any(row.get("type") == "int4" for row in result.report["weights"]):
            assert result.report["opset"]["after"] == 21


# ---- the same, however it is run -------------------------------------------------

@pytest.mark.parametrize("words", [("--bits-per-weight", "4.7"), ("--min-snr", "20")], ids=str)
@pytest.mark.parametrize("name", [COMMITTED[1], COMMITTED[3], "silero_lstm.onnx"])
def test_threads_and_kernels(name, words, real_model, run, tmp_path):
    made = set()
    for threads, cpu in itertools.product((1, 2, 3, 8), (["--cpu", "scalar"], [])):
        out = tmp_path / "out.onnx"
        done = run(real_model(name), "-o", out, *words, "--method", "search", "--threads",
                   threads, *cpu)
        assert done.returncode == 0, done.stderr
        made.add(out.read_bytes())
    assert len(made) == 1


@pytest.mark.parametrize("words", [("--bits-per-weight", "5"), ("--min-snr", "20")], ids=str)
@pytest.mark.parametrize("name", COMMITTED + DOWNLOADED)
def test_dry_run_tells_all(name, words, quantize, real_model, run, tmp_path):
    """A dry run has measured the weights. Only the size of the output is unknown."""
    path = real_model(name)
    real = quantize(path, *words).report
    for command in (["quantize", "--dry-run"], ["inspect"]):
        done = run(*command, path, *words, "--json", "-")
        assert done.returncode == 0, done.stderr
        dry = json.loads(done.stdout)
        for report in dry, real:
            report.pop("output", None)
            report["bytes"].pop("after", None)
        assert dry == real
