/* Tests of the arena: alignment, zeroed memory, and the cap. */
#include "core/arena.h"
#include "support.h"

#include <string.h>

static void test_alignment_and_zeroes(void **state)
{
    (void)state;
    struct arena *arena = arena_create(SIZE_MAX / 4);
    size_t sizes[] = {0, 1, 15, 16, 17, 100, 4096, 1 << 20, 3, (16 << 10) + 1, 5};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        unsigned char *memory = arena_alloc(arena, sizes[i]);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 8, 0);
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(memory[j], 0);
        memset(memory, 0xff, sizes[i]);
    }
    assert_false(arena_exhausted(arena));
    arena_destroy(arena);
}

/* Many blocks: no two allocations share a byte. */
static void test_no_overlap(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    struct arena *arena = arena_create(SIZE_MAX / 4);
    uint32_t **all = hold(MANY * sizeof *all), *lengths = hold(MANY * sizeof *lengths);
    for (uint32_t i = 0; i < MANY; i++) {
        lengths[i] = 1 + (uint32_t)random_below(100);
        all[i] = arena_array(arena, lengths[i], sizeof **all);
        for (uint32_t j = 0; j < lengths[i]; j++)
            all[i][j] = i;
    }
    for (uint32_t i = 0; i < MANY; i++)
        for (uint32_t j = 0; j < lengths[i]; j++)
            assert_int_equal(all[i][j], i);
    arena_destroy(arena);
}

static void test_cap(void **state)
{
    (void)state;
    struct arena *arena = arena_create(1000);
    assert_non_null(arena_alloc(arena, 900));
    assert_false(arena_exhausted(arena));
    assert_null(
        arena_alloc(arena, 100)); /* 904 bytes are used: sizes are rounded up to 8 */
    assert_true(arena_exhausted(arena));
    assert_non_null(arena_alloc(arena, 96)); /* the rest can still be allocated ... */
    assert_true(arena_exhausted(arena));     /* ... but the flag stays set */
    assert_null(arena_alloc(arena, 8));
    arena_destroy(arena);

    arena = arena_create(0);
    assert_null(arena_alloc(arena, 1));
    assert_true(arena_exhausted(arena));
    arena_destroy(arena);
}

/* Releasing a large allocation frees its memory and raises the cap. Releasing a small one
 * does nothing. All other allocations keep their contents. */
static void test_release(void **state)
{
    (void)state;
    enum { LARGE = 1 << 20, ROUNDS = 100 };
    struct arena *arena = arena_create(10 * LARGE);
    char *before = arena_string(arena, "before"), *kept = arena_alloc(arena, 2 * LARGE);
    memset(kept, 7, 2 * LARGE);
    for (int i = 0; i < ROUNDS; i++) {
        char *first = arena_alloc(arena, 3 * LARGE), *second = arena_alloc(arena, LARGE);
        assert_non_null(first);
        assert_non_null(second);
        assert_int_equal(first[LARGE], 0);
        memset(first, i, 3 * LARGE);
        arena_release(arena, i % 2 ? first : second);
        arena_release(arena, i % 2 ? second : first);
    }
    assert_false(arena_exhausted(arena));
#ifndef ARENA_LARGEST_BLOCK /* then nothing is small */
    arena_release(arena, before);
#endif
    arena_release(arena, kept + 8);
    arena_release(arena, NULL);
    assert_string_equal(before, "before");
    assert_int_equal(kept[2 * LARGE - 1], 7);
    assert_null(arena_alloc(arena, 8 * LARGE));
    arena_release(arena, kept);
    assert_non_null(arena_alloc(arena, 8 * LARGE));
    arena_destroy(arena);
}

static void test_absurd_sizes(void **state)
{
    (void)state;
    static const size_t pairs[][2] = {
        {SIZE_MAX, 2}, {SIZE_MAX / 2, 3}, {(size_t)1 << 33, (size_t)1 << 31},
        {2, SIZE_MAX}, {SIZE_MAX, 1},     {SIZE_MAX / 16 + 2, 16},
    };
    for (size_t i = 0; i < COUNT(pairs); i++) {
        struct arena *arena = arena_create(SIZE_MAX);
        assert_null(arena_array(arena, pairs[i][0], pairs[i][1]));
        assert_true(arena_exhausted(arena));
        arena_destroy(arena);
    }
    struct arena *arena = arena_create(SIZE_MAX / 4);
    assert_null(arena_alloc(arena, SIZE_MAX - 3));
    assert_null(arena_alloc(arena, SIZE_MAX / 2 + 1));
    assert_non_null(arena_array(arena, 0, SIZE_MAX));
    assert_non_null(arena_array(arena, SIZE_MAX, 0));
    arena_destroy(arena);
}

static void test_strings(void **state)
{
    (void)state;
    struct arena *arena = arena_create(1 << 20);
    char original[] = "weight";
    char *copy = arena_string(arena, original);
    original[0] = 'X';
    assert_string_equal(copy, "weight");
    assert_string_equal(arena_string(arena, ""), "");
    assert_string_equal(arena_printf(arena, "%s_%d", "w", 12), "w_12");

    char *long_text = hold(100001);
    memset(long_text, 'a', 100000);
    assert_int_equal(strlen(arena_printf(arena, "%s!", long_text)), 100001);
    arena_destroy(arena);

    arena = arena_create(16);
    assert_null(arena_string(arena, "more than sixteen bytes"));
    assert_true(arena_exhausted(arena));
    assert_null(arena_printf(arena, "%s", "more than sixteen bytes"));
    arena_destroy(arena);
    arena_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_alignment_and_zeroes),
        TEST(test_no_overlap),
        TEST(test_cap),
        TEST(test_release),
        TEST(test_absurd_sizes),
        TEST(test_strings),
    };
    return RUN(tests);
}
