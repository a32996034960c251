/* An arena: many small allocations freed at once, up to a cap in bytes. The cap
 * keeps a hostile file from unpacking into more memory than it can be worth. */
#ifndef NIBBLE_CORE_ARENA_H
#define NIBBLE_CORE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/* For what is no larger than what was found sound: far from overflow, too. */
#define ARENA_NO_CAP (SIZE_MAX / 4)

/* An empty arena that hands out at most `cap` bytes; NULL when out of memory. */
struct arena *arena_create(size_t cap);
void arena_destroy(struct arena *arena); /* NULL is fine */

/* `size` zeroed bytes, aligned to 8; NULL when out of memory or over the cap,
 * which arena_exhausted then tells until the arena is destroyed. */
void *arena_alloc(struct arena *arena, size_t size);

/* The same for `count` elements of `size` bytes, the product checked. */
void *arena_array(struct arena *arena, size_t count, size_t size);

char *arena_string(struct arena *arena, const char *text);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Gives an allocation back to the system, where that is simple and worth it: one of the
 * newest of 1 MB or more. Any other stays until the arena is destroyed. NULL is fine. */
void arena_release(struct arena *arena, const void *memory);

/* Raises the cap: for what is added to a message that was found sound. */
void arena_extend(struct arena *arena, size_t bytes);

bool arena_exhausted(const struct arena *arena);

#endif
