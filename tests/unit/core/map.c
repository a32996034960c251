/* Tests of the hash map: it returns what was put into it, also after growth and
 * replacement. */
#include "core/map.h"
#include "support.h"

#include <string.h>

static void test_empty(void **state)
{
    (void)state;
    struct map map = {0};
    assert_null(map_get(&map, "absent"));
    assert_null(map_get(&map, ""));
    map_free(&map);
    map_free(&map); /* freeing an empty map again is harmless */
    assert_int_equal(map.count, 0);
}

static void test_thousands(void **state)
{
    (void)state;
    enum { MANY = 50000 };
    struct map map = {0};
    char **keys = hold(MANY * sizeof *keys);
    for (int i = 0; i < MANY; i++) {
        keys[i] = hold_printf("layers.%d.weight", i);
        assert_true(map_put(&map, keys[i], keys[i]));
    }
    assert_int_equal(map.count, MANY);
    assert_true(map.capacity > map.count);
    for (int i = 0; i < MANY; i++) {
        /* Keys are compared by contents, not by address. */
        assert_ptr_equal(map_get(&map, hold_printf("layers.%d.weight", i)), keys[i]);
        assert_null(map_get(&map, hold_printf("layers.%d.bias", i)));
    }
    map_free(&map);
    assert_null(map_get(&map, keys[0]));
}

static void test_replace(void **state)
{
    (void)state;
    struct map map = {0};
    int a = 0, b = 0, c = 0;
    assert_true(map_put(&map, "x", &a));
    assert_true(map_put(&map, "", &b));
    assert_true(map_put(&map, hold_printf("x"), &c));
    assert_int_equal(map.count, 2);
    assert_ptr_equal(map_get(&map, "x"), &c);
    assert_ptr_equal(map_get(&map, ""), &b);
    map_free(&map);
}

/* The map may grow at any put. Every key must stay reachable. */
static void test_growth(void **state)
{
    (void)state;
    enum { MANY = 300 };
    struct map map = {0};
    const char *keys[MANY];
    for (int i = 0; i < MANY; i++) {
        keys[i] = hold_printf("%d", i);
        assert_true(map_put(&map, keys[i], &keys[i]));
        for (int j = 0; j <= i; j++)
            assert_ptr_equal(map_get(&map, keys[j]), &keys[j]);
        assert_int_equal(map.capacity & (map.capacity - 1), 0);
    }
    map_free(&map);
}

/* Keys with bytes above 127, and keys that are prefixes of others. */
static void test_odd_keys(void **state)
{
    (void)state;
    static const char *const keys[] = {"a",        "ab", "abc", "\xc3\xa9",
                                       "\xff\xfe", " ",  "a b"};
    struct map map = {0};
    for (size_t i = 0; i < COUNT(keys); i++)
        assert_true(map_put(&map, keys[i], hold(1)));
    for (size_t i = 0; i < COUNT(keys); i++)
        for (size_t j = 0; j < i; j++)
            assert_ptr_not_equal(map_get(&map, keys[i]), map_get(&map, keys[j]));
    map_free(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_empty),  TEST(test_thousands), TEST(test_replace),
        TEST(test_growth), TEST(test_odd_keys),
    };
    return RUN(tests);
}
