/* The hash map: open addressing, linear probing, at most 7/8 full. Hashes have an array
 * of their own, so that one cache line holds many of them. Entries are never removed. */
#include "core/map.h"
#include "core/hash.h"

#include <stdlib.h>
#include <string.h>

struct map_entry {
    const char *key;
    void *value;
};

/* Never 0, which marks an empty slot. */
static uint32_t hash_of(const char *key)
{
    uint64_t hash = hash_string(key);
    uint32_t folded = (uint32_t)(hash ^ hash >> 32);
    return folded ? folded : 1;
}

/* The slot that holds the key, or the empty slot where it belongs. */
static size_t find(const struct map *map, const char *key, uint32_t hash)
{
    size_t i = hash & (map->capacity - 1);
    for (;; i = (i + 1) & (map->capacity - 1)) {
        if (!map->hashes[i] ||
            (map->hashes[i] == hash && strcmp(map->entries[i].key, key) == 0))
            return i;
    }
}

/* An empty slot for a key that is not in the map. */
static size_t find_empty(const struct map *map, uint32_t hash)
{
    size_t i = hash & (map->capacity - 1);
    while (map->hashes[i])
        i = (i + 1) & (map->capacity - 1);
    return i;
}

static bool grow(struct map *map)
{
    struct map bigger = {.capacity = map->capacity ? map->capacity * 2 : 8,
                         .count = map->count};
    bigger.hashes = calloc(bigger.capacity, sizeof *bigger.hashes);
    bigger.entries = malloc(bigger.capacity * sizeof *bigger.entries);
    if (!bigger.hashes || !bigger.entries) {
        map_free(&bigger);
        return false;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        if (!map->hashes[i])
            continue;
        size_t slot = find_empty(&bigger, map->hashes[i]);
        bigger.hashes[slot] = map->hashes[i];
        bigger.entries[slot] = map->entries[i];
    }
    map_free(map);
    *map = bigger;
    return true;
}

void *map_get(const struct map *map, const char *key)
{
    if (map->count == 0)
        return NULL;
    size_t slot = find(map, key, hash_of(key));
    return map->hashes[slot] ? map->entries[slot].value : NULL;
}

bool map_put(struct map *map, const char *key, void *value)
{
    if (map->count >= map->capacity / 8 * 7 && !grow(map))
        return false;
    uint32_t hash = hash_of(key);
    size_t slot = find(map, key, hash);
    if (!map->hashes[slot])
        map->count++;
    map->hashes[slot] = hash;
    map->entries[slot] = (struct map_entry){.key = key, .value = value};
    return true;
}

void map_free(struct map *map)
{
    free(map->hashes);
    free(map->entries);
    *map = (struct map){0};
}
