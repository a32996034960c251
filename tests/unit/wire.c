/* The wire format, written without looking at any schema. */
#include "wire.h"
#include "support.h"

#include <string.h>

void wire_raw(struct wire *wire, const void *data, size_t size)
{
    if (wire->capacity - wire->size < size) {
        size_t capacity = wire->capacity * 2 + size + 64;
        uint8_t *bigger = hold(capacity);
        if (wire->size > 0)
            memcpy(bigger, wire->data, wire->size);
        wire->data = bigger;
        wire->capacity = capacity;
    }
    if (size > 0)
        memcpy(wire->data + wire->size, data, size);
    wire->size += size;
}

void wire_varint(struct wire *wire, uint64_t value)
{
    uint8_t byte;
    for (; value >= 0x80; value >>= 7) {
        byte = (uint8_t)(value | 0x80);
        wire_raw(wire, &byte, 1);
    }
    byte = (uint8_t)value;
    wire_raw(wire, &byte, 1);
}

void wire_key(struct wire *wire, uint32_t number, unsigned type)
{
    wire_varint(wire, (uint64_t)number << 3 | type);
}

void wire_number(struct wire *wire, uint32_t number, uint64_t value)
{
    wire_key(wire, number, WIRE_VARINT);
    wire_varint(wire, value);
}

void wire_field(struct wire *wire, uint32_t number, const void *data, size_t size)
{
    wire_key(wire, number, WIRE_LENGTH);
    wire_varint(wire, size);
    wire_raw(wire, data, size);
}

void wire_text(struct wire *wire, uint32_t number, const char *value)
{
    wire_field(wire, number, value, strlen(value));
}

void wire_message(struct wire *wire, uint32_t number, const struct wire *message)
{
    wire_field(wire, number, message->data, message->size);
}
