"""Models in all forms, as jobs for other runtimes (forms_versions)."""

import dataclasses
import json

import numpy as np
import onnx

import forms_check
import forms_models as models
import runtime
from forms_check import FORMS
from forms_models import OPERATORS, PLACES
from oracle import Scheme


@dataclasses.dataclass(frozen=True)
class Case:
    operator: str
    form: str
    place: str
    kind: str
    group: object

    def __str__(self):
        return f"{self.operator}-{self.form}-{self.place}-{self.kind}-{self.group}"

    @property
    def scheme(self):
        return Scheme(self.kind, self.group, min_elements=16)


def spread(operators, forms, places, kinds, groups):
    """Each operator in each form. The other properties take turns."""
    cases = []
    for operator in operators:
        for form in forms:
            i = len(cases)
            place = places[(i + i // 7) % len(places)]
            if "-transpose" in operator and place in models.HANDED:
                place = places[0]
            cases.append(Case(operator, form, place, kinds[(i + i // 5) % len(kinds)],
                              groups[(i + i // 11) % len(groups)]))
    return cases


class Report:
    """The part of a result that forms_check.rival needs."""

    def __init__(self, report):
        self.report = report


def make(case, run, folder):
    """Writes the quantized model, its feeds, and the answer that it must give. This
    environment's ONNX Runtime computes the answer from the float model with rounded weights.
    Returns one job for each feed."""
    stem = folder / str(case)
    operator = OPERATORS[case.operator]
    model = PLACES[case.place](operator, models.weight(operator), "float")
    source, output, report = (f"{stem}.{end}" for end in ("float.onnx", "onnx", "json"))
    onnx.save(model, source)
    done = run("quantize", source, "-o", output, "-q", "--json", report,
               *case.scheme.options(), *FORMS[case.form])
    assert done.returncode == 0, done.stderr.decode()
    with open(report, encoding="utf-8") as file:
        rival = forms_check.rival(model, Report(json.load(file)), case.scheme)
    jobs = []
    for i, feed in enumerate(models.all_feeds(model, operator)):
        wanted = runtime.run_ort(rival.SerializeToString(), [feed], False)[0]
        np.savez(f"{stem}.feed{i}.npz", **feed)
        np.savez(f"{stem}.wanted{i}.npz", *wanted)
        jobs.append((output, f"{stem}.feed{i}.npz", f"{stem}.wanted{i}.npz"))
    return jobs


class Bench:
    """All cases, made once, and the answers of a runtime to them, asked once each."""

    def __init__(self, cases, run, folder, make=make):
        self.jobs = {case: make(case, run, folder) for case in cases}
        self.answers = {}

    def ask(self, name, cases, runner):
        """{case: its worst difference or an error}. `runner` maps jobs to answers."""
        if name not in self.answers:
            owners = [(case, job) for case in cases for job in self.jobs[case]]
            answers = runner([job for _, job in owners])
            got = {}
            for (case, _), answer in zip(owners, answers, strict=True):
                if isinstance(answer, str):
                    got[case] = answer
                elif not isinstance(got.setdefault(case, 0), str):
                    got[case] = max(answer, got[case])
            self.answers[name] = got
        return self.answers[name]
