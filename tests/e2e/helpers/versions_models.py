"""Real models in all forms, as jobs for other runtimes (forms_versions). forms_jobs does the
same with generated models."""

import dataclasses
import json

import feeds as models_feeds
import numpy as np
import onnx

import folding
import oracle
import runtime
from forms_check import FORMS, rival
from forms_jobs import Report
from oracle import Scheme

NAMES = ["fashion_cnn_ts17", "fashion_cnn_dynamo18", "bible_lm_ts17", "bible_lm_dynamo18",
         "ppocr_rec", "silero_vad", "silero_lstm", "minilm"]


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    form: str  # of forms_check.FORMS, or "float": the model as it is
    kind: str
    group: object

    def __str__(self):
        return f"{self.name}-{self.form}-{self.kind}-{self.group}"

    @property
    def operator(self):
        """The key of the answers, as for generated models."""
        return self.name


class Maker:
    """Makes jobs of cases. find(NAME) is the path of a model, or None if it is missing."""

    def __init__(self, find):
        self.find = find

    def __call__(self, case, run, folder):
        source = self.find(f"{case.name}.onnx")
        if not source:
            return []
        feed = models_feeds.feeds(source)
        stem = folder / str(case)
        if case.form == "float":
            return [self.job(stem, source, feed, source)]
        output, report = f"{stem}.onnx", f"{stem}.json"
        scheme = Scheme(case.kind, case.group)
        done = run("quantize", source, "-o", output, "-q", "--json", report, "--method", "rtn",
                   *scheme.options(), *FORMS[case.form])
        assert done.returncode == 0, done.stderr.decode()
        with open(report, encoding="utf-8") as file:
            report = json.load(file)
        if case.form == "portable":
            assert report["opset"]["before"] == report["opset"]["after"]
        float_model = onnx.load(source)
        known = {place.label: place.path for place in oracle.places(float_model)}
        keys = {(known[row["graph"]], row["name"]) for row in report["weights"]}
        copy = rival(folding.fold(float_model, keys), Report(report), scheme)
        return [self.job(stem, output, feed, copy.SerializeToString())]

    def job(self, stem, output, feed, judge):
        """`judge` is the float model that decides what the right answer is."""
        wanted = runtime.run_ort(judge, [feed], False)[0]
        np.savez(f"{stem}.feed.npz", **feed)
        np.savez(f"{stem}.wanted.npz", *wanted)
        return str(output), f"{stem}.feed.npz", f"{stem}.wanted.npz"
