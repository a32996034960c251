/* The set: open addressing, linear probing, at most 7/8 full. Hashes are never
 * removed. */
#include "core/set.h"
#include "core/hash.h"

#include <stdlib.h>

/* Never 0, which marks an empty slot. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = hash_string(text);
    return hash ? hash : 1;
}

/* The slot that holds the hash, or the empty slot where it belongs. */
static uint64_t *find(const struct set *set, uint64_t hash)
{
    size_t i = (size_t)(hash ^ hash >> 32) & (set->capacity - 1);
    while (set->hashes[i] && set->hashes[i] != hash)
        i = (i + 1) & (set->capacity - 1);
    return &set->hashes[i];
}

static bool grow(struct set *set)
{
    struct set bigger = {.capacity = set->capacity ? set->capacity * 2 : 8,
                         .count = set->count};
    bigger.hashes = calloc(bigger.capacity, sizeof *bigger.hashes);
    if (!bigger.hashes)
        return false;
    for (size_t i = 0; i < set->capacity; i++)
        if (set->hashes[i])
            *find(&bigger, set->hashes[i]) = set->hashes[i];
    set_free(set);
    *set = bigger;
    return true;
}

bool set_has(const struct set *set, const char *text)
{
    return set->count > 0 && *find(set, hash_of(text)) != 0;
}

bool set_add(struct set *set, const char *text)
{
    if (set->count >= set->capacity / 8 * 7 && !grow(set))
        return false;
    uint64_t hash = hash_of(text), *slot = find(set, hash);
    set->count += *slot == 0;
    *slot = hash;
    return true;
}

void set_free(struct set *set)
{
    free(set->hashes);
    *set = (struct set){0};
}
