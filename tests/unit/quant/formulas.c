/* Tests of the formulas: worked examples, groups at the limits of float32 and float16,
 * and the error of Gaussian weights. finite.c tests NaN and infinity. */
#include "quant_support.h"

#include <float.h>

static const char *const kernel_names[] = {"scalar", NULL};

/* Fits and encodes n floats as one group. */
struct result {
    enum quant_fit fit;
    float scale;
    uint8_t zero;
    uint8_t codes[64];
    struct quant_error error;
};

static struct result quantize(const char *name, struct quant_scheme scheme,
                              const float *x, size_t n)
{
    const struct kernels *kernels = quant_kernels(name);
    struct quant_shape shape = {1, 1, n, 0};
    struct quant_source source = {x, REAL_FLOAT32};
    struct result r = {0};
    r.fit = quant_fit(kernels, &scheme, source, &shape, 0, 1, &r.scale, &r.zero);
    if (r.fit == QUANT_FIT_OK)
        quant_encode(kernels, &scheme, source, &shape, 0, n, 0, &r.scale, &r.zero,
                     r.codes, &r.error);
    return r;
}

static struct quant_scheme scheme_of(enum quant_type type, bool symmetric)
{
    return (struct quant_scheme){type,  symmetric, QUANT_RTN, REAL_FLOAT32,
                                 false, false,     NULL};
}

/* ---- worked examples ------------------------------------------------ */

static const float weights[] = {0.1f, 0.2f, 1.2f, 3.0f, 2.1f, -2.1f, -3.5f};

static void test_worked_symmetric(void **state)
{
    static const int codes[] = {0, 0, 2, 6, 4, -4, -7};
    static const double back[] = {0, 0, 1, 3, 2, -2, -3.5};
    static const double error[] = {0.1, 0.2, 0.2, 0, 0.1, 0.1, 0};
    double noise = 0, signal = 0;
    (void)state;
    for (size_t i = 0; i < LENGTH(weights); i++) {
        noise += error[i] * error[i];
        signal += (double)weights[i] * (double)weights[i];
    }
    for (size_t k = 0; k < LENGTH(kernel_names); k++) {
        struct result r = quantize(kernel_names[k], scheme_of(QUANT_INT4, true), weights,
                                   LENGTH(weights));
        assert_int_equal(r.fit, QUANT_FIT_OK);
        assert_true(r.scale == 0.5f);
        assert_int_equal(r.zero, 0);
        for (size_t i = 0; i < LENGTH(weights); i++) {
            double value = (int8_t)r.codes[i] * (double)r.scale;
            assert_int_equal((int8_t)r.codes[i], codes[i]);
            assert_true(value == back[i]);
            assert_true(fabs(fabs(value - (double)weights[i]) - error[i]) < 1e-6);
        }
        assert_true(fabs(r.error.noise - noise) < 1e-6);
        assert_true(fabs(r.error.signal - signal) < 1e-5);
    }
}

static void test_worked_asymmetric(void **state)
{
    static const int codes[] = {8, 8, 11, 15, 13, 3, 0};
    static const double back[] = {0, 0, 1.3, 3.033, 2.167, -2.167, -3.467};
    double noise = 0;
    (void)state;
    for (size_t i = 0; i < LENGTH(weights); i++)
        noise += (back[i] - (double)weights[i]) * (back[i] - (double)weights[i]);
    for (size_t k = 0; k < LENGTH(kernel_names); k++) {
        struct result r = quantize(kernel_names[k], scheme_of(QUANT_UINT4, false),
                                   weights, LENGTH(weights));
        assert_int_equal(r.fit, QUANT_FIT_OK);
        assert_true(r.scale == (float)(6.5 / 15));
        assert_int_equal(r.zero, 8);
        for (size_t i = 0; i < LENGTH(weights); i++) {
            assert_int_equal(r.codes[i], codes[i]);
            assert_true(fabs((r.codes[i] - 8) * (double)r.scale - back[i]) < 1e-3);
        }
        assert_true(fabs(r.error.noise - noise) < 1e-3);
    }
}

/* Scales and zero points of [-1, 3] for each type, symmetric and asymmetric. */
static void test_types(void **state)
{
    static const float x[] = {-1, 3, 0};
    static const struct {
        enum quant_type type;
        bool symmetric;
        double scale;
        int zero;
    } cases[] = {
        {QUANT_INT4, true, 3.0 / 7, 0},      {QUANT_UINT4, true, 3.0 / 7, 8},
        {QUANT_INT8, true, 3.0 / 127, 0},    {QUANT_UINT8, true, 3.0 / 127, 128},
        {QUANT_INT4, false, 4.0 / 15, -4},   {QUANT_UINT4, false, 4.0 / 15, 4},
        {QUANT_INT8, false, 4.0 / 255, -64}, {QUANT_UINT8, false, 4.0 / 255, 64},
    };
    (void)state;
    for (size_t c = 0; c < LENGTH(cases); c++) {
        struct result r =
            quantize(NULL, scheme_of(cases[c].type, cases[c].symmetric), x, LENGTH(x));
        assert_true(r.scale == (float)cases[c].scale);
        assert_int_equal(r.zero, (uint8_t)cases[c].zero);
        assert_int_equal(r.codes[2], r.zero); /* zero is represented exactly */
    }
}

/* The extreme gets the end of the grid that is 8 or 128 steps away from zero. */
static void test_mirrored(void **state)
{
    static const float down[] = {-4, 3, 0}, up[] = {-3, 4, 0}, both[] = {-4, 4, 0};
    (void)state;
    for (int t = 0; t < QUANT_TYPES; t++) {
        const struct quant_type_info *info = quant_type_info((enum quant_type)t);
        int middle = 1 << (info->bits - 1), zero = info->lo + middle;
        struct quant_scheme scheme = scheme_of((enum quant_type)t, true);
        struct result r;
        scheme.mirrored = true;
        r = quantize(NULL, scheme, down, LENGTH(down));
        assert_true(r.scale == 4.0f / (float)middle);
        assert_int_equal(r.zero, (uint8_t)zero);
        assert_int_equal(r.codes[0], (uint8_t)info->lo);
        r = quantize(NULL, scheme, up, LENGTH(up));
        assert_true(r.scale == 4.0f / (float)middle);
        assert_int_equal(r.zero, (uint8_t)(zero - 1));
        assert_int_equal(r.codes[1], (uint8_t)info->hi);
        assert_int_equal(r.codes[2], r.zero);
        r = quantize(NULL, scheme, both, LENGTH(both));
        assert_int_equal(r.zero, (uint8_t)zero);
        assert_int_equal(r.codes[1], (uint8_t)info->hi);
    }
}

/* ---- limits --------------------------------------------------------- */

static void check_flat(const float *x, size_t n)
{
    for (int t = 0; t < QUANT_TYPES * 2; t++) {
        enum quant_type type = (enum quant_type)(t / 2);
        int lo = quant_type_info(type)->lo;
        int middle = lo < 0 ? 0 : 1 << (quant_type_info(type)->bits - 1);
        bool symmetric = t % 2 != 0;
        for (int real = REAL_FLOAT32; real <= REAL_BFLOAT16; real++) {
            struct quant_scheme scheme = {
                type, symmetric, QUANT_RTN, (enum real_type)real, false, false, NULL};
            struct result r = quantize(NULL, scheme, x, n);
            assert_int_equal(r.fit, QUANT_FIT_OK);
            assert_true(r.scale == 1);
            assert_int_equal(r.zero, (uint8_t)(symmetric ? middle : lo));
            for (size_t i = 0; i < n; i++)
                assert_int_equal(r.codes[i], r.zero);
            assert_true(r.error.noise >= 0 && r.error.noise < 1e-70);
        }
    }
}

/* Groups of zeros, or with a scale below FLT_MIN, get the scale 1, and all codes are
 * z. */
static void test_flat(void **state)
{
    static const float zero[] = {0, -0.0f, 0, 0, -0.0f};
    static const float tiny[] = {1e-40f, -3e-42f, 1.4e-45f, 0};
    (void)state;
    check_flat(zero, LENGTH(zero));
    check_flat(tiny, LENGTH(tiny));
}

static void test_least_scale(void **state)
{
    const float least = 7 * FLT_MIN, below = nextafterf(least, 0);
    struct result r = quantize(NULL, scheme_of(QUANT_INT4, true), &least, 1);
    (void)state;
    assert_true(r.scale == FLT_MIN);
    assert_int_equal(r.codes[0], 7);
    assert_true(r.error.noise == 0 && r.error.signal > 0);
    r = quantize(NULL, scheme_of(QUANT_INT4, true), &below, 1);
    assert_true(r.scale == FLT_MIN ||
                r.scale == 1); /* the same rounding as that of the quotient */
    r = quantize(NULL, scheme_of(QUANT_INT4, true), (float[]){6.9f * FLT_MIN}, 1);
    assert_true(r.scale == 1);
    assert_int_equal(r.codes[0], 0);
}

static void test_huge(void **state)
{
    static const float x[] = {3e38f, -3e38f, 2.9e38f, 1e38f, -1e38f, 0};
    (void)state;
    for (int t = 0; t < QUANT_TYPES * 2; t++) {
        enum quant_type type = (enum quant_type)(t / 2);
        const struct quant_type_info *info = quant_type_info(type);
        struct result r = quantize(NULL, scheme_of(type, t % 2 != 0), x, LENGTH(x));
        double ratio = r.error.signal / r.error.noise;
        assert_int_equal(r.fit, QUANT_FIT_OK);
        assert_true(isfinite(r.scale) && isfinite(r.error.signal));
        assert_int_equal(r.codes[0], (uint8_t)info->hi);
        assert_true(isfinite(ratio) && ratio > (info->bits == 4 ? 30 : 3000));
    }
}

/* Codes of values near 1e-38, where the scale is close to subnormal. */
static void test_small(void **state)
{
    static const float x[] = {1e-36f, -1e-36f, 1e-38f, 1e-40f, 5e-37f};
    struct result r = quantize(NULL, scheme_of(QUANT_INT4, true), x, LENGTH(x));
    (void)state;
    assert_int_equal(r.codes[0], 7);
    assert_int_equal((int8_t)r.codes[1], -7);
    assert_int_equal(r.codes[2], 0);
    assert_int_equal(r.codes[3], 0);
    assert_true(r.error.signal > 2.2e-72 && r.error.signal < 2.3e-72);
    assert_true(r.error.noise > 0 && r.error.noise < r.error.signal);
}

/* ---- 16-bit scales -------------------------------------------------- */

static void test_scale_range(void **state)
{
    static const struct {
        float
            largest; /* the largest value of a symmetric int4 group, which is 7 scales */
        enum real_type type;
        enum quant_fit fit;
    } cases[] = {
        {60000.0f, REAL_FLOAT16, QUANT_FIT_OK},
        {65504.0f, REAL_FLOAT16,
         QUANT_FIT_SCALE_RANGE}, /* 7 x 9360 is infinite in float16 */
        {7 * 65504.0f, REAL_FLOAT16, QUANT_FIT_SCALE_RANGE},
        {7 * 65520.0f, REAL_FLOAT16, QUANT_FIT_SCALE_RANGE},
        {3e38f, REAL_FLOAT16, QUANT_FIT_SCALE_RANGE},
        {7 * 0x1p-14f, REAL_FLOAT16, QUANT_FIT_OK},
        {7 * 0x1p-24f, REAL_FLOAT16, QUANT_FIT_OK}, /* subnormal, but exact */
        {7 * 1.5f * 0x1p-24f, REAL_FLOAT16, QUANT_FIT_SCALE_RANGE},
        {7 * 33.0f * 0x1p-24f, REAL_FLOAT16, QUANT_FIT_OK},
        {7 * 16.4f * 0x1p-24f, REAL_FLOAT16, QUANT_FIT_OK}, /* the scale is 1/41 off */
        {7 * 10.49f * 0x1p-24f, REAL_FLOAT16,
         QUANT_FIT_SCALE_RANGE},                             /* the scale is 1/21 off */
        {7 * 0x1p-26f, REAL_FLOAT16, QUANT_FIT_SCALE_RANGE}, /* the scale is 0 */
        {1e-30f, REAL_FLOAT16, QUANT_FIT_SCALE_RANGE},
        {1e-40f, REAL_FLOAT16, QUANT_FIT_OK}, /* treated as a group of zeros */
        {0.0f, REAL_FLOAT16, QUANT_FIT_OK},
        {FLT_MAX, REAL_BFLOAT16, QUANT_FIT_SCALE_RANGE}, /* decodes to infinity */
        {3e38f, REAL_BFLOAT16, QUANT_FIT_OK},
        {8 * FLT_MIN, REAL_BFLOAT16, QUANT_FIT_OK},
    };
    (void)state;
    for (size_t c = 0; c < LENGTH(cases); c++) {
        struct quant_scheme scheme = {QUANT_INT4, true,  QUANT_RTN, cases[c].type,
                                      false,      false, NULL};
        struct result r = quantize(NULL, scheme, (float[]){cases[c].largest, 0}, 2);
        assert_int_equal(r.fit, cases[c].fit);
        if (r.fit == QUANT_FIT_OK)
            assert_true(real_round(cases[c].type, r.scale) == r.scale && r.scale > 0);
    }
}

/* Tiny groups of float16 weights: a scale that is too small is raised to a multiple of
 * 2^-24, so nothing is lost that float16 can hold at that place. */
static void test_raised_scales(void **state)
{
    static const struct {
        float largest, scale; /* in units of 2^-24 */
    } cases[] = {
        {7, 1}, {1, 1}, {3, 1}, {8, 2}, {10, 2}, {7 * 10 + 3, 11}, {7 * 31 + 1, 31},
    };
    (void)state;
    for (size_t c = 0; c < LENGTH(cases); c++)
        for (int sign = -1; sign <= 1; sign += 2) {
            struct quant_scheme scheme = {QUANT_INT4, true, QUANT_RTN, REAL_FLOAT16,
                                          false,      true, NULL};
            float x[] = {0x1p-24f * cases[c].largest * (float)sign, 0x1p-24f, 0};
            struct result r = quantize(NULL, scheme, x, LENGTH(x));
            assert_int_equal(r.fit, QUANT_FIT_OK);
            assert_true(r.scale == 0x1p-24f * cases[c].scale);
            for (size_t k = 0; k < LENGTH(x); k++) {
                float back = r.scale * (float)(int8_t)r.codes[k];
                assert_true(fabsf(back - x[k]) <= r.scale / 2);
            }
        }
    struct quant_scheme scheme = {QUANT_INT4, true, QUANT_RTN, REAL_FLOAT16,
                                  false,      true, NULL};
    struct result r = quantize(NULL, scheme, (float[]){3e38f, 0}, 2);
    assert_int_equal(r.fit, QUANT_FIT_SCALE_RANGE); /* too large, all the same */
}

/* Codes are made with the rounded scale. */
static void test_rounded_first(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct quant_scheme scheme = {QUANT_UINT8, false, QUANT_RTN, REAL_BFLOAT16,
                                      false,       false, NULL};
        float x[16];
        struct result r;
        random_fill(x, LENGTH(x), KIND_NORMAL);
        r = quantize(NULL, scheme, x, LENGTH(x));
        for (size_t k = 0; k < LENGTH(x); k++) {
            float q = nearbyintf(x[k] / r.scale) + (float)r.zero;
            assert_int_equal(r.codes[k], (int)fmaxf(0, fminf(255, q)));
        }
    }
}

/* ---- Gaussian weights ----------------------------------------------- */

static double gaussian_snr(enum quant_type type, size_t block, const float *x,
                           size_t rows)
{
    const struct kernels *kernels = quant_kernels(NULL);
    struct quant_scheme scheme = scheme_of(type, quant_type_info(type)->symmetric);
    struct quant_shape shape = {1, rows * 1024, 1, block};
    struct quant_source source = {x, REAL_FLOAT32};
    size_t n = rows * 1024, groups = quant_groups(&shape);
    float *scales = malloc(groups * sizeof *scales);
    uint8_t *zeros = malloc(groups), *codes = malloc(n);
    struct quant_error error = {0};
    assert_int_equal(
        quant_fit(kernels, &scheme, source, &shape, 0, groups, scales, zeros),
        QUANT_FIT_OK);
    quant_encode(kernels, &scheme, source, &shape, 0, n, 0, scales, zeros, codes, &error);
    free(scales);
    free(zeros);
    free(codes);
    return 10 * log10(error.signal / error.noise);
}

static void test_gaussian(void **state)
{
    static const struct {
        enum quant_type type;
        size_t block;
        double snr;
    } cases[] = {
        {QUANT_INT4, 1024, 16.91},  {QUANT_INT4, 128, 18.60},  {QUANT_INT4, 32, 20.27},
        {QUANT_UINT4, 1024, 18.02}, {QUANT_UINT4, 128, 19.95}, {QUANT_UINT4, 32, 21.86},
    };
    enum { ROWS = 1024 };
    float *x = malloc(ROWS * 1024 * sizeof *x);
    (void)state;
    random_fill(x, ROWS * 1024, KIND_NORMAL);
    for (size_t c = 0; c < LENGTH(cases); c++) {
        double snr = gaussian_snr(cases[c].type, cases[c].block, x, ROWS);
        print_message("%s block %zu: %.2f dB\n", quant_type_info(cases[c].type)->name,
                      cases[c].block, snr);
        assert_true(fabs(snr - cases[c].snr) < 0.25); /* six standard deviations */
    }
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worked_symmetric),
        cmocka_unit_test(test_worked_asymmetric),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_mirrored),
        cmocka_unit_test(test_flat),
        cmocka_unit_test(test_least_scale),
        cmocka_unit_test(test_huge),
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_scale_range),
        cmocka_unit_test(test_raised_scales),
        cmocka_unit_test(test_rounded_first),
        cmocka_unit_test(test_gaussian),
    };
    return cmocka_run_group_tests(tests, random_setup, NULL);
}
