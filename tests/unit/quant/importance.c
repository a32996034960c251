/* Tests of fitting with importance. Compared with brute force. On every layout, a group
 * gets the same result as alone. Nothing is worse than round to nearest. Equal importance
 * changes nothing. */
#include "quant_support.h"

#include <float.h>

enum { LONGEST = 20000 };

struct found {
    float scale;
    uint8_t zero;
    double error;
};

static struct quant_scheme random_scheme(enum quant_method method)
{
    bool symmetric = random_below(2) != 0;
    return (struct quant_scheme){
        (enum quant_type)random_below(2),  symmetric, method, REAL_FLOAT32,
        symmetric && random_below(2) != 0, false,     NULL};
}

/* Random importance, from 0 to a hundred times the usual. */
static void random_weights(float *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        w[i] = random_below(8) ? (float)exp(2 * random_normal()) : 0;
}

static double error_at(const float *x, const float *w, size_t n, float scale, int least,
                       int most)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double l = fmax(least, fmin(most, nearbyint((double)(x[i] / scale))));
        double e = (double)x[i] - l * (double)scale;
        sum += (double)w[i] * e * e;
    }
    return sum;
}

/* Fits one group. `seen` is the importance that the method gets; errors count with the
 * real one. */
static struct found find(struct quant_scheme scheme, const float *x, const float *w,
                         const float *seen, size_t n)
{
    const struct quant_type_info *type = quant_type_info(scheme.type);
    const struct quant_shape shape = {1, 1, n, 0};
    const struct quant_importance importance = {seen, 0, 0, 1};
    struct found f;
    assert_int_equal(quant_fit_weighted(quant_kernels(NULL), &scheme,
                                        (struct quant_source){x, REAL_FLOAT32},
                                        seen ? &importance : NULL, &shape, 0, 1, &f.scale,
                                        &f.zero),
                     QUANT_FIT_OK);
    int level = (uint8_t)(f.zero - type->lo);
    f.error = error_at(x, w, n, f.scale, -level, type->hi - type->lo - level);
    return f;
}

/* The least error of 2000 scales, each with every allowed zero point. */
static double brute_force(struct quant_scheme scheme, const float *x, const float *w,
                          size_t n)
{
    double largest = 0, best = INFINITY;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)x[i]));
    for (int zero = 0; zero <= 15; zero++) {
        if (scheme.symmetric && zero != 8 && !(scheme.mirrored && zero == 7))
            continue;
        for (int k = 1; k <= 2000; k++)
            best = fmin(best,
                        error_at(x, w, n, (float)(largest * k / 1000), -zero, 15 - zero));
    }
    return best;
}

static void test_brute_force(void **state)
{
    double searched = 0, optimal = 0, blind = 0;
    (void)state;
    for (int i = 0; i < 300; i++) {
        struct quant_scheme scheme = random_scheme(QUANT_RTN);
        size_t n = 2 + random_below(30);
        struct found rtn, search, exact, unweighted;
        double energy = 0;
        float x[32], w[32];
        random_fill(x, n, random_below(4) ? KIND_NORMAL : KIND_POSITIVE);
        random_weights(w, n);
        for (size_t k = 0; k < n; k++)
            energy += (double)w[k] * (double)x[k] * (double)x[k];
        rtn = find(scheme, x, w, w, n);
        scheme.method = QUANT_SEARCH;
        search = find(scheme, x, w, w, n);
        unweighted = find(scheme, x, w, NULL, n);
        scheme.method = QUANT_EXACT;
        exact = find(scheme, x, w, w, n);
        assert_true(search.error <= rtn.error * (1 + 1e-12));
        assert_true(exact.error <= search.error + 1e-9 * energy);
        assert_true(exact.error <= brute_force(scheme, x, w, n) + 1e-9 * energy);
        if (n < 16 || energy == 0)
            continue;
        optimal += exact.error / energy;
        searched += search.error / energy;
        blind += unweighted.error / energy;
    }
    print_message("errors over exact's: search %.3f, without weights %.3f\n",
                  searched / optimal, blind / optimal);
    assert_true(searched < 1.08 * optimal);
    assert_true(blind > 1.3 * optimal);
}

/* Long groups, which are read in pieces. */
static void test_long(void **state)
{
    static const size_t lengths[] = {1000, 4096, 4097, LONGEST};
    float *x = malloc(LONGEST * sizeof *x), *w = malloc(LONGEST * sizeof *w);
    (void)state;
    for (size_t i = 0; i < 4 * LENGTH(lengths); i++) {
        size_t n = lengths[i / 4];
        struct quant_scheme scheme = random_scheme(QUANT_RTN);
        struct found rtn, search, exact, unweighted;
        random_fill(x, n, KIND_NORMAL);
        for (size_t k = 0; k < n; k++)
            w[k] = expf(-x[k] * x[k]); /* the tails have no importance */
        rtn = find(scheme, x, w, w, n);
        scheme.method = QUANT_SEARCH;
        search = find(scheme, x, w, w, n);
        unweighted = find(scheme, x, w, NULL, n);
        assert_true(search.error <= rtn.error);
        assert_true(search.error <= 0.9 * unweighted.error);
        scheme.method = QUANT_EXACT;
        exact = find(scheme, x, w, w, n);
        assert_true(search.error <= 1.02 * exact.error); /* mostly 1.002 */
    }
    free(x);
    free(w);
}

/* ---- layouts -------------------------------------------------------- */

struct weight {
    struct quant_shape shape;
    struct quant_importance importance;
    float *x;
};

/* Each group gets the same scale and zero point as alone. */
static void check_groups(const struct weight *w, struct quant_scheme scheme,
                         const float *scales, const uint8_t *zeros)
{
    const struct quant_importance *p = &w->importance;
    size_t elements = quant_elements(&w->shape), groups = quant_groups(&w->shape);
    float *x = malloc(elements * sizeof *x), *weights = malloc(elements * sizeof *x);
    for (size_t g = 0; g < groups; g++) {
        struct found alone;
        size_t n = 0;
        for (size_t k = 0; k < elements; k++) {
            size_t i = k % w->shape.inner, d = k / w->shape.inner % w->shape.dim,
                   o = k / w->shape.inner / w->shape.dim;
            if (group_of(&w->shape, k) != g)
                continue;
            x[n] = w->x[k];
            weights[n++] = p->values[o * p->outer + d * p->dim + i * p->inner];
        }
        alone = find(scheme, x, weights, weights, n);
        assert_true(scales[g] == alone.scale && zeros[g] == alone.zero);
    }
    free(x);
    free(weights);
}

static void check_weight(const struct weight *w, struct quant_scheme scheme)
{
    size_t groups = quant_groups(&w->shape);
    size_t each = w->shape.block ? w->shape.inner : 1, rows = groups / each;
    float *scales = malloc(groups * sizeof *scales),
          *other_scales = malloc(groups * sizeof *scales);
    uint8_t *zeros = malloc(groups), *other_zeros = malloc(groups);
    struct quant_source source = {w->x, REAL_FLOAT32};
    size_t cut = random_below(rows + 1);
    quant_fit_weighted(quant_kernels(NULL), &scheme, source, &w->importance, &w->shape, 0,
                       rows, scales, zeros);
    quant_fit_weighted(&kernels_scalar, &scheme, source, &w->importance, &w->shape, 0,
                       cut, other_scales, other_zeros);
    quant_fit_weighted(&kernels_scalar, &scheme, source, &w->importance, &w->shape, cut,
                       rows - cut, other_scales + cut * each, other_zeros + cut * each);
    assert_memory_equal(scales, other_scales, groups * sizeof *scales);
    assert_memory_equal(zeros, other_zeros, groups);
    check_groups(w, scheme, scales, zeros);
    free(scales);
    free(other_scales);
    free(zeros);
    free(other_zeros);
}

static void test_layouts(void **state)
{
    (void)state;
    for (int k = 0; k < 400; k++) {
        size_t outer = 1 + random_below(4), dim = 1 + random_below(30),
               inner = 1 + random_below(12);
        size_t block = random_below(2) ? 1 + random_below(10) : 0;
        size_t n = outer * dim * inner;
        float *x = malloc(n * sizeof *x), *w = malloc(n * sizeof *w);
        struct weight weight = {{outer, dim, inner, block}, {w, 0, 0, 0}, x};
        random_fill(x, n, KIND_NORMAL);
        random_weights(w, n);
        /* One value for each index of one axis, or for each element. */
        switch (random_below(4)) {
        case 0:
            weight.importance.outer = 1;
            break;
        case 1:
            weight.importance.dim = 1;
            break;
        case 2:
            weight.importance.inner = 1;
            break;
        default:
            weight.importance = (struct quant_importance){w, dim * inner, inner, 1};
        }
        check_weight(&weight,
                     random_scheme(random_below(2) ? QUANT_SEARCH : QUANT_EXACT));
        free(x);
        free(w);
    }
}

/* ---- weights that say nothing --------------------------------------- */

static void test_no_weights(void **state)
{
    float x[100], w[100];
    (void)state;
    for (int k = 0; k < 200; k++) {
        struct quant_scheme scheme = random_scheme(QUANT_RTN);
        size_t n = 1 + random_below(LENGTH(x));
        struct found rtn, got, plain;
        random_fill(x, n, KIND_NORMAL);
        for (size_t i = 0; i < n; i++)
            w[i] = 0;
        rtn = find(scheme, x, w, w, n);
        scheme.method = random_below(2) ? QUANT_SEARCH : QUANT_EXACT;
        got = find(scheme, x, w, w, n);
        assert_true(got.scale == rtn.scale && got.zero == rtn.zero);
        for (size_t i = 0; i < n; i++) /* equal importance, of any magnitude */
            w[i] = random_below(2) && i == 0 ? 0x1p100f : i == 0 ? 0x1p-100f : w[0];
        got = find(scheme, x, w, w, n);
        plain = find(scheme, x, w, NULL, n);
        if (scheme.method == QUANT_EXACT)
            assert_true(got.scale == plain.scale && got.zero == plain.zero);
        else
            assert_true(got.error <= 1.3 * plain.error + 1e-12 * (double)w[0]);
    }
}

/* Round to nearest ignores importance. */
static void test_rtn(void **state)
{
    float x[64], w[64];
    struct quant_scheme scheme = random_scheme(QUANT_RTN);
    struct found a, b;
    (void)state;
    random_fill(x, LENGTH(x), KIND_NORMAL);
    random_weights(w, LENGTH(x));
    a = find(scheme, x, w, w, LENGTH(x));
    b = find(scheme, x, w, NULL, LENGTH(x));
    assert_true(a.scale == b.scale && a.zero == b.zero);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_brute_force), cmocka_unit_test(test_long),
        cmocka_unit_test(test_layouts),     cmocka_unit_test(test_no_weights),
        cmocka_unit_test(test_rtn),
    };
    return cmocka_run_group_tests(tests, random_setup, NULL);
}
