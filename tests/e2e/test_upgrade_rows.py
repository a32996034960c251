"""Every row of the table gives the same outputs from every source opset, for every target."""

import re

import pytest

import upgrade_cases as cases
import upgrade_rows as rows

TABLE = re.compile(r"^\| (\w+) \| (\d+) \| (.*) \|$", re.MULTILINE)
WITHOUT_MODEL = {("Scan", 9), ("Loop", 11), ("OptionalHasElement", 18), ("Attention", 24)}


def table():
    """(operator, version) -> text, from docs/upgrading.md."""
    text = (cases.ROOT / "docs" / "upgrading.md").read_text(encoding="utf-8")
    return {(name, int(version)): line for name, version, line in TABLE.findall(text)}


PARAMETERS = [pytest.param(case, source, source in (first, 11, version - 1),
                           id=f"{op_type}-{version}-from-{source}")
              for op_type, version, first, case in rows.ROWS for source in range(first, version)]


@pytest.mark.parametrize("case, source, thorough", PARAMETERS)
def test_row(case, source, thorough, tmp_path):
    """All trials run at the first and the last source opset and at 11. A part of them runs at
    the others."""
    trials = list(case(source))
    tried = 0
    for trial in trials if thorough or len(trials) < 6 else trials[source % 5::5]:
        targets = [target for target in trial.targets or cases.TARGETS if target >= source]
        try:
            cases.check(trial.model(source), trial.given(), tmp_path, targets,
                        trial.tolerance, trial.expected)
            tried += 1
        except cases.NoBefore:
            continue  # ONNX Runtime never had that operator for that type
    assert tried > 0


def test_every_row_is_tried():
    tried = {(op_type, version) for op_type, version, *_ in rows.ROWS}
    assert set(table()) - tried == WITHOUT_MODEL
    assert tried <= set(table())
