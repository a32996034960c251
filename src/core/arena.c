/* The arena: blocks of growing size, each used from front to back. A large allocation has
 * a block of its own, which can be released. Small ones can't. */
#include "core/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The coverage build makes this 1. Each allocation is then one of the heap, so that tests
 * can let it fail. */
#ifndef ARENA_LARGEST_BLOCK
#define ARENA_LARGEST_BLOCK (1 << 20)
#endif

enum {
    ALIGNMENT = 8,
    FIRST_BLOCK = 16 << 10,
    LARGEST_BLOCK = ARENA_LARGEST_BLOCK,
    RELEASABLE = 16, /* only the newest large blocks are searched by arena_release */
};

struct arena_block {
    struct arena_block *next;
    size_t size; /* of bytes[] */
    size_t used; /* of bytes[] */
    _Alignas(ALIGNMENT) unsigned char bytes[];
};

struct arena {
    struct arena_block *blocks; /* newest first */
    struct arena_block *large;  /* blocks of one allocation each, newest first */
    size_t left;                /* bytes until the cap */
    size_t block_size;          /* of the next block */
    bool exhausted;             /* whether an allocation has failed */
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

static void blocks_free(struct arena_block *block)
{
    for (struct arena_block *next; block; block = next) {
        next = block->next;
        free(block);
    }
}

void arena_destroy(struct arena *arena)
{
    if (!arena)
        return;
    blocks_free(arena->blocks);
    blocks_free(arena->large);
    free(arena);
}

static struct arena_block *block_add(struct arena_block **list, size_t size)
{
    struct arena_block *block = calloc(1, sizeof *block + size);
    if (!block)
        return NULL;
    block->size = size;
    block->next = *list;
    return *list = block;
}

/* Finds or makes a block with room for `size` bytes. */
static struct arena_block *block_for(struct arena *arena, size_t size)
{
    struct arena_block *newest = arena->blocks;
    if (size >= LARGEST_BLOCK)
        return block_add(&arena->large, size);
    if (newest && newest->size - newest->used >= size)
        return newest;
    while (arena->block_size < size)
        arena->block_size *= 2;
    struct arena_block *block = block_add(&arena->blocks, arena->block_size);
    if (arena->block_size < LARGEST_BLOCK)
        arena->block_size *= 2;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        goto exhausted;
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (size > arena->left)
        goto exhausted;
    struct arena_block *block = block_for(arena, size);
    if (!block)
        goto exhausted;
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

void arena_release(struct arena *arena, const void *memory)
{
    struct arena_block **at = &arena->large;
    for (int i = 0; *at && i < RELEASABLE; i++, at = &(*at)->next) {
        struct arena_block *block = *at;
        if (block->bytes != memory)
            continue;
        *at = block->next;
        arena->left += block->used;
        free(block);
        return;
    }
}

void arena_extend(struct arena *arena, size_t bytes)
{
    arena->left = arena->left > SIZE_MAX - bytes ? SIZE_MAX : arena->left + bytes;
}

bool arena_exhausted(const struct arena *arena)
{
    return arena->exhausted;
}
