/* A hash of large contents: four lanes of words, which is faster than memory. It tells
 * apart what is different by chance, not by intent. */
#ifndef NIBBLE_CORE_CONTENT_HASH_H
#define NIBBLE_CORE_CONTENT_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { HASH_LANES = 4 };

struct content_hash {
    uint64_t lanes[HASH_LANES];
};

#define CONTENT_HASH_START ((struct content_hash){{1, 2, 3, 4}})

static inline uint64_t content_hash_mix(uint64_t lane, uint64_t word)
{
    lane = (lane ^ word) * 0x9e3779b97f4a7c15u;
    return lane << 29 | lane >> 35;
}

/* Adds a part, filled up with zeros to a multiple of 32 bytes. */
static inline void content_hash_add(struct content_hash *hash, const void *data,
                                    size_t size)
{
    uint64_t words[HASH_LANES];
    for (size_t at = 0; at < size; at += sizeof words) {
        size_t n = size - at < sizeof words ? size - at : sizeof words;
        if (n < sizeof words)
            memset(words, 0, sizeof words);
        memcpy(words, (const uint8_t *)data + at, n);
        for (int i = 0; i < HASH_LANES; i++)
            hash->lanes[i] = content_hash_mix(hash->lanes[i], words[i]);
    }
}

/* The hash of all parts. `size` is their sum, or what else is to count. */
static inline uint64_t content_hash_end(const struct content_hash *hash, uint64_t size)
{
    for (int i = 0; i < HASH_LANES; i++)
        size = content_hash_mix(size, hash->lanes[i]);
    return size;
}

#endif
