/* The hash of strings for map.c and set.c: FNV-1a with 64 bits. */
#ifndef NIBBLE_CORE_HASH_H
#define NIBBLE_CORE_HASH_H

#include <stdint.h>

static inline uint64_t hash_string(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

#endif
