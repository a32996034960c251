"""Protobuf's wire format by hand, for messages that no library would write."""


def varint(value):
    value &= 2**64 - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, value):
    """A varint (int), or bytes, text or a message with its length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def fixed32(number, raw):
    return varint(number << 3 | 5) + raw


def fixed64(number, raw):
    return varint(number << 3 | 1) + raw


def start_group(number):
    return varint(number << 3 | 3)


def end_group(number):
    return varint(number << 3 | 4)


def opset(version=21):
    return field(8, field(2, version))


def model(graph, ir=10):
    """A model around a graph's bytes."""
    return field(1, ir) + field(7, graph) + opset()


def value_info(name, dims):
    shape = b"".join(field(1, field(1, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))
