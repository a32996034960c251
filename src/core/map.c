/* The hash map: open addressing, linear probing, at most 7/8 full. Hashes lie
 * apart from the entries, so that many places are looked at with one cache line.
 * Nothing is ever removed. */
#include "core/map.h"
#include "core/hash.h"

#include <stdlib.h>
#include <string.h>

struct map_entry {
    const char *key;
    void *value;
};

/* Never 0. */
static uint32_t hash_of(const char *key)
{
    uint64_t hash = hash_string(key);
    uint32_t folded = (uint32_t)(hash ^ hash >> 32);
    return folded ? folded : 1;
}

/* The place that holds the key, or the empty one where it belongs. */
static size_t find(const struct map *map, const char *key, uint32_t hash)
{
    size_t i = hash & (map->capacity - 1);
    for (;; i = (i + 1) & (map->capacity - 1)) {
        if (!map->hashes[i] ||
            (map->hashes[i] == hash && strcmp(map->entries[i].key, key) == 0))
            return i;
    }
}

/* An empty place for a key that is not there. */
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
        size_t place = find_empty(&bigger, map->hashes[i]);
        bigger.hashes[place] = map->hashes[i];
        bigger.entries[place] = map->entries[i];
    }
    map_free(map);
    *map = bigger;
    return true;
}

void *map_get(const struct map *map, const char *key)
{
    if (map->count == 0)
        return NULL;
    size_t place = find(map, key, hash_of(key));
    return map->hashes[place] ? map->entries[place].value : NULL;
}

bool map_put(struct map *map, const char *key, void *value)
{
    if (map->count >= map->capacity / 8 * 7 && !grow(map))
        return false;
    uint32_t hash = hash_of(key);
    size_t place = find(map, key, hash);
    if (!map->hashes[place])
        map->count++;
    map->hashes[place] = hash;
    map->entries[place] = (struct map_entry){.key = key, .value = value};
    return true;
}

void map_free(struct map *map)
{
    free(map->hashes);
    free(map->entries);
    *map = (struct map){0};
}
