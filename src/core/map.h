/* A hash map from strings to pointers. Keys are not copied and must outlive the map. The
 * map can't be iterated, so no result can depend on the order of its table. */
#ifndef NIBBLE_CORE_MAP_H
#define NIBBLE_CORE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map {
    uint32_t *hashes; /* 0: an empty slot */
    struct map_entry *entries;
    size_t capacity, count;
};

/* A zeroed struct map is an empty map. */
void *map_get(const struct map *map, const char *key); /* NULL if absent */

/* Sets the value of a key. The value must not be NULL. Returns false if out of memory. */
bool map_put(struct map *map, const char *key, void *value);

void map_free(struct map *map); /* frees neither keys nor values */

#endif
