/* The hash map: FNV-1a, open addressing, linear probing, at most half full.
 * Nothing is ever removed. */
#include "core/map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct map_entry {
    const char *key; /* NULL: empty */
    uint64_t hash;
    void *value;
};

static uint64_t hash_string(const char *key)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

/* The entry that holds the key, or the empty one where it belongs. */
static struct map_entry *find(const struct map *map, const char *key, uint64_t hash)
{
    size_t i = (size_t)hash & (map->capacity - 1);
    for (;; i = (i + 1) & (map->capacity - 1)) {
        struct map_entry *entry = &map->entries[i];
        if (!entry->key || (entry->hash == hash && strcmp(entry->key, key) == 0))
            return entry;
    }
}

static bool grow(struct map *map)
{
    struct map bigger = {.capacity = map->capacity ? map->capacity * 2 : 8,
                         .count = map->count};
    bigger.entries = calloc(bigger.capacity, sizeof *bigger.entries);
    if (!bigger.entries)
        return false;
    for (size_t i = 0; i < map->capacity; i++) {
        const struct map_entry *old = &map->entries[i];
        if (old->key)
            *find(&bigger, old->key, old->hash) = *old;
    }
    free(map->entries);
    *map = bigger;
    return true;
}

void *map_get(const struct map *map, const char *key)
{
    if (map->count == 0)
        return NULL;
    return find(map, key, hash_string(key))->value;
}

bool map_put(struct map *map, const char *key, void *value)
{
    if (map->count >= map->capacity / 2 && !grow(map))
        return false;
    uint64_t hash = hash_string(key);
    struct map_entry *entry = find(map, key, hash);
    if (!entry->key)
        map->count++;
    *entry = (struct map_entry){.key = key, .hash = hash, .value = value};
    return true;
}

void map_free(struct map *map)
{
    free(map->entries);
    *map = (struct map){0};
}
