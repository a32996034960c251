"""The rows of src/upgrade/operator_versions.c, from the schemas of the onnx package.

As a program it prints the rows of that table:

    python3 tests/e2e/helpers/upgrade_operators.py > rows.txt
"""

from collections import defaultdict

import onnx.defs

LETTERS = {"tensor(int64)": "L", "tensor(bool)": "B", "tensor(float)": "F"}
NEWEST = 28


def schemas():
    """Schemas of the standard domain by operator, oldest version first."""
    found = defaultdict(list)
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "" and schema.since_version <= NEWEST:
            found[schema.name].append(schema)
    return {name: sorted(versions, key=lambda s: s.since_version)
            for name, versions in found.items()}


def allowed_types(schema, formal):
    """The types that an input or output may have."""
    for constraint in schema.type_constraints:
        if constraint.type_param_str == formal.type_str:
            return set(constraint.allowed_type_strs)
    return {formal.type_str}


def output_types(schema):
    """One character for each output: the input with the same type, a fixed type, or ?.

    The last one stands for all outputs of a variadic list."""
    inputs = [formal.type_str for formal in schema.inputs]
    letters = ""
    for formal in schema.outputs:
        types = allowed_types(schema, formal)
        if len(types) == 1:
            letters += LETTERS.get(next(iter(types)), "?")
        elif formal.type_str in inputs and formal.is_homogeneous:
            letters += str(inputs.index(formal.type_str))
        else:
            letters += "?"
    return letters


def rows():
    """The rows of the table, in the order of operators' names."""
    for name, versions in sorted(schemas().items()):
        gone = versions[-1].since_version if versions[-1].deprecated else 0
        living = [schema for schema in versions if not schema.deprecated]
        yield name, versions[0].since_version, gone, output_types(living[-1])


def lines():
    return [f'    {{"{name}", {since}, {gone}, "{types}"}},' for name, since, gone, types in rows()]


if __name__ == "__main__":
    print("\n".join(lines()))
