/* Payloads: the values of tensors, wherever they lie.
 *
 * While a model is in memory, the raw_data of every tensor does not hold bytes:
 * raw_data.data points to a struct payload and raw_data.len is its size. Values
 * thus stay in the mapped file, are copied by the system when they go out
 * unchanged, and may be reserved before they are known. Only the writer
 * (onnx/write.c) and tensor.h look behind that pointer. */
#ifndef NIBBLE_ONNX_PAYLOAD_H
#define NIBBLE_ONNX_PAYLOAD_H

#include "core/arena.h"
#include "core/file.h"

struct payload {
    const uint8_t *data; /* NULL if reserved: the size is known, the contents are not */
    uint64_t size;
    const struct file *file; /* the mapping that data lies in; NULL: the arena */
    struct output *output;   /* the output where the writer has put it */
    uint64_t offset;         /* its offset in the output */
};

enum { PAYLOAD_CHUNKS = 40, PAYLOAD_FIRST_CHUNK = 256 };

/* Payloads of one model. They never move: pointers to them are what raw_data holds. */
struct payloads {
    struct payload *chunks[PAYLOAD_CHUNKS]; /* each twice as long as the one before */
    size_t chunk_count, used; /* `used` counts the payloads of the last chunk */
};

struct payload *payload_add(struct payloads *payloads, const uint8_t *data, uint64_t size,
                            const struct file *file);

/* The payload that a raw_data pointer points to. NULL if it points to none. */
struct payload *payload_at(const struct payloads *payloads, const void *pointer);

/* The bytes of all payloads. */
uint64_t payloads_size(const struct payloads *payloads);

void payloads_free(struct payloads *payloads);

#endif
