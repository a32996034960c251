/* Tests of ranges found piece by piece. Scales and zero points must equal those of
 * quant_fit for any pieces, in any order, by any number of threads. */
#include "quant_support.h"

struct pieces {
    struct quant_source source;
    struct quant_shape shape;
    struct quant_range *ranges[2]; /* one for each of two imagined threads */
};

/* Extends either of the two by elements [begin, end), in random pieces taken from either
 * end. */
static void extend(struct pieces *p, const struct kernels *kernels, size_t begin,
                   size_t end)
{
    size_t middle = begin + random_below(end - begin + 1);
    bool swap = random_below(2) != 0;
    if (end - begin < 3 || random_below(3) == 0) {
        quant_ranges_extend(kernels, p->source, &p->shape, begin, end,
                            p->ranges[random_below(2)]);
        return;
    }
    extend(p, kernels, swap ? middle : begin, swap ? end : middle);
    extend(p, kernels, swap ? begin : middle, swap ? middle : end);
}

static void check(struct quant_source source, struct quant_shape shape,
                  struct quant_scheme scheme)
{
    static const char *const names[] = {"scalar", NULL};
    size_t n = shape.dim, elements = quant_elements(&shape);
    float *expected = calloc(n, sizeof *expected), *scales = calloc(n, sizeof *scales);
    uint8_t *expected_zeros = calloc(n, 1), *zeros = calloc(n, 1);
    for (size_t k = 0; k < LENGTH(names); k++) {
        const struct kernels *kernels = quant_kernels(names[k]);
        struct pieces p = {source, shape, {NULL, NULL}};
        enum quant_fit fit =
            quant_fit(kernels, &scheme, source, &shape, 0, n, expected, expected_zeros);
        p.ranges[0] = calloc(n, sizeof *p.ranges[0]);
        p.ranges[1] = calloc(n, sizeof *p.ranges[1]);
        extend(&p, kernels, 0, elements);
        quant_ranges_merge(p.ranges[0], p.ranges[1], n);
        scheme.method = QUANT_SEARCH; /* ignored */
        assert_int_equal(
            quant_ranges_fit(kernels, &scheme, p.ranges[0], n, scales, zeros), fit);
        scheme.method = QUANT_RTN;
        if (fit == QUANT_FIT_OK) {
            assert_memory_equal(scales, expected, n * sizeof *scales);
            assert_memory_equal(zeros, expected_zeros, n);
        }
        free(p.ranges[0]);
        free(p.ranges[1]);
    }
    free(expected);
    free(scales);
    free(expected_zeros);
    free(zeros);
}

static void check_shape(struct quant_shape shape)
{
    enum real_type type = (enum real_type)random_below(4);
    size_t n = quant_elements(&shape), size = real_size(type);
    struct guarded g = guarded_make(n * size, random_below(2) != 0, random_below(4));
    float *x = malloc((n + 1) * sizeof *x);
    random_fill(x, n, (enum weight_kind)random_below(KINDS));
    if (random_below(8) == 0 && n > 0)
        x[random_below(n)] = random_below(2) ? NAN : -INFINITY;
    real_store(type, x, n, g.data);
    for (int i = 0; i < 3; i++) {
        struct quant_scheme scheme = {(enum quant_type)random_below(QUANT_TYPES),
                                      random_below(2) != 0,
                                      QUANT_RTN,
                                      i == 0 ? REAL_FLOAT16 : REAL_FLOAT32,
                                      random_below(2) != 0,
                                      random_below(2) != 0,
                                      NULL};
        check((struct quant_source){g.data, type}, shape, scheme);
    }
    free(x);
    guarded_free(&g);
}

static void test_small(void **state)
{
    (void)state;
    for (int i = 0; i < 3000; i++)
        check_shape((struct quant_shape){1 + random_below(8), 1 + random_below(50),
                                         1 + random_below(random_below(2) ? 30 : 1), 0});
}

static void test_large(void **state)
{
    static const struct quant_shape shapes[] = {
        {1, 1, 70001, 0}, {40, 2500, 1, 0}, {7, 1030, 3, 0},  {3, 2, 9001, 0},
        {1, 2000, 31, 0}, {30000, 1, 1, 0}, {1, 30000, 1, 0}, {2, 40, 700, 0},
    };
    (void)state;
    for (int round = 0; round < 5; round++)
        for (size_t s = 0; s < LENGTH(shapes); s++)
            check_shape(shapes[s]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, random_setup, NULL);
}
