/* The arena: blocks of growing size, each cut from front to back. Never gives
 * single allocations back. */
#include "core/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16, FIRST_BLOCK = 16 << 10, LARGEST_BLOCK = 1 << 20 };

struct block {
    struct block *next;
    size_t size, used; /* of bytes[] */
    _Alignas(ALIGNMENT) unsigned char bytes[];
};

struct arena {
    struct block *blocks; /* the newest first */
    size_t left;          /* of the cap */
    size_t block_size;    /* of the next block */
    bool exhausted;
};

struct arena *arena_create(size_t cap)
{
    struct arena *arena = calloc(1, sizeof *arena);
    if (arena) {
        arena->left = cap;
        arena->block_size = FIRST_BLOCK;
    }
    return arena;
}

void arena_destroy(struct arena *arena)
{
    if (!arena)
        return;
    for (struct block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(arena);
}

static bool block_add(struct arena *arena, size_t size)
{
    size_t room = size > arena->block_size ? size : arena->block_size;
    struct block *block = calloc(1, sizeof *block + room);
    if (!block)
        return false;
    block->size = room;
    block->next = arena->blocks;
    arena->blocks = block;
    if (arena->block_size < LARGEST_BLOCK)
        arena->block_size *= 2;
    return true;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        goto exhausted;
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (size > arena->left)
        goto exhausted;
    struct block *block = arena->blocks;
    if (!block || block->size - block->used < size) {
        if (!block_add(arena, size))
            goto exhausted;
        block = arena->blocks;
    }
    void *memory = block->bytes + block->used;
    block->used += size;
    arena->left -= size;
    return memory;

exhausted:
    arena->exhausted = true;
    return NULL;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        arena->exhausted = true;
        return NULL;
    }
    return arena_alloc(arena, count * size);
}

char *arena_string(struct arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(arena, size);
    return copy ? memcpy(copy, text, size) : NULL;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *text = n < 0 ? NULL : arena_alloc(arena, (size_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

void arena_extend(struct arena *arena, size_t bytes)
{
    arena->left = arena->left > SIZE_MAX - bytes ? SIZE_MAX : arena->left + bytes;
}

bool arena_exhausted(const struct arena *arena)
{
    return arena->exhausted;
}
