"""The layout of structs and the values of enumerators, which the binding repeats, are those
of nibble.h: a small C program prints them."""

import re
import shutil
import subprocess

import pytest

from conftest import ROOT
from nibble import _library

HEADER = ROOT / "src/nibble.h"
STRUCTS = {
    "nibble_options": _library.Options,
    "nibble_error": _library.Error,
    "nibble_array": _library.Array,
    "nibble_trial": _library.Trial,
}
NUMBERS = {
    "NIBBLE_SYMMETRY_SYMMETRIC": _library.SYMMETRY_SYMMETRIC,
    "NIBBLE_SYMMETRY_ASYMMETRIC": _library.SYMMETRY_ASYMMETRIC,
    "NIBBLE_GRANULARITY_PER_CHANNEL": _library.GRANULARITY_PER_CHANNEL,
    "NIBBLE_GRANULARITY_PER_TENSOR": _library.GRANULARITY_PER_TENSOR,
    "NIBBLE_GRANULARITY_BLOCKS": _library.GRANULARITY_BLOCKS,
}


def run_c(tmp_path, body):
    """What a C program prints that has these statements in main: {first word: numbers}."""
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    source, program = tmp_path / "layout.c", tmp_path / "layout"
    source.write_text(
        f'#include <stdio.h>\n#include "{HEADER}"\nint main(void) {{\n{body}\nreturn 0; }}\n'
    )
    subprocess.run(
        ["cc", "-Wl,--unresolved-symbols=ignore-all", "-O2", source, "-o", program], check=True
    )
    lines = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    return {
        words[0]: [int(word) for word in words[1:]]
        for words in map(str.split, lines.splitlines())
    }


@pytest.mark.parametrize("name", STRUCTS)
def test_struct(name, tmp_path):
    struct = STRUCTS[name]
    body = f'printf("sizeof %zu\\n", sizeof(struct {name}));\n'
    for field, _ in struct._fields_:
        body += (
            f'printf("{field} %zu %zu\\n", offsetof(struct {name}, {field}), '
            f"sizeof(((struct {name} *)0)->{field}));\n"
        )
    found = run_c(tmp_path, body)
    assert found.pop("sizeof") == [_library.ctypes.sizeof(struct)]
    ours = {
        field: [getattr(struct, field).offset, getattr(struct, field).size]
        for field, _ in struct._fields_
    }
    assert found == ours


def test_enumerators(tmp_path):
    body = "".join(f'printf("{name} %d\\n", (int){name});\n' for name in NUMBERS)
    assert run_c(tmp_path, body) == {name: [value] for name, value in NUMBERS.items()}


def test_every_status_has_an_exception():
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    names = re.findall(
        r"NIBBLE_STATUS_(\w+)", re.search(r"enum nibble_status {(.*?)}", text, re.DOTALL)[1]
    )
    statuses = [error.status if error else "ok" for error in _library.STATUSES]
    assert statuses == [name.lower() for name in names]
