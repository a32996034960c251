/* What float16 does to values, against its definition. */
#include "quant/float16_loss.h"
#include "quant_support.h"

#include <math.h>

static const char *reason(const float *values, size_t n, bool strict)
{
    struct float16_loss loss = {0};
    for (size_t i = 0; i < n; i++)
        float16_loss_add(&loss, &values[i], 1);
    return float16_reason(&loss, strict);
}

static void test_values_at_the_edges(void **state)
{
    (void)state;
    const float fine[] = {65504, -65519.99f, 0, -0.0f, INFINITY, 0x1p-24f, 0.1f};
    const float far[] = {1, 65520};
    const float none[] = {1, NAN};
    assert_null(reason(fine, sizeof fine / sizeof *fine, false));
    assert_non_null(reason(far, 2, false));
    assert_non_null(reason(none, 2, false));
    assert_null(reason(NULL, 0, true));
}

/* 2049 is the first whole number that float16 does not have. */
static void test_whole_numbers(void **state)
{
    (void)state;
    const float known[] = {2048, 4094, -5}, rounded[] = {2049, 3}, mixed[] = {2049, 3.5f};
    assert_null(reason(known, 3, true));
    assert_non_null(reason(rounded, 2, false));
    assert_null(reason(mixed, 2, false));
}

/* One value in sixteen may be small, and none that something divides by. */
static void test_small_values(void **state)
{
    (void)state;
    float values[64];
    for (size_t i = 0; i < 64; i++)
        values[i] = 0.1f + (float)i;
    assert_null(reason(values, 64, true));
    for (size_t i = 0; i < 4; i++)
        values[i] = 1.3e-7f;
    assert_null(reason(values, 64, false));
    assert_non_null(reason(values, 64, true));
    values[4] = 1.3e-7f;
    assert_non_null(reason(values, 64, false));
}

/* No element is small beside its own rounding, but the whole is. */
static void test_noise_counts_as_a_whole(void **state)
{
    (void)state;
    float values[64] = {0};
    values[0] = 1.3e-7f;
    assert_non_null(reason(values, 64, false));
    struct float16_loss loss = {0};
    float16_loss_add(&loss, values, 64);
    assert_false(float16_is_exact(&loss));
    values[0] = 0x1p-24f;
    loss = (struct float16_loss){0};
    float16_loss_add(&loss, values, 64);
    assert_true(float16_is_exact(&loss));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_at_the_edges),
        cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_small_values),
        cmocka_unit_test(test_noise_counts_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
