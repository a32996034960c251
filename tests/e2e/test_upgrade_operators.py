"""The tables of src/upgrade and docs/upgrading.md against the schemas of the onnx package."""

import re

import onnx.helper

import upgrade_cases as cases
import upgrade_operators as operators
from test_upgrade_rows import table

# New attributes whose default isn't 0, and why nodes without them keep their meaning.
EXAMINED = {
    ("Attention", 25, "left_window_size"): "-1: no window",
    ("Attention", 25, "right_window_size"): "-1: no window",
    ("Cast", 19, "saturate"): "for float8 only, which is new",
    ("CastLike", 19, "saturate"): "for float8 only, which is new",
    ("CastLike", 24, "round_mode"): "for float8e8m0 only, which is new",
    ("DepthToSpace", 11, "mode"): "DCR is what it did",
    ("SpaceToDepth", 28, "mode"): "DCR is what it did",
    ("QuantizeLinear", 19, "saturate"): "for float8 only, which is new",
    ("Resize", 18, "keep_aspect_ratio_policy"): "stretch is what it did",
    ("ScatterElements", 16, "reduction"): "none is what it did",
    ("ScatterND", 16, "reduction"): "none is what it did",
    ("TopK", 11, "largest"): "1 is what it did",
    ("TopK", 11, "sorted"): "1 is what it did",
}


def test_operators_are_those_of_the_package():
    source = (cases.ROOT / "src" / "upgrade" / "operator_versions.c").read_text(encoding="utf-8")
    rows = re.findall(r'^    \{".*\},$', source, re.MULTILINE)
    assert rows == operators.lines()


def default_of(attribute):
    if not attribute.default_value.name:
        return None
    return onnx.helper.get_attribute_value(attribute.default_value)


def breaks_of_attributes(old, new):
    for name, attribute in old.attributes.items():
        other = new.attributes.get(name)
        if other is None:
            yield f"attribute {name} went"
        elif default_of(attribute) != default_of(other):
            yield f"attribute {name}: another default"
        elif other.required and not attribute.required:
            yield f"attribute {name} is required"
    for name in set(new.attributes) - set(old.attributes):
        if new.attributes[name].required:
            yield f"attribute {name} is required"
        if default_of(new.attributes[name]) not in (None, 0):
            if (new.name, new.since_version, name) not in EXAMINED:
                yield f"attribute {name} is new, and isn't 0 by default"


def breaks_of_formals(old, new, old_schema, new_schema, what):
    """Changes of inputs or outputs, by position, that break nodes."""
    if len(new) < len(old):
        yield f"fewer {what}"
    for one, other in zip(old, new):
        gone = operators.allowed_types(old_schema, one) - operators.allowed_types(new_schema, other)
        if gone:
            yield f"{what} {one.name}: lost {sorted(gone)}"
        if one.option != other.option and one.option != old_schema.inputs[0].option.Single:
            yield f"{what} {one.name}: from {one.option} to {other.option}"
    for other in new[len(old):]:
        if other.option == other.option.Single:
            yield f"{what} {other.name} is new and required"


def breaks(old, new):
    """Changes that nodes of the old schema would not survive."""
    if new.deprecated:
        return ["gone"]
    return [*breaks_of_attributes(old, new),
            *breaks_of_formals(old.inputs, new.inputs, old, new, "inputs"),
            *breaks_of_formals(old.outputs, new.outputs, old, new, "outputs")]


def test_every_break_has_a_row():
    rows, found = table(), set()
    for name, versions in operators.schemas().items():
        for old, new in zip(versions, versions[1:]):
            if new.since_version > 7 and breaks(old, new):
                found.add((name, new.since_version))
    assert found - set(rows) == set()
    assert len(found) > 30


def test_every_row_is_a_version():
    known = {(name, schema.since_version)
             for name, versions in operators.schemas().items() for schema in versions}
    assert set(table()) <= known


def test_ir_versions():
    for _, ir, opset, *_ in onnx.helper.VERSION_TABLE:
        if opset <= 28:
            assert cases.ir_of(opset) == ir
