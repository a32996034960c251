"""proto/onnx.proto against the schema in the onnx package: every message, field, number, type,
label, packing and enumerator."""

import pathlib
import subprocess

import pytest
from google.protobuf import descriptor_pb2
from onnx import onnx_ml_pb2

ROOT = pathlib.Path(__file__).resolve().parents[2]


def ours(folder):
    out = folder / "onnx.descriptor"
    subprocess.run(["protoc-c", f"--proto_path={ROOT / 'proto'}", f"--descriptor_set_out={out}",
                    "onnx.proto"], check=True)
    return descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file[0]


def theirs():
    descriptor = descriptor_pb2.FileDescriptorProto()
    onnx_ml_pb2.DESCRIPTOR.CopyToProto(descriptor)
    return descriptor


def facts(message, path, table):
    """Adds the facts about a message to the table, one entry for each field."""
    path = f"{path}.{message.name}"
    table[path] = "message"
    for field in message.field:
        oneof = (message.oneof_decl[field.oneof_index].name
                 if field.HasField("oneof_index") else "")
        table[f"{path}.{field.name}"] = (field.number, field.type, field.label,
                                         field.type_name, field.options.packed, oneof)
    for enum in message.enum_type:
        for value in enum.value:
            table[f"{path}.{enum.name}.{value.name}"] = value.number
    for nested in message.nested_type:
        facts(nested, path, table)


def table(descriptor):
    result = {}
    for message in descriptor.message_type:
        facts(message, descriptor.package, result)
    return result


def test_schema(tmp_path):
    mine, upstream = ours(tmp_path), theirs()
    assert mine.package == upstream.package == "onnx"
    assert (mine.syntax or "proto2") == (upstream.syntax or "proto2") == "proto2"
    assert table(mine) == table(upstream)
    assert len(table(mine)) > 200


if __name__ == "__main__":
    pytest.main([__file__])
