/* Tests that every NaN and every infinity is found: at every position of every layout, in
 * whole vectors and in tails, for all source types. */
#include "quant_support.h"

static const char *const kernel_names[] = {"scalar", NULL};

static float float_from(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void check_found(const char *name, const struct quant_shape *shape, float *x,
                        float bad, size_t at)
{
    const struct kernels *kernels = quant_kernels(name);
    float scales[128];
    uint8_t zeros[128];
    size_t rows = quant_groups(shape) / (shape->block ? shape->inner : 1);
    float good = x[at];
    x[at] = bad;
    for (int symmetric = 0; symmetric < 2; symmetric++) {
        struct quant_scheme scheme = {QUANT_INT4, symmetric != 0, QUANT_RTN, REAL_FLOAT32,
                                      false,      false,          NULL};
        assert_int_equal(quant_fit(kernels, &scheme,
                                   (struct quant_source){x, REAL_FLOAT32}, shape, 0, rows,
                                   scales, zeros),
                         QUANT_FIT_NOT_FINITE);
    }
    x[at] = good;
}

/* One bad value, at every position of every layout and with every length of tail. */
static void test_not_finite(void **state)
{
    const float bad[] = {INFINITY,
                         -INFINITY,
                         float_from(0x7fc00000),
                         float_from(0xffc00000),
                         float_from(0x7f800001),
                         float_from(0xffffffff)};
    float x[128];
    (void)state;
    random_fill(x, LENGTH(x), KIND_NORMAL);
    for (size_t n = 1; n <= 100; n++) {
        const struct quant_shape shapes[] = {
            {1, 1, n, 0}, {1, n, 1, 0}, {1, 1, n, 1}, {1, n, 1, 32}, {1, n, 1, 3},
        };
        for (size_t at = 0; at < n; at++) {
            size_t s = random_below(LENGTH(shapes)), b = random_below(LENGTH(bad));
            check_found("scalar", &shapes[s], x, bad[b], at);
            for (s = 0; s < LENGTH(shapes); s++)
                for (b = 0; b < LENGTH(bad); b++)
                    check_found(NULL, &shapes[s], x, bad[b], at);
        }
    }
}

/* A double beyond the range of float32 rounds to infinity. */
static void test_double_overflow(void **state)
{
    static const double fits[] = {3.4e38, -1}, over[] = {1, 3.5e38};
    struct quant_scheme scheme = {QUANT_INT4, true,  QUANT_RTN, REAL_FLOAT32,
                                  false,      false, NULL};
    struct quant_shape shape = {1, 1, 2, 0};
    float scale;
    uint8_t zero;
    (void)state;
    for (size_t k = 0; k < LENGTH(kernel_names); k++) {
        const struct kernels *kernels = quant_kernels(kernel_names[k]);
        assert_int_equal(quant_fit(kernels, &scheme,
                                   (struct quant_source){fits, REAL_FLOAT64}, &shape, 0,
                                   1, &scale, &zero),
                         QUANT_FIT_OK);
        assert_int_equal(quant_fit(kernels, &scheme,
                                   (struct quant_source){over, REAL_FLOAT64}, &shape, 0,
                                   1, &scale, &zero),
                         QUANT_FIT_NOT_FINITE);
    }
}

/* The same in types that are converted first. */
static void test_narrow(void **state)
{
    static const struct {
        enum real_type type;
        uint16_t bad[4];
    } cases[] = {
        {REAL_FLOAT16, {0x7c00, 0xfc00, 0x7e00, 0xfc01}},
        {REAL_BFLOAT16, {0x7f80, 0xff80, 0x7fc0, 0xff81}},
    };
    struct quant_scheme scheme = {QUANT_UINT4, false, QUANT_RTN, REAL_FLOAT32,
                                  false,       false, NULL};
    uint16_t x[70] = {0};
    float scales[70];
    uint8_t zeros[70];
    (void)state;
    for (size_t t = 0; t < 2 * LENGTH(cases); t++) {
        const struct kernels *kernels = quant_kernels(kernel_names[t % 2]);
        const struct quant_shape shapes[] = {
            {1, 1, 70, 0}, {10, 7, 1, 0}, {1, 70, 1, 32}};
        for (size_t at = 0; at < LENGTH(x); at++) {
            x[at] = cases[t / 2].bad[random_below(4)];
            for (size_t s = 0; s < LENGTH(shapes); s++)
                assert_int_equal(quant_fit(kernels, &scheme,
                                           (struct quant_source){x, cases[t / 2].type},
                                           &shapes[s], 0, quant_groups(&shapes[s]),
                                           scales, zeros),
                                 QUANT_FIT_NOT_FINITE);
            x[at] = 0;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_double_overflow),
        cmocka_unit_test(test_narrow),
    };
    return cmocka_run_group_tests(tests, random_setup, NULL);
}
