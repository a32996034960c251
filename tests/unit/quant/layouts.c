/* Tests of quant_fit and quant_encode on every layout. The reference is plain code that
 * follows the definitions element by element. Covers every table of kernels, all types,
 * and ranges that begin and end anywhere. */
#include "quant_support.h"

/* A weight, the results of fit and encode, and the results by definition. */
struct weight {
    struct quant_shape shape;
    struct quant_scheme scheme;
    struct quant_source source;
    size_t elements, groups;
    float *scales;
    uint8_t *zeros, *codes;
};

static struct weight weight_make(struct quant_shape shape, struct quant_scheme scheme,
                                 struct quant_source source)
{
    struct weight w = {
        shape, scheme, source, quant_elements(&shape), quant_groups(&shape),
        NULL,  NULL,   NULL};
    w.scales = calloc(w.groups + 1, sizeof *w.scales);
    w.zeros = calloc(w.groups + 1, 1);
    w.codes = calloc(w.elements + 1, 1);
    return w;
}

static void weight_free(struct weight *w)
{
    free(w->scales);
    free(w->zeros);
    free(w->codes);
}

/* ---- the reference -------------------------------------------------- */

static int code_value(const struct quant_type_info *type, uint8_t code)
{
    return type->lo < 0 ? (int8_t)code : code;
}

static enum quant_fit reference_params(struct weight *w, size_t group, double min,
                                       double max)
{
    const struct quant_type_info *type = quant_type_info(w->scheme.type);
    int middle = type->lo < 0 ? 0 : 1 << (type->bits - 1);
    double largest = fmax(-min, max);
    bool mirrored = w->scheme.symmetric && w->scheme.mirrored;
    float s = w->scheme.symmetric ? (float)(largest / (type->hi - middle + mirrored))
                                  : (float)((max - min) / (type->hi - type->lo));
    if (!isnormal(s))
        s = 1;
    float rounded = real_round(w->scheme.scale_type, s);
    if (isinf(rounded))
        return QUANT_FIT_SCALE_RANGE;
    if (w->scheme.scale_type == REAL_FLOAT16 && rounded < 0x1p-14f &&
        fabs((double)rounded - (double)s) > (double)s / 32) {
        if (!w->scheme.raise_scales)
            return QUANT_FIT_SCALE_RANGE;
        while (rounded < s)
            rounded += 0x1p-24f;
    }
    w->scales[group] = rounded;
    if (w->scheme.symmetric) {
        w->zeros[group] = (uint8_t)(middle - (mirrored && max > -min));
    } else {
        double z = nearbyint((double)((float)-min / rounded)) + type->lo;
        w->zeros[group] = (uint8_t)(int)fmax(type->lo, fmin(type->hi, z));
    }
    /* The extremes must be finite in the scale's type once they are decoded. */
    for (int side = 0; side < 2; side++) {
        int z = code_value(type, w->zeros[group]);
        float x = (float)(side ? max : min);
        double q = fmax(type->lo, fmin(type->hi, nearbyint((double)(x / rounded)) + z));
        if (!isfinite(real_round(w->scheme.scale_type, (float)(q - z) * rounded)))
            return QUANT_FIT_SCALE_RANGE;
    }
    return QUANT_FIT_OK;
}

static enum quant_fit reference_fit(struct weight *w)
{
    double *min = calloc(w->groups + 1, sizeof *min);
    double *max = calloc(w->groups + 1, sizeof *max);
    enum quant_fit result = QUANT_FIT_OK;
    for (size_t i = 0; i < w->elements; i++) {
        float x = source_value(w->source, i);
        size_t g = group_of(&w->shape, i);
        if (!isfinite(x))
            result = QUANT_FIT_NOT_FINITE;
        min[g] = fmin(min[g], (double)x);
        max[g] = fmax(max[g], (double)x);
    }
    for (size_t g = 0; g < w->groups && result != QUANT_FIT_NOT_FINITE; g++)
        if (reference_params(w, g, min[g], max[g]) != QUANT_FIT_OK)
            result = QUANT_FIT_SCALE_RANGE;
    free(min);
    free(max);
    return result;
}

static struct quant_error reference_encode(struct weight *w)
{
    const struct quant_type_info *type = quant_type_info(w->scheme.type);
    struct quant_error error = {0};
    for (size_t i = 0; i < w->elements; i++) {
        size_t g = group_of(&w->shape, i);
        float x = source_value(w->source, i), s = w->scales[g];
        int z = code_value(type, w->zeros[g]);
        double q = nearbyint((double)(x / s)) + z;
        q = fmax(type->lo, fmin(type->hi, q));
        double e = (double)x - (q - z) * (double)s;
        w->codes[i] = (uint8_t)(int)q;
        error.signal += (double)x * (double)x;
        error.noise += e * e;
    }
    return error;
}

/* ---- the real thing, in pieces -------------------------------------- */

/* Fits in up to 4 ranges. */
static enum quant_fit fit_pieces(struct weight *w, const struct kernels *kernels)
{
    size_t each = w->shape.block ? w->shape.inner : 1;
    size_t rows = each ? w->groups / each : 0;
    size_t step = rows / (1 + random_below(4)) + 1;
    enum quant_fit result = QUANT_FIT_OK;
    for (size_t r = 0; r < rows; r += step) {
        size_t n = rows - r < step ? rows - r : step;
        enum quant_fit fit = quant_fit(kernels, &w->scheme, w->source, &w->shape, r, n,
                                       w->scales + r * each, w->zeros + r * each);
        if (result == QUANT_FIT_OK || fit == QUANT_FIT_NOT_FINITE)
            result = fit;
    }
    return result;
}

/* Finds the groups of elements [begin, end). first_group may skip the groups before
 * them. */
static size_t least_group(const struct quant_shape *s, size_t begin, size_t end)
{
    size_t least = (size_t)-1;
    for (size_t i = begin; i < end; i++) {
        size_t g = group_of(s, i);
        least = g < least ? g : least;
    }
    return least;
}

/* Encodes the ranges between the given cuts. */
static struct quant_error encode_pieces(struct weight *w, const struct kernels *kernels,
                                        const size_t *cuts, size_t pieces)
{
    struct quant_error error = {0};
    for (size_t p = 0; p < pieces; p++) {
        size_t begin = cuts[p], end = cuts[p + 1];
        size_t first = begin < end ? least_group(&w->shape, begin, end) : 0;
        quant_encode(kernels, &w->scheme, w->source, &w->shape, begin, end, first,
                     w->scales + first, w->zeros + first, w->codes + begin, &error);
    }
    return error;
}

/* Errors use x / s as a float. So they are not exactly 0 where they should be. */
static bool error_close(struct quant_error a, struct quant_error b)
{
    return fabs(a.signal - b.signal) <= 1e-4 * b.signal &&
           fabs(a.noise - b.noise) <= 1e-3 * b.noise + 1e-10 * b.signal;
}

static void print_weight(const struct weight *w, const char *kernels)
{
    print_message("%s [%zu][%zu][%zu] block %zu, source %d, scale %d, %s %s\n",
                  quant_type_info(w->scheme.type)->name, w->shape.outer, w->shape.dim,
                  w->shape.inner, w->shape.block, (int)w->source.type,
                  (int)w->scheme.scale_type,
                  w->scheme.symmetric ? "symmetric" : "asymmetric", kernels);
}

/* Compares kernels with the reference. Errors of later tables are compared with those of
 * the first. */
static void check_kernels(struct weight *w, struct weight *expected,
                          enum quant_fit expected_fit,
                          const struct quant_error *reference,
                          const struct kernels *kernels, const size_t *cuts,
                          size_t pieces, struct quant_error *error, bool first, bool tame)
{
    enum quant_fit fit = fit_pieces(w, kernels);
    struct quant_error got;
    bool good = fit == expected_fit;
    if (good && fit == QUANT_FIT_OK) {
        good = memcmp(w->scales, expected->scales, w->groups * sizeof(float)) == 0 &&
               memcmp(w->zeros, expected->zeros, w->groups) == 0;
        got = encode_pieces(w, kernels, cuts, pieces);
        good = good && memcmp(w->codes, expected->codes, w->elements) == 0;
        if (tame)
            good = good && error_close(got, *reference);
        good = good && got.signal >= 0 && got.noise >= 0; /* not NaN */
        if (!first)
            good = good && memcmp(&got, error, sizeof got) == 0;
        *error = got;
    }
    if (!good)
        print_weight(w, quant_kernels_name(kernels));
    assert_true(good);
}

static void check_weight(struct quant_shape shape, struct quant_scheme scheme,
                         struct quant_source source, bool tame)
{
    static const char *const names[] = {"scalar", "avx2", "avx512"};
    struct weight expected = weight_make(shape, scheme, source);
    enum quant_fit fit = reference_fit(&expected);
    struct quant_error reference = {0}, error = {0};
    size_t n = expected.elements;
    size_t a = random_below(n + 1), b = random_below(n + 1);
    const size_t cuts[] = {0, a < b ? a : b, a < b ? b : a, n};
    if (fit == QUANT_FIT_OK)
        reference = reference_encode(&expected);
    for (size_t k = 0; k < LENGTH(names); k++) {
        struct weight w = weight_make(shape, scheme, source);
        const struct kernels *kernels = quant_kernels(names[k]);
        if (kernels != NULL)
            check_kernels(&w, &expected, fit, &reference, kernels, cuts, 3, &error,
                          k == 0, tame);
        weight_free(&w);
    }
    weight_free(&expected);
}

/* ---- tests ---------------------------------------------------------- */

static struct quant_scheme random_scheme(void)
{
    static const enum real_type scales[] = {REAL_FLOAT32, REAL_FLOAT32, REAL_FLOAT16,
                                            REAL_BFLOAT16};
    return (struct quant_scheme){(enum quant_type)random_below(QUANT_TYPES),
                                 random_below(2) != 0,
                                 QUANT_RTN,
                                 scales[random_below(LENGTH(scales))],
                                 random_below(2) != 0,
                                 random_below(2) != 0,
                                 NULL};
}

/* Makes elements of the source's type with any finite bits. They are converted from
 * float32, so extremes of float32 become extremes of a narrower type. The data end right
 * at an unmapped page, and may be misaligned. */
static struct guarded random_source(size_t n, enum real_type type, enum weight_kind kind)
{
    size_t size = real_size(type);
    struct guarded g = guarded_make(n * size, random_below(2) != 0,
                                    random_below(2) ? 0 : random_below(4));
    float *x = malloc((n + 1) * sizeof *x);
    random_fill(x, n, kind);
    real_store(type, x, n, g.data);
    free(x);
    return g;
}

static void check_random(struct quant_shape shape, enum weight_kind kind)
{
    enum real_type type = (enum real_type)random_below(4);
    struct guarded data = random_source(quant_elements(&shape), type, kind);
    bool tame = kind == KIND_NORMAL || kind == KIND_TIES || kind == KIND_POSITIVE;
    for (int i = 0; i < 2; i++)
        check_weight(shape, random_scheme(), (struct quant_source){data.data, type},
                     tame);
    guarded_free(&data);
}

/* Layouts of every kind, small enough to reach all corner cases. */
static void test_small_shapes(void **state)
{
    (void)state;
    for (int i = 0; i < 6000; i++) {
        struct quant_shape shape = {1 + random_below(6), 1 + random_below(70),
                                    1 + random_below(random_below(3) ? 40 : 1), 0};
        if (random_below(3) != 0)
            shape.block = 1 + random_below(random_below(2) ? 80 : 8);
        check_random(shape, (enum weight_kind)random_below(KINDS));
    }
}

/* Sizes larger than a segment, a strip, and the groups fitted at once. */
static void test_large_shapes(void **state)
{
    static const struct quant_shape shapes[] = {
        {1, 1, 70001, 0},  {1, 5, 9001, 0},    {1, 1030, 31, 0},    {3, 300, 64, 0},
        {9, 2100, 1, 0},   {20, 300, 9, 0},    {3, 700, 15, 0},     {70, 1025, 1, 0},
        {1, 40000, 1, 32}, {5, 3001, 1, 32},   {2, 9000, 1, 2},     {2, 9001, 1, 2},
        {3, 5000, 1, 7},   {1, 20000, 1, 9},   {1, 65, 1100, 32},   {2, 40, 600, 16},
        {1, 9, 3000, 4},   {7, 1025, 1, 4096}, {1, 10000, 1, 5000}, {4096, 3, 2, 0},
        {900, 4, 5, 2},    {2000, 33, 1, 32},  {1, 20000, 1, 1},    {50, 20, 20, 0},
    };
    (void)state;
    for (int round = 0; round < 3; round++)
        for (size_t s = 0; s < LENGTH(shapes); s++)
            check_random(shapes[s], (enum weight_kind)random_below(KINDS));
}

/* A hand-made case for the order of groups. Each group has its own scale, and all codes
 * are exact. */
static void test_order(void **state)
{
    static const struct quant_shape shapes[] = {{2, 4, 3, 0}, {2, 4, 3, 2}, {3, 5, 1, 2}};
    (void)state;
    for (size_t k = 0; k < LENGTH(shapes); k++) {
        struct quant_scheme scheme = {QUANT_INT4, true,  QUANT_RTN, REAL_FLOAT32,
                                      false,      false, NULL};
        size_t n = quant_elements(&shapes[k]), groups = quant_groups(&shapes[k]);
        size_t each = shapes[k].block ? shapes[k].inner : 1;
        float x[32], scales[32];
        uint8_t zeros[32], codes[32];
        struct quant_error error = {0};
        for (size_t i = 0; i < n; i++)
            x[i] = 7 * (float)(1 + group_of(&shapes[k], i));
        assert_int_equal(quant_fit(quant_kernels(NULL), &scheme,
                                   (struct quant_source){x, REAL_FLOAT32}, &shapes[k], 0,
                                   groups / each, scales, zeros),
                         QUANT_FIT_OK);
        for (size_t g = 0; g < groups; g++)
            assert_true(scales[g] == (float)(g + 1));
        quant_encode(quant_kernels(NULL), &scheme, (struct quant_source){x, REAL_FLOAT32},
                     &shapes[k], 0, n, 0, scales, zeros, codes, &error);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(codes[i], 7);
        assert_true(error.noise == 0 && error.signal > 0);
    }
}

/* Weights without elements. Groups, if there are any, get the scale 1. */
static void test_empty(void **state)
{
    static const struct quant_shape shapes[] = {
        {0, 3, 4, 0},  {2, 3, 0, 0},   {2, 0, 4, 0},
        {2, 0, 4, 32}, {0, 64, 1, 32}, {2, 64, 0, 32},
    };
    struct quant_scheme scheme = {QUANT_UINT4, true,  QUANT_RTN, REAL_FLOAT32,
                                  false,       false, NULL};
    struct quant_source source = {"", REAL_FLOAT32};
    (void)state;
    for (size_t k = 0; k < LENGTH(shapes); k++) {
        size_t groups = quant_groups(&shapes[k]);
        size_t count = shapes[k].block ? 0 : groups;
        float scales[4] = {0};
        uint8_t zeros[4] = {0}, codes[1];
        struct quant_error error = {0};
        assert_int_equal(quant_fit(quant_kernels(NULL), &scheme, source, &shapes[k], 0,
                                   count, scales, zeros),
                         QUANT_FIT_OK);
        for (size_t g = 0; g < count; g++)
            assert_true(scales[g] == 1 && zeros[g] == 8);
        quant_encode(quant_kernels(NULL), &scheme, source, &shapes[k], 0, 0, 0, scales,
                     zeros, codes, &error);
        assert_true(error.noise == 0 && error.signal == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_small_shapes),
        cmocka_unit_test(test_large_shapes),
    };
    return cmocka_run_group_tests(tests, random_setup, NULL);
}
