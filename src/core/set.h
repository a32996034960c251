/* A set of strings that stores only their 64-bit hashes, in a third of the memory of a
 * map. Use it only where a false positive does no harm: a string that was never added may
 * be reported as present. In a set of millions the chance is 1 in 10^12. */
#ifndef NIBBLE_CORE_SET_H
#define NIBBLE_CORE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct set {
    uint64_t *hashes; /* 0: an empty slot */
    size_t capacity, count;
};

/* A zeroed struct set is an empty set. */
bool set_has(const struct set *set, const char *text);
bool set_add(struct set *set, const char *text); /* false if out of memory */
void set_free(struct set *set);

#endif
