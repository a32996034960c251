/* The table of payloads. Knows nothing about their contents. */
#include "onnx/payload.h"

#include <stdlib.h>

static size_t chunk_length(size_t chunk)
{
    return (size_t)PAYLOAD_FIRST_CHUNK << chunk;
}

struct payload *payload_add(struct payloads *payloads, const uint8_t *data, uint64_t size,
                            const struct file *file)
{
    size_t count = payloads->chunk_count;
    if (count == 0 || payloads->used == chunk_length(count - 1)) {
        if (count == PAYLOAD_CHUNKS)
            return NULL;
        payloads->chunks[count] = calloc(chunk_length(count), sizeof(struct payload));
        if (!payloads->chunks[count])
            return NULL;
        payloads->chunk_count = ++count;
        payloads->used = 0;
    }
    struct payload *payload = &payloads->chunks[count - 1][payloads->used++];
    *payload = (struct payload){.data = data, .size = size, .file = file};
    return payload;
}

struct payload *payload_at(const struct payloads *payloads, const void *pointer)
{
    uintptr_t at = (uintptr_t)pointer;
    for (size_t i = 0; i < payloads->chunk_count; i++) {
        uintptr_t begin = (uintptr_t)payloads->chunks[i];
        uintptr_t size = chunk_length(i) * sizeof(struct payload);
        if (at >= begin && at - begin < size)
            return &payloads->chunks[i][(at - begin) / sizeof(struct payload)];
    }
    return NULL;
}

uint64_t payloads_size(const struct payloads *payloads)
{
    uint64_t size = 0;
    for (size_t i = 0; i < payloads->chunk_count; i++) {
        bool last = i + 1 == payloads->chunk_count;
        for (size_t j = 0; j < (last ? payloads->used : chunk_length(i)); j++)
            size += payloads->chunks[i][j].size;
    }
    return size;
}

void payloads_free(struct payloads *payloads)
{
    for (size_t i = 0; i < payloads->chunk_count; i++)
        free(payloads->chunks[i]);
    *payloads = (struct payloads){0};
}
