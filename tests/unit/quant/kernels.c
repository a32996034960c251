/* Tests of the kernels. Every table must give the same bits as the scalar one, on random
 * and hostile floats of all lengths, at any alignment and right beside unmapped pages.
 * conversions.c tests widening, narrowing and packing. */
#include "quant_support.h"

static const struct kernels *others[4];
static size_t others_count;

static int setup(void **state)
{
    others_count = other_kernels(others);
    return random_setup(state);
}

static enum quant_type random_type(void)
{
    return (enum quant_type)random_below(QUANT_TYPES);
}

/* Scales near those that quant_fit would choose, and zero points of the type. */
static void random_params(const float_u *x, size_t n, const struct quant_type_info *type,
                          float *scales, uint8_t *zeros, size_t groups)
{
    float largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmaxf(largest, fabsf(x[i]));
    for (size_t g = 0; g < groups; g++) {
        double part = (random_unit() * 0.9 + 0.1) / (type->hi - type->lo);
        scales[g] = (float)((double)largest * part);
        if (scales[g] < 0x1p-126f)
            scales[g] = 1;
        zeros[g] =
            (uint8_t)(type->lo + (int)random_below((size_t)(type->hi - type->lo) + 1));
    }
}

static void check_sums(const struct quant_sums *a, const struct quant_sums *b)
{
    assert_memory_equal(a, b, sizeof *a);
    for (size_t l = 0; l < SUMS; l++)
        assert_true(a->noise[l] >= 0 && a->signal[l] >= 0); /* not NaN */
}

/* ---- runs ----------------------------------------------------------- */

static void check_range_runs(const float_u *x, size_t run, size_t count)
{
    int32_t expected[2][8] = {{0}}, got[2][8] = {{0}};
    for (size_t k = 0; k < count; k++)
        expected[0][k] = got[0][k] = (int32_t)random_below(0x7f000000);
    kernels_scalar.range_runs(x, REAL_FLOAT32, run, count, expected[0], expected[1]);
    for (size_t o = 0; o < others_count; o++) {
        int32_t top[8], bottom[8] = {0};
        memcpy(top, got[0], sizeof top);
        others[o]->range_runs(x, REAL_FLOAT32, run, count, top, bottom);
        assert_memory_equal(top, expected[0], sizeof top);
        assert_memory_equal(bottom, expected[1], sizeof bottom);
    }
}

static void check_encode_runs(const float_u *x, size_t run, size_t count)
{
    const struct quant_type_info *type = quant_type_info(random_type());
    size_t n = run * count;
    struct guarded a = guarded_make(n, true, 0);
    struct guarded b = guarded_make(n, random_below(2) != 0, 0);
    struct quant_sums expected = {{1, 2, 3, 4}, {5, 6, 7, 8}}, got;
    float scales[8];
    uint8_t zeros[8];
    random_params(x, n, type, scales, zeros, count);
    kernels_scalar.encode_runs(x, run, count, type, scales, zeros, a.data, &expected);
    kernels_scalar.codes_runs(x, REAL_FLOAT32, run, count, type, scales, zeros, b.data);
    assert_int_equal(first_difference(a.data, b.data, n), n);
    for (size_t o = 0; o < others_count; o++) {
        memset(b.data, 0xee, n);
        others[o]->codes_runs(x, REAL_FLOAT32, run, count, type, scales, zeros, b.data);
        assert_int_equal(first_difference(a.data, b.data, n), n);
        got = (struct quant_sums){{1, 2, 3, 4}, {5, 6, 7, 8}};
        others[o]->encode_runs(x, run, count, type, scales, zeros, b.data, &got);
        assert_int_equal(first_difference(a.data, b.data, n), n);
        check_sums(&expected, &got);
    }
    guarded_free(&a);
    guarded_free(&b);
}

static void test_runs(void **state)
{
    (void)state;
    for (size_t l = 0; l < LENGTHS; l++) {
        for (size_t p = 0; p < LENGTH(placements); p++) {
            size_t run = length_at(l), count = run > 70 ? 1 : 1 + random_below(8);
            size_t size = run * count * sizeof(float);
            struct guarded x =
                guarded_make(size, placements[p].at_end, placements[p].slack);
            for (int kind = 0; kind < KINDS; kind++) {
                random_fill((float_u *)x.data, run * count, (enum weight_kind)kind);
                check_range_runs((float_u *)x.data, run, count);
                check_encode_runs((float_u *)x.data, run, count);
            }
            guarded_free(&x);
        }
    }
}

/* Many short runs at once, as for blocks. */
static void test_blocks(void **state)
{
    static const size_t blocks[] = {8, 16, 31, 32, 33, 64, 128};
    enum { N = 4096 };
    float *x = malloc(N * sizeof *x), *scales = malloc(N * sizeof *scales);
    uint8_t *zeros = malloc(N), *a = malloc(N), *b = malloc(N);
    (void)state;
    for (size_t t = 0; t < 20 * LENGTH(blocks); t++) {
        size_t run = blocks[t % LENGTH(blocks)], count = N / run - random_below(8);
        const struct quant_type_info *type = quant_type_info(random_type());
        struct quant_sums expected = {{0}, {0}};
        random_fill(x, N, (enum weight_kind)random_below(KINDS));
        random_params(x, N, type, scales, zeros, count);
        kernels_scalar.encode_runs(x, run, count, type, scales, zeros, a, &expected);
        for (size_t o = 0; o < others_count; o++) {
            struct quant_sums got = {{0}, {0}};
            others[o]->encode_runs(x, run, count, type, scales, zeros, b, &got);
            assert_int_equal(first_difference(a, b, run * count), run * count);
            check_sums(&expected, &got);
        }
    }
    free(x);
    free(scales);
    free(zeros);
    free(a);
    free(b);
}

/* ---- columns -------------------------------------------------------- */

struct matrix {
    size_t rows, columns, stride;
};

static void check_range_columns(const float_u *x, struct matrix m)
{
    int32_t expected[2][128] = {{0}}, got[2][128] = {{0}};
    kernels_scalar.range_columns(x, REAL_FLOAT32, m.stride, m.rows, m.columns,
                                 expected[0], expected[1]);
    for (size_t o = 0; o < others_count; o++) {
        memset(got, 0, sizeof got);
        others[o]->range_columns(x, REAL_FLOAT32, m.stride, m.rows, m.columns, got[0],
                                 got[1]);
        assert_memory_equal(expected, got, sizeof got);
    }
}

/* Compares the codes of a matrix with the expected ones. Bytes between rows must not
 * change. */
static void check_codes_columns(const struct kernels *kernels, const void *x,
                                enum real_type real, struct matrix m,
                                const struct quant_type_info *type, const float *scales,
                                const uint8_t *zeros, const uint8_t *expected)
{
    size_t n = m.rows ? (m.rows - 1) * m.stride + m.columns : 0;
    struct guarded codes = guarded_make(n, random_below(2) != 0, 0);
    memset(codes.data, 0xee, n);
    kernels->codes_columns(x, real, m.stride, m.rows, m.columns, type, scales, zeros,
                           4096, codes.data);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(codes.data[i], i % m.stride < m.columns ? expected[i] : 0xee);
    guarded_free(&codes);
}

static void check_encode_columns(const float_u *x, struct matrix m)
{
    const struct quant_type_info *type = quant_type_info(random_type());
    size_t n = m.rows ? (m.rows - 1) * m.stride + m.columns : 0;
    struct guarded a = guarded_make(n, true, 0);
    struct guarded b = guarded_make(n, random_below(2) != 0, 0);
    struct quant_sums expected = {{0}, {0}}, got;
    float scales[128], unit = 0x1p-126f;
    uint8_t zeros[128];
    random_params(x, n, type, scales, zeros, m.columns);
    for (size_t c = 0; c < m.columns; c++)
        while (scales[c] / 2 >= unit)
            unit *= 2;
    kernels_scalar.encode_columns(x, m.stride, m.rows, m.columns, type, scales, zeros,
                                  unit, a.data, m.stride, &expected);
    check_codes_columns(&kernels_scalar, x, REAL_FLOAT32, m, type, scales, zeros, a.data);
    for (size_t o = 0; o < others_count; o++) {
        check_codes_columns(others[o], x, REAL_FLOAT32, m, type, scales, zeros, a.data);
        got = (struct quant_sums){{0}, {0}};
        others[o]->encode_columns(x, m.stride, m.rows, m.columns, type, scales, zeros,
                                  unit, b.data, m.stride, &got);
        assert_int_equal(first_difference(a.data, b.data, n), n);
        check_sums(&expected, &got);
    }
    guarded_free(&a);
    guarded_free(&b);
}

static void test_columns(void **state)
{
    (void)state;
    for (size_t columns = 0; columns <= 100; columns++) {
        for (size_t p = 0; p < LENGTH(placements); p++) {
            size_t rows = random_below(12), gap = random_below(2) ? 0 : random_below(20);
            struct matrix m = {rows, columns, columns + gap};
            size_t n = rows ? (rows - 1) * m.stride + columns : 0;
            struct guarded x = guarded_make(n * sizeof(float), placements[p].at_end,
                                            placements[p].slack);
            for (int kind = 0; kind < KINDS; kind++) {
                random_fill((float_u *)x.data, n, (enum weight_kind)kind);
                check_range_columns((float_u *)x.data, m);
                check_encode_columns((float_u *)x.data, m);
            }
            guarded_free(&x);
        }
    }
}

/* ---- other types, and ties ------------------------------------------ */

/* Random values, stored in the type. */
static void random_reals(enum real_type real, void *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float value = real_round(real, (float)random_normal() * 0.1f);
        real_store(real, &value, 1, (char *)out + i * real_size(real));
    }
}

/* Each table computes ranges and codes from values of the type. They must equal those of
 * the scalar kernels from the same values as float32. */
static void check_reals(enum real_type real, size_t run, size_t count, size_t slack)
{
    const struct quant_type_info *type = quant_type_info(random_type());
    size_t n = run * count, stride = run;
    struct guarded in = guarded_make(n * real_size(real), true, slack);
    struct guarded a = guarded_make(n, true, 0), b = guarded_make(n, true, 0);
    float *x = malloc(n * sizeof *x + 1), scales[256];
    uint8_t zeros[256];
    const struct kernels *all[5] = {&kernels_scalar};
    memcpy(all + 1, others, sizeof others);
    random_reals(real, in.data, n);
    real_load(real, in.data, n, x);
    random_params(x, n, type, scales, zeros, run > count ? run : count);
    for (size_t k = 0; k <= others_count; k++) {
        int32_t expected[2][256] = {{0}}, got[2][256] = {{0}};
        kernels_scalar.range_runs(x, REAL_FLOAT32, run, count, expected[0], expected[1]);
        all[k]->range_runs(in.data, real, run, count, got[0], got[1]);
        assert_memory_equal(expected, got, sizeof got);
        memset(expected, 0, sizeof expected);
        memset(got, 0, sizeof got);
        kernels_scalar.range_columns(x, REAL_FLOAT32, stride, count, run, expected[0],
                                     expected[1]);
        all[k]->range_columns(in.data, real, stride, count, run, got[0], got[1]);
        assert_memory_equal(expected, got, sizeof got);
        kernels_scalar.codes_runs(x, REAL_FLOAT32, run, count, type, scales, zeros,
                                  a.data);
        all[k]->codes_runs(in.data, real, run, count, type, scales, zeros, b.data);
        assert_int_equal(first_difference(a.data, b.data, n), n);
        kernels_scalar.codes_columns(x, REAL_FLOAT32, stride, count, run, type, scales,
                                     zeros, 0, a.data);
        all[k]->codes_columns(in.data, real, stride, count, run, type, scales, zeros, 0,
                              b.data);
        assert_int_equal(first_difference(a.data, b.data, n), n);
    }
    free(x);
    guarded_free(&in);
    guarded_free(&a);
    guarded_free(&b);
}

static void test_reals(void **state)
{
    static const enum real_type reals[] = {REAL_FLOAT32, REAL_FLOAT16, REAL_BFLOAT16,
                                           REAL_FLOAT64};
    (void)state;
    for (size_t t = 0; t < LENGTH(reals); t++)
        for (size_t run = 1; run <= 256; run += run < 80 ? 1 : 11)
            for (size_t slack = 0; slack < 4; slack += 3)
                check_reals(reals[t], run, 1 + random_below(20), slack);
}

/* Every table finds infinities and NaNs of any type, at any position. */
static void test_not_finite(void **state)
{
    static const enum real_type reals[] = {REAL_FLOAT32, REAL_FLOAT16, REAL_BFLOAT16,
                                           REAL_FLOAT64};
    (void)state;
    for (size_t t = 0; t < LENGTH(reals) * 4 * 80; t++) {
        enum real_type real = reals[t % LENGTH(reals)];
        float values[80] = {0};
        char stored[sizeof values * 2];
        size_t at = t / LENGTH(reals) / 4;
        int32_t limit = 0x7f800000;
        values[at] = t / LENGTH(reals) % 2 ? (float)NAN : (float)INFINITY;
        values[at] = copysignf(values[at], t / LENGTH(reals) / 2 % 2 ? -1.0f : 1.0f);
        real_store(real, values, 80, stored);
        for (size_t o = 0; o < others_count; o++) {
            int32_t top[80] = {0}, bottom[80] = {0};
            others[o]->range_runs(stored, real, 80, 1, top, bottom);
            assert_true(top[0] >= limit || bottom[0] >= limit);
            memset(top, 0, sizeof top);
            memset(bottom, 0, sizeof bottom);
            others[o]->range_columns(stored, real, 80, 1, 80, top, bottom);
            assert_true(top[at] >= limit || bottom[at] >= limit);
        }
    }
}

/* Ties between two codes, and the floats next to them, for scales of most magnitudes. A
 * quotient that is rounded differently would show here. */
static void test_ties(void **state)
{
    enum { N = 16 * 9 };
    (void)state;
    for (int t = 0; t < 20000; t++) {
        const struct quant_type_info *type = quant_type_info(random_type());
        float scale = (float)ldexp(1 + random_unit(), (int)random_below(250) - 125), x[N];
        uint8_t zero = (uint8_t)(type->lo + (int)random_below(16)), a[N], b[N];
        float scales[N];
        uint8_t zeros[N];
        for (size_t i = 0; i < N; i++) {
            float steps = (float)random_below(type->bits == 4 ? 18 : 258) + 0.5f;
            x[i] = (random_below(2) ? steps : -steps) * scale;
            for (size_t k = 0; k < i % 9 && isfinite(x[i]); k++)
                x[i] = nextafterf(x[i], i % 2 ? -INFINITY : INFINITY);
            x[i] = isfinite(x[i]) ? x[i] : 0;
            scales[i] = scale;
            zeros[i] = zero;
        }
        kernels_scalar.codes_runs(x, REAL_FLOAT32, N, 1, type, scales, zeros, a);
        for (size_t o = 0; o < others_count; o++) {
            others[o]->codes_runs(x, REAL_FLOAT32, N, 1, type, scales, zeros, b);
            assert_int_equal(first_difference(a, b, N), N);
            others[o]->codes_columns(x, REAL_FLOAT32, N, 1, N, type, scales, zeros, 64,
                                     b);
            assert_int_equal(first_difference(a, b, N), N);
        }
    }
}

/* ---- the table ------------------------------------------------------ */

static void test_table(void **state)
{
    (void)state;
    assert_ptr_equal(quant_kernels("scalar"), &kernels_scalar);
    assert_string_equal(quant_kernels_name(&kernels_scalar), "scalar");
    assert_null(quant_kernels("avx"));
    assert_null(quant_kernels(""));
    assert_non_null(quant_kernels(NULL));
    for (size_t o = 0; o < others_count; o++)
        assert_ptr_equal(quant_kernels(quant_kernels_name(others[o])), others[o]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs),       cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_columns),    cmocka_unit_test(test_reals),
        cmocka_unit_test(test_not_finite), cmocka_unit_test(test_ties),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
