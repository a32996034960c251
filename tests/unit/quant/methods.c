/* Tests of the methods search and exact on every layout. No group is worse than with
 * round to nearest. All kernels, and any division of the work, give the same bits.
 * search.c tests how good the results are. */
#include "quant_support.h"

#include <float.h>

struct weight {
    struct quant_source source;
    struct quant_shape shape;
    size_t elements, groups;
};

struct result {
    enum quant_fit fit;
    float *scales;
    uint8_t *zeros;
    double *errors; /* one for each group */
};

static struct result result_make(size_t groups)
{
    return (struct result){QUANT_FIT_OK, calloc(groups + 1, sizeof(float)),
                           calloc(groups + 1, 1), calloc(groups + 1, sizeof(double))};
}

static void result_free(struct result *r)
{
    free(r->scales);
    free(r->zeros);
    free(r->errors);
}

/* Fits in up to 3 ranges. */
static void fit(const struct weight *w, const struct quant_scheme *scheme,
                const struct kernels *kernels, struct result *r)
{
    size_t each = w->shape.block ? w->shape.inner : 1, rows = w->groups / each;
    size_t step = rows / (1 + random_below(3)) + 1;
    r->fit = QUANT_FIT_OK;
    for (size_t k = 0; k < rows; k += step) {
        size_t n = rows - k < step ? rows - k : step;
        enum quant_fit part = quant_fit(kernels, scheme, w->source, &w->shape, k, n,
                                        r->scales + k * each, r->zeros + k * each);
        if (r->fit == QUANT_FIT_OK || part == QUANT_FIT_NOT_FINITE)
            r->fit = part;
    }
}

/* The errors of quant_encode's codes, as a runtime decodes them. */
static void measure(const struct weight *w, const struct quant_scheme *scheme,
                    struct result *r)
{
    uint8_t *codes = malloc(w->elements);
    struct quant_error error = {0};
    memset(r->errors, 0, w->groups * sizeof *r->errors);
    quant_encode(quant_kernels(NULL), scheme, w->source, &w->shape, 0, w->elements, 0,
                 r->scales, r->zeros, codes, &error);
    for (size_t i = 0; i < w->elements; i++) {
        size_t g = group_of(&w->shape, i);
        int q = codes[i], z = r->zeros[g];
        if (quant_type_info(scheme->type)->lo < 0) {
            q = (int8_t)codes[i];
            z = (int8_t)r->zeros[g];
        }
        double e = (double)source_value(w->source, i) - (q - z) * (double)r->scales[g];
        r->errors[g] += e * e;
    }
    free(codes);
}

static bool zero_allowed(const struct quant_scheme *scheme, uint8_t zero)
{
    const struct quant_type_info *type = quant_type_info(scheme->type);
    int level = (uint8_t)(zero - type->lo), middle = 1 << (type->bits - 1);
    if (!scheme->symmetric)
        return level <= type->hi - type->lo;
    return level == middle || (scheme->mirrored && level == middle - 1);
}

static void check_better(const struct weight *w, const struct quant_scheme *scheme,
                         const struct result *rtn, const struct result *got)
{
    for (size_t g = 0; g < w->groups; g++) {
        bool good = got->scales[g] > 0 && got->scales[g] <= FLT_MAX &&
                    real_round(scheme->scale_type, got->scales[g]) == got->scales[g] &&
                    zero_allowed(scheme, got->zeros[g]) &&
                    got->errors[g] <= rtn->errors[g];
        if (!good)
            print_message("%s [%zu][%zu][%zu] block %zu, source %d, scale %d, sym %d "
                          "mirrored %d method %d group %zu: %g * %d, %g; rtn %g * %d, "
                          "%g\n",
                          quant_type_info(scheme->type)->name, w->shape.outer,
                          w->shape.dim, w->shape.inner, w->shape.block,
                          (int)w->source.type, (int)scheme->scale_type, scheme->symmetric,
                          scheme->mirrored, (int)scheme->method, g,
                          (double)got->scales[g], got->zeros[g], got->errors[g],
                          (double)rtn->scales[g], rtn->zeros[g], rtn->errors[g]);
        assert_true(good);
    }
}

static void check_method(const struct weight *w, struct quant_scheme scheme,
                         const struct result *rtn)
{
    static const char *const names[] = {"avx2", "avx512"};
    struct result first = result_make(w->groups);
    fit(w, &scheme, quant_kernels("scalar"), &first);
    assert_int_equal(first.fit, rtn->fit);
    if (first.fit == QUANT_FIT_OK) {
        measure(w, &scheme, &first);
        check_better(w, &scheme, rtn, &first);
    }
    for (size_t k = 0; k < LENGTH(names) && first.fit == QUANT_FIT_OK; k++) {
        const struct kernels *kernels = quant_kernels(names[k]);
        struct result other = result_make(w->groups);
        fit(w, &scheme, kernels != NULL ? kernels : quant_kernels(NULL), &other);
        assert_int_equal(other.fit, QUANT_FIT_OK);
        assert_memory_equal(other.scales, first.scales, w->groups * sizeof(float));
        assert_memory_equal(other.zeros, first.zeros, w->groups);
        result_free(&other);
    }
    result_free(&first);
}

static void check_weight(const struct weight *w)
{
    static const enum real_type scale_types[] = {REAL_FLOAT32, REAL_FLOAT32, REAL_FLOAT16,
                                                 REAL_BFLOAT16};
    struct quant_scheme scheme = {(enum quant_type)random_below(QUANT_TYPES),
                                  random_below(2) != 0,
                                  QUANT_RTN,
                                  scale_types[random_below(4)],
                                  random_below(2) != 0,
                                  random_below(2) != 0,
                                  NULL};
    struct result rtn = result_make(w->groups);
    fit(w, &scheme, quant_kernels(NULL), &rtn);
    if (rtn.fit == QUANT_FIT_OK)
        measure(w, &scheme, &rtn);
    scheme.method = QUANT_SEARCH;
    check_method(w, scheme, &rtn);
    scheme.method = QUANT_EXACT;
    if (quant_type_info(scheme.type)->bits == 4 || w->elements < 2000)
        check_method(w, scheme, &rtn);
    result_free(&rtn);
}

static void check_shape(struct quant_shape shape, enum weight_kind kind)
{
    enum real_type type = (enum real_type)random_below(4);
    size_t n = quant_elements(&shape);
    struct guarded g = guarded_make(n * real_size(type), random_below(2) != 0,
                                    random_below(2) ? 0 : random_below(4));
    struct weight w = {{g.data, type}, shape, n, quant_groups(&shape)};
    float *x = malloc((n + 1) * sizeof *x);
    random_fill(x, n, kind);
    real_store(type, x, n, g.data);
    check_weight(&w);
    free(x);
    guarded_free(&g);
}

static void test_small_shapes(void **state)
{
    (void)state;
    for (int i = 0; i < 1500 / FEWER; i++) {
        struct quant_shape shape = {1 + random_below(6), 1 + random_below(70),
                                    1 + random_below(random_below(3) ? 40 : 1), 0};
        if (random_below(3) != 0)
            shape.block = 1 + random_below(random_below(2) ? 80 : 8);
        check_shape(shape, (enum weight_kind)random_below(KINDS));
    }
}

/* Sizes larger than a tile, a piece and the buffers. */
static void test_large_shapes(void **state)
{
    static const struct quant_shape shapes[] = {
        {1, 1, 70001, 0}, {1, 5, 9001, 0},    {1, 90, 131, 0},  {1, 9, 4096, 0},
        {9, 2100, 1, 0},  {20, 30, 9, 0},     {3, 70, 15, 0},   {300, 101, 1, 0},
        {1, 4000, 1, 32}, {5, 301, 1, 32},    {1, 65, 110, 32}, {1, 10000, 1, 5000},
        {4096, 3, 2, 0},  {9000, 5, 1, 0},    {2049, 17, 1, 0}, {600, 70, 1, 0},
        {1, 3, 1025, 0},  {1, 257, 130, 128}, {1, 2, 16384, 0}, {1, 300, 9, 0},
    };
    (void)state;
    for (int round = 0; round < 2; round++)
        for (size_t s = 0; s < LENGTH(shapes); s++)
            check_shape(shapes[s], (enum weight_kind)random_below(KINDS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_shapes),
        cmocka_unit_test(test_large_shapes),
    };
    return cmocka_run_group_tests(tests, random_setup, NULL);
}
