/* A set of strings that keeps only hashes of 64 bits, a third of what a map takes. One
 * that was never added may seem to be there, in one of 10^12 cases for a set of millions:
 * for whom that does no harm. */
#ifndef NIBBLE_CORE_SET_H
#define NIBBLE_CORE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct set {
    uint64_t *hashes; /* 0: an empty place */
    size_t capacity, count;
};

/* A zeroed struct set is an empty set. */
bool set_has(const struct set *set, const char *text);
bool set_add(struct set *set, const char *text); /* false when out of memory */
void set_free(struct set *set);

#endif
