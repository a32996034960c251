/* Bytes in protobuf's wire format, made by hand: also what no writer makes. */
#ifndef NIBBLE_TESTS_WIRE_H
#define NIBBLE_TESTS_WIRE_H

#include <stddef.h>
#include <stdint.h>

struct wire {
    uint8_t *data; /* lives until the test ends */
    size_t size, capacity;
};

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LENGTH = 2, WIRE_FIXED32 = 5 };

void wire_raw(struct wire *wire, const void *data, size_t size);
void wire_varint(struct wire *wire, uint64_t value);
void wire_key(struct wire *wire, uint32_t number, unsigned type);
void wire_number(struct wire *wire, uint32_t number, uint64_t value);
void wire_field(struct wire *wire, uint32_t number, const void *data, size_t size);
void wire_text(struct wire *wire, uint32_t number, const char *value);
void wire_message(struct wire *wire, uint32_t number, const struct wire *message);

#endif
