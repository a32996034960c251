/* Tests of the kernels that convert and pack. Each is compared with its definition,
 * and each table with the scalar one. Lengths vary, and buffers end right at unmapped
 * pages. */
#include "quant_support.h"

static const struct kernels *others[4];
static size_t others_count;

static int setup(void **state)
{
    others_count = other_kernels(others);
    return random_setup(state);
}

static float value16(enum real_type type, uint16_t bits)
{
    uint64_t room = bits; /* large enough for any type */
    return source_value((struct quant_source){&room, type}, 0);
}

/* ---- widening ------------------------------------------------------- */

static void check_widen(enum real_type type, size_t n, struct placement place)
{
    size_t size = n * real_size(type);
    struct guarded in = guarded_make(size, place.at_end, place.slack);
    struct guarded a = guarded_make(n * sizeof(float), true, 0);
    struct guarded b = guarded_make(n * sizeof(float), true, 0);
    struct quant_source source = {in.data, type};
    for (size_t i = 0; i < size; i++)
        in.data[i] = (unsigned char)random_bits();
    kernels_scalar.widen[type](in.data, n, (float *)(void *)a.data);
    for (size_t i = 0; i < n; i++) {
        float value = ((float *)(void *)a.data)[i], expected = source_value(source, i);
        assert_true(value == expected || (isnan(value) && isnan(expected)));
    }
    for (size_t o = 0; o < others_count; o++) {
        others[o]->widen[type](in.data, n, (float *)(void *)b.data);
        assert_int_equal(first_difference(a.data, b.data, n * 4), n * 4);
    }
    guarded_free(&in);
    guarded_free(&a);
    guarded_free(&b);
}

static void test_widen(void **state)
{
    static const enum real_type types[] = {REAL_FLOAT16, REAL_BFLOAT16, REAL_FLOAT64};
    (void)state;
    for (size_t t = 0; t < LENGTH(types); t++)
        for (size_t l = 0; l < LENGTHS; l++)
            for (size_t p = 0; p < LENGTH(placements); p++)
                check_widen(types[t], length_at(l), placements[p]);
}

/* All 65536 values of float16 and bfloat16, with every table. */
static void test_widen_all(void **state)
{
    static const enum real_type types[] = {REAL_FLOAT16, REAL_BFLOAT16};
    uint16_t *in = malloc(65536 * sizeof *in);
    float *a = malloc(65536 * sizeof *a), *b = malloc(65536 * sizeof *b);
    (void)state;
    for (size_t i = 0; i < 65536; i++)
        in[i] = (uint16_t)i;
    for (size_t t = 0; t < LENGTH(types); t++) {
        kernels_scalar.widen[types[t]](in, 65536, a);
        for (size_t o = 0; o < others_count; o++) {
            others[o]->widen[types[t]](in, 65536, b);
            assert_int_equal(first_difference(a, b, 65536 * 4), 65536 * 4);
        }
    }
    free(in);
    free(a);
    free(b);
}

/* ---- narrowing ------------------------------------------------------ */

/* Whether these are the bits of the nearest value. Compares it with its neighbours in
 * exact arithmetic. If two values are equally near, the even one is right. */
static bool is_nearest(enum real_type type, float value, uint16_t bits)
{
    const double largest = type == REAL_FLOAT16 ? 65520 : 0x1.ffp127;
    uint16_t magnitude = bits & 0x7fff;
    double at = fabs((double)value), got, below, above;
    if ((signbit(value) != 0) != (bits >> 15 != 0))
        return false;
    if (at >= largest)
        return magnitude == (type == REAL_FLOAT16 ? 0x7c00 : 0x7f80);
    got = value16(type, magnitude);
    below = magnitude == 0 ? -1 : value16(type, (uint16_t)(magnitude - 1));
    above = value16(type, (uint16_t)(magnitude + 1));
    above = isinf(above) ? 2 * largest - got : above;
    if (at < (below + got) / 2 || at > (got + above) / 2)
        return false;
    return (at != (below + got) / 2 && at != (got + above) / 2) || magnitude % 2 == 0;
}

static float random_float(void)
{
    uint32_t bits = (uint32_t)random_bits();
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Random bits, values of the type, and floats at or next to the middle between two
 * values. */
static float narrow_value(enum real_type type)
{
    uint16_t bits = (uint16_t)random_bits();
    float a = value16(type, (uint16_t)(bits - (bits & 1))), b = value16(type, bits);
    float half_way = (float)(((double)a + (double)b) / 2);
    switch (random_below(5)) {
    case 0:
        return random_float();
    case 1:
        return b;
    case 2:
        return half_way;
    default:
        return nextafterf(half_way, random_below(2) ? INFINITY : -INFINITY);
    }
}

static void check_narrow(enum real_type type, size_t n, struct placement place)
{
    struct guarded in = guarded_make(n * sizeof(float), place.at_end, place.slack);
    struct guarded a = guarded_make(n * 2, true, 0), b = guarded_make(n * 2, true, 0);
    for (size_t i = 0; i < n; i++) {
        float value = narrow_value(type);
        memcpy(in.data + i * sizeof value, &value, sizeof value);
    }
    kernels_scalar.narrow[type]((float *)(void *)in.data, n, a.data);
    for (size_t i = 0; i < n; i++) {
        float value = source_value((struct quant_source){in.data, REAL_FLOAT32}, i);
        uint16_t bits;
        memcpy(&bits, a.data + i * sizeof bits, sizeof bits);
        assert_true(isnan(value) ? isnan(value16(type, bits))
                                 : is_nearest(type, value, bits));
    }
    for (size_t o = 0; o < others_count; o++) {
        others[o]->narrow[type]((float *)(void *)in.data, n, b.data);
        assert_int_equal(first_difference(a.data, b.data, n * 2), n * 2);
    }
    guarded_free(&in);
    guarded_free(&a);
    guarded_free(&b);
}

/* Scales are always aligned, so these floats are, too. */
static void test_narrow(void **state)
{
    static const enum real_type types[] = {REAL_FLOAT16, REAL_BFLOAT16};
    (void)state;
    for (size_t t = 0; t < LENGTH(types); t++)
        for (size_t l = 0; l < LENGTHS; l++)
            for (size_t end = 0; end < 2; end++)
                check_narrow(types[t], length_at(l), (struct placement){end == 1, 0});
}

/* Rounding and storing many scales gives the same as doing it one by one. */
static void test_scales(void **state)
{
    (void)state;
    for (size_t t = 0; t <= REAL_BFLOAT16; t++)
        for (size_t n = 0; n < 600; n += 1 + random_below(60)) {
            enum real_type type = (enum real_type)t;
            float scales[600] = {0}, rounded[600];
            unsigned char stored[2400], one[4];
            random_fill(scales, n, KIND_NORMAL);
            memcpy(rounded, scales, sizeof rounded);
            quant_round(quant_kernels(NULL), type, rounded, n);
            quant_store(quant_kernels(NULL), type, scales, n, stored);
            for (size_t i = 0; i < n; i++) {
                size_t size = real_size(type);
                assert_true(rounded[i] == real_round(type, scales[i]));
                real_store(type, &scales[i], 1, one);
                assert_memory_equal(stored + i * size, one, size);
            }
        }
}

/* ---- packing -------------------------------------------------------- */

static void check_pack4(const struct kernels *kernels, size_t n, bool at_end)
{
    struct guarded in = guarded_make(n, at_end, 0);
    struct guarded out = guarded_make((n + 1) / 2, at_end, 0);
    for (size_t i = 0; i < n; i++)
        in.data[i] =
            (uint8_t)random_bits(); /* the high nibbles hold copies of the sign */
    quant_pack4(kernels, in.data, n, out.data);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(out.data[i / 2] >> (i % 2 * 4) & 15, in.data[i] & 15);
    if (n % 2 != 0)
        assert_int_equal(out.data[n / 2] >> 4, 0);
    quant_pack4(kernels, in.data, n, in.data);
    assert_int_equal(first_difference(in.data, out.data, (n + 1) / 2), (n + 1) / 2);
    guarded_free(&in);
    guarded_free(&out);
}

static void test_pack4(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 400; n++) {
        check_pack4(&kernels_scalar, n, true);
        for (size_t o = 0; o < others_count; o++) {
            check_pack4(others[o], n, true);
            check_pack4(others[o], n, false);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widen),  cmocka_unit_test(test_widen_all),
        cmocka_unit_test(test_narrow), cmocka_unit_test(test_scales),
        cmocka_unit_test(test_pack4),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
