/* Tests of the set: it has what was added to it, also after growth, and nothing else. */
#include "core/set.h"
#include "support.h"

static void test_empty(void **state)
{
    (void)state;
    struct set set = {0};
    assert_false(set_has(&set, ""));
    assert_false(set_has(&set, "absent"));
    set_free(&set);
    set_free(&set); /* freeing an empty set again is harmless */
}

static void test_thousands(void **state)
{
    (void)state;
    enum { MANY = 50000 };
    struct set set = {0};
    for (size_t i = 0; i < MANY; i++) {
        assert_false(set_has(&set, hold_printf("layers.%zu.weight", i)));
        assert_true(set_add(&set, hold_printf("layers.%zu.weight", i)));
        assert_int_equal(set.count, i + 1);
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_true(set_has(&set, hold_printf("layers.%zu.weight", i)));
        assert_false(set_has(&set, hold_printf("layers.%zu.bias", i)));
    }
    set_free(&set);
    assert_false(set_has(&set, "layers.0.weight"));
}

static void test_again(void **state)
{
    (void)state;
    struct set set = {0};
    assert_true(set_add(&set, "x"));
    assert_true(set_add(&set, ""));
    assert_true(set_add(&set, hold_printf("x")));
    assert_int_equal(set.count, 2);
    assert_true(set_has(&set, "x"));
    assert_true(set_has(&set, ""));
    assert_false(set_has(&set, "x "));
    set_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_empty),
        TEST(test_thousands),
        TEST(test_again),
    };
    return RUN(tests);
}
