/* An arena: many small allocations that are freed together. A cap limits their size in
 * bytes, so that a small hostile file can't unpack into a lot of memory. */
#ifndef NIBBLE_CORE_ARENA_H
#define NIBBLE_CORE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/* A cap that is never reached. For data that was checked already, or is not larger. Sums
 * of a few such caps do not overflow. */
#define ARENA_NO_CAP (SIZE_MAX / 4)

/* Makes an empty arena that hands out at most `cap` bytes. NULL if out of memory. */
struct arena *arena_create(size_t cap);
void arena_destroy(struct arena *arena); /* NULL is fine */

/* Returns `size` zeroed bytes, aligned to 8. Returns NULL if out of memory or over the
 * cap; arena_exhausted is true from then on. */
void *arena_alloc(struct arena *arena, size_t size);

/* The same for `count` elements of `size` bytes. Checks the product for overflow. */
void *arena_array(struct arena *arena, size_t count, size_t size);

char *arena_string(struct arena *arena, const char *text);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Frees an allocation early if it is one of the newest of 1 MB or more. Any other stays
 * until the arena is destroyed. NULL is fine. */
void arena_release(struct arena *arena, const void *memory);

/* Raises the cap, for additions to a message that was checked already. */
void arena_extend(struct arena *arena, size_t bytes);

bool arena_exhausted(const struct arena *arena);

#endif
