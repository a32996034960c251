/* A hash map from strings to pointers. Keys are not copied and must outlive the
 * map; hashing is seeded by nothing, and iteration is not offered, so that no
 * result can depend on the order of a table. */
#ifndef NIBBLE_CORE_MAP_H
#define NIBBLE_CORE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map {
    uint32_t *hashes; /* 0: an empty place */
    struct map_entry *entries;
    size_t capacity, count;
};

/* A zeroed struct map is an empty map. */
void *map_get(const struct map *map, const char *key); /* NULL where absent */

/* Sets key to a value that is not NULL. False when out of memory. */
bool map_put(struct map *map, const char *key, void *value);

void map_free(struct map *map); /* the table only */

#endif
