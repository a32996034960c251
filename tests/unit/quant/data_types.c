/* Tests of quant/data_types.c: the table of types, and the conversions of reals, which
 * are compared with brute force over every float16 and bfloat16. */
#include "quant_support.h"

static void test_table(void **state)
{
    static const struct quant_type_info expected[] = {
        {"int4", 4, -8, 7, true},
        {"uint4", 4, 0, 15, false},
        {"int8", 8, -128, 127, true},
        {"uint8", 8, 0, 255, false},
    };
    (void)state;
    for (int t = 0; t < QUANT_TYPES; t++) {
        const struct quant_type_info *info = quant_type_info((enum quant_type)t);
        assert_string_equal(info->name, expected[t].name);
        assert_int_equal(info->bits, expected[t].bits);
        assert_int_equal(info->lo, expected[t].lo);
        assert_int_equal(info->hi, expected[t].hi);
        assert_int_equal(info->symmetric, expected[t].symmetric);
    }
    assert_int_equal(real_size(REAL_FLOAT32), 4);
    assert_int_equal(real_size(REAL_FLOAT16), 2);
    assert_int_equal(real_size(REAL_BFLOAT16), 2);
    assert_int_equal(real_size(REAL_FLOAT64), 8);
}

static void test_counts(void **state)
{
    static const struct {
        struct quant_shape shape;
        size_t elements, groups;
    } cases[] = {
        {{3, 5, 7, 0}, 105, 5},  {{3, 5, 7, 1}, 105, 105}, {{3, 5, 7, 2}, 105, 63},
        {{3, 5, 7, 5}, 105, 21}, {{3, 5, 7, 64}, 105, 21}, {{1, 1, 1000, 0}, 1000, 1},
        {{0, 4, 9, 0}, 0, 4},    {{2, 0, 9, 32}, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        assert_int_equal(quant_elements(&cases[i].shape), cases[i].elements);
        assert_int_equal(quant_groups(&cases[i].shape), cases[i].groups);
    }
}

static uint16_t store16(enum real_type type, float value)
{
    uint16_t bits;
    real_store(type, &value, 1, &bits);
    return bits;
}

static float value16(enum real_type type, uint16_t bits)
{
    return source_value((struct quant_source){&bits, type}, 0);
}

/* Rounding and storing a value of the type does not change it. */
static void check_round_trip(enum real_type type)
{
    for (unsigned bits = 0; bits < 65536; bits++) {
        float value = value16(type, (uint16_t)bits);
        if (isnan(value)) {
            assert_true(isnan(real_round(type, value)));
            assert_true(isnan(value16(type, store16(type, value))));
            continue;
        }
        assert_true(real_round(type, value) == value);
        assert_int_equal(store16(type, value), bits);
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    check_round_trip(REAL_FLOAT16);
    check_round_trip(REAL_BFLOAT16);
}

/* Values between two neighbours round to the nearer one, or to the even one if both are
 * equally near. Above the largest value comes infinity; for rounding it counts as the
 * next power of two. */
static void check_neighbours(enum real_type type, uint16_t infinity, double overflow)
{
    for (unsigned bits = 0; bits < infinity; bits++) {
        float low = value16(type, (uint16_t)bits);
        double next = value16(type, (uint16_t)(bits + 1));
        double high = isinf(next) ? overflow : next;
        float half_way = (float)((low + high) / 2); /* exact, with one bit more */
        uint16_t even = (uint16_t)(bits + (bits & 1));
        if (half_way == 0) /* below float32's smallest */
            continue;
        assert_int_equal(store16(type, half_way), even);
        assert_int_equal(store16(type, -half_way), even | 0x8000);
        assert_int_equal(store16(type, nextafterf(half_way, 0)), bits);
        assert_int_equal(store16(type, nextafterf(half_way, INFINITY)), bits + 1);
        assert_true(real_round(type, half_way) == value16(type, even));
    }
    assert_int_equal(store16(type, INFINITY), infinity);
    assert_int_equal(store16(type, -INFINITY), infinity | 0x8000);
    assert_int_equal(store16(type, -0.0f), 0x8000);
}

static void test_neighbours(void **state)
{
    (void)state;
    check_neighbours(REAL_FLOAT16, 0x7c00, 65536);
    check_neighbours(REAL_BFLOAT16, 0x7f80, ldexp(1, 128));
    assert_true(isinf(real_round(REAL_FLOAT16, 65520.0f)));
    assert_true(real_round(REAL_FLOAT16, 65519.0f) == 65504.0f);
    assert_true(real_round(REAL_FLOAT32, 0.1f) == 0.1f);
}

static void test_store(void **state)
{
    static const float values[] = {0.1f, -3.5f, 1e-6f};
    unsigned char out[1 + sizeof(double) * LENGTH(values)];
    static const enum real_type all[] = {REAL_FLOAT32, REAL_FLOAT16, REAL_BFLOAT16,
                                         REAL_FLOAT64};
    (void)state;
    for (size_t t = 0; t < LENGTH(all); t++) {
        struct quant_source source = {out + 1, all[t]};
        float loaded[LENGTH(values)];
        real_store(all[t], values, LENGTH(values), out + 1);
        real_load(all[t], out + 1, LENGTH(values), loaded);
        for (size_t i = 0; i < LENGTH(values); i++) {
            assert_true(source_value(source, i) == real_round(all[t], values[i]));
            assert_true(loaded[i] == source_value(source, i));
        }
    }
}

/* Every float16 and bfloat16, and doubles that float32 can't hold. */
static void test_load(void **state)
{
    static const double wide[] = {0.1, 1e-50, 1e50, -3.5};
    (void)state;
    for (unsigned bits = 0; bits < 65536; bits++) {
        uint16_t narrow = (uint16_t)bits;
        for (int t = REAL_FLOAT16; t <= REAL_BFLOAT16; t++) {
            float expected = value16((enum real_type)t, narrow), got;
            real_load((enum real_type)t, &narrow, 1, &got);
            assert_true(got == expected || (isnan(got) && isnan(expected)));
        }
    }
    for (size_t i = 0; i < LENGTH(wide); i++) {
        float got;
        real_load(REAL_FLOAT64, &wide[i], 1, &got);
        assert_true(got == (float)wide[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),      cmocka_unit_test(test_counts),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_store),      cmocka_unit_test(test_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
