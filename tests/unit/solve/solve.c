/* Tests of solving: against GPTQ as its paper writes it, with the inverse; against every
 * code there is, where inputs are few; errors and biases against plain sums. */
#include "solve/problem.h"

/* ---- the paper's GPTQ -------------------------------------------------- */

static void invert(size_t n, double a[MOST][MOST])
{
    double b[MOST][MOST] = {{0}};
    for (size_t i = 0; i < n; i++)
        b[i][i] = 1;
    for (size_t i = 0; i < n; i++) {
        double pivot = a[i][i];
        for (size_t j = 0; j < n; j++) {
            a[i][j] /= pivot;
            b[i][j] /= pivot;
        }
        for (size_t r = 0; r < n; r++) {
            double factor = a[r][i];
            for (size_t j = 0; r != i && j < n; j++) {
                a[r][j] -= factor * a[i][j];
                b[r][j] -= factor * b[i][j];
            }
        }
    }
    memcpy(a, b, sizeof b);
}

/* Values of one output, with the solution's own scales; the most important inputs come
 * first, and each error is spread over those that remain, by the inverse of their H. */
static void by_paper(const struct inputs *in, const struct factor *f, const double *w,
                     const double *scale, const double *zero, double *out)
{
    const size_t n = in->n;
    double left[MOST], h[MOST][MOST], rest[MOST][MOST];
    damped(in, f, h);
    memcpy(left, w, n * sizeof *left);
    for (size_t step = 0; step < n; step++) {
        const size_t count = n - step;
        const uint32_t *free_ones = f->order; /* the first `count` of them */
        size_t now = free_ones[count - 1];
        double code = fmin(7, fmax(-8, nearbyint(left[now] / scale[now]) + zero[now]));
        out[now] = (code - zero[now]) * scale[now];
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < count; j++)
                rest[i][j] = h[free_ones[i]][free_ones[j]];
        invert(count, rest);
        double error = (left[now] - out[now]) / rest[count - 1][count - 1];
        for (size_t i = 0; i < count; i++)
            left[free_ones[i]] -= error * rest[i][count - 1];
    }
}

/* Every output is GPTQ's by the paper, or has the codes that are nearest.
 * Returns how many are GPTQ's. */
static size_t check_paper(const struct solve_weight *w, const struct inputs *in,
                          const struct factor *f, const struct solution *s)
{
    size_t same = 0;
    for (size_t n = 0; n < w->outputs; n++) {
        double values[MOST], paper[MOST], scale[MOST], zero[MOST];
        bool equal = true, nearest = true;
        for (size_t k = 0; k < in->n; k++) {
            size_t at = at_element(w, 0, n, k);
            values[k] = (double)((const float *)w->source.data)[at];
            scale[k] = (double)s->scales[scale_at(w, at)];
            zero[k] = (double)(int8_t)s->zeros[scale_at(w, at)];
        }
        by_paper(in, f, values, scale, zero, paper);
        for (size_t k = 0; k < in->n; k++) {
            double code = decoded(w, s, at_element(w, 0, n, k)) / scale[k];
            double plain = nearbyint(values[k] / scale[k]);
            equal &= fabs(code - paper[k] / scale[k]) < 1e-9;
            nearest &= fabs(code - fmin(7 - zero[k], fmax(-8 - zero[k], plain))) < 1e-9;
        }
        same += equal;
        assert_true(equal || nearest);
    }
    return same;
}

static void test_paper(void **state)
{
    size_t same = 0, all = 0;
    (void)state;
    NEEDS_ALGEBRA();
    for (int round = 0; round < 40; round++) {
        size_t n = 1 + random_below(MOST), outputs = 1 + random_below(9);
        size_t rows = round % 4 == 3 ? n / 2 + 2 : round % 4 == 2 ? 2 * n : ROWS;
        struct inputs *in = make_inputs(n, rows, round % 3 ? SIZE_MAX : n / 2);
        struct solve_weight w =
            make_solve_weight(1, outputs, n, round % 2 ? 7 : 0, round / 2 % 2);
        struct factor f;
        set_moments(in);
        struct solution s = solve(&w, in, round % 5 != 0, &f);
        assert_non_null(f.lower);
        same += check_paper(&w, in, &f, &s);
        all += outputs;
        factor_free(&f);
        solution_free(&s);
    }
    assert_true(same * 2 > all);
}

/* ---- every code -------------------------------------------------------- */

static double noise_of(size_t n, double h[MOST][MOST], const double *w, const double *q)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            sum += (w[i] - q[i]) * h[i][j] * (w[j] - q[j]);
    return sum;
}

/* With two inputs: the noise is the least there is on the scales that were found, or
 * near it, and never above that of the nearest codes. */
static void test_brute_force(void **state)
{
    size_t best = 0, all = 0;
    (void)state;
    NEEDS_ALGEBRA();
    for (int round = 0; round < 100; round++) {
        struct inputs *in = make_inputs(2, ROWS, SIZE_MAX);
        struct solve_weight w = make_solve_weight(1, 1, 2, 1, false);
        struct factor f;
        double h[MOST][MOST], least = INFINITY, q[2], values[2], plain[2];
        set_moments(in);
        struct solution s = solve(&w, in, true, &f);
        damped(in, &f, h);
        for (size_t k = 0; k < 2; k++) {
            values[k] = (double)((const float *)w.source.data)[k];
            q[k] = decoded(&w, &s, k);
            plain[k] = (double)s.scales[k] * nearbyint(values[k] / (double)s.scales[k]);
        }
        for (int a = -8; a < 8; a++)
            for (int b = -8; b < 8; b++) {
                double other[2] = {(a - (int8_t)s.zeros[0]) * (double)s.scales[0],
                                   (b - (int8_t)s.zeros[1]) * (double)s.scales[1]};
                least = fmin(least, noise_of(2, h, values, other));
            }
        double found = noise_of(2, h, values, q);
        assert_true(found <= noise_of(2, h, values, plain) * (1 + 1e-9) + 1e-12);
        best += found <= least * (1 + 1e-9) + 1e-12;
        all++;
        factor_free(&f);
        solution_free(&s);
    }
    assert_true(best * 10 > all * 8);
}

/* ---- scales ------------------------------------------------------------ */

/* GPTQ of the paper on the grid of the weighted search, for one output. */
static double noise_by_paper(const struct solve_weight *w, const struct inputs *in,
                             const struct factor *f, bool symmetric, size_t output)
{
    double scale[MOST], zero[MOST], values[MOST], paper[MOST], h[MOST][MOST];
    float scales[MOST * MOST], importance[MOST];
    uint8_t zeros[MOST * MOST];
    struct quant_scheme scheme = w->scheme;
    const bool blocks = w->shape.block != 0;
    const struct quant_importance weights = {importance, 0, blocks, !blocks};
    double most = 0;
    scheme.symmetric = symmetric;
    for (size_t k = 0; k < in->n; k++)
        most = fmax(most, f->importance[k]);
    for (size_t k = 0; k < in->n; k++)
        importance[k] = (float)(f->importance[k] / most);
    const size_t groups = quant_groups(&w->shape);
    assert_int_equal(quant_fit_weighted(quant_kernels(NULL), &scheme, w->source, &weights,
                                        &w->shape, 0, groups, scales, zeros),
                     QUANT_FIT_OK);
    for (size_t k = 0; k < in->n; k++) {
        size_t at = at_element(w, 0, output, k);
        values[k] = (double)((const float *)w->source.data)[at];
        scale[k] = (double)scales[scale_at(w, at)];
        zero[k] = (double)(int8_t)zeros[scale_at(w, at)];
    }
    damped(in, f, h);
    by_paper(in, f, values, scale, zero, paper);
    return noise_of(in->n, h, values, paper);
}

/* Scales around that grid's are tried, too, and better ones are kept. */
static void test_scales(void **state)
{
    double found[2] = {0}, fitted[2] = {0}; /* with one scale, and in blocks */
    (void)state;
    NEEDS_ALGEBRA();
    for (int round = 0; round < 20; round++) {
        const size_t n = 12 + random_below(MOST - 12), outputs = 1 + random_below(9);
        struct inputs *in = make_inputs(n, ROWS, SIZE_MAX);
        struct solve_weight w =
            make_solve_weight(1, outputs, n, round % 2 ? 8 : 0, false);
        struct factor f;
        double h[MOST][MOST], values[MOST], q[MOST];
        set_moments(in);
        struct solution s = solve(&w, in, true, &f);
        damped(in, &f, h);
        for (size_t m = 0; m < outputs; m++) {
            for (size_t k = 0; k < n; k++) {
                size_t at = at_element(&w, 0, m, k);
                values[k] = (double)((const float *)w.source.data)[at];
                q[k] = decoded(&w, &s, at);
            }
            double least = fmin(noise_by_paper(&w, in, &f, true, m),
                                noise_by_paper(&w, in, &f, false, m));
            double noise = noise_of(n, h, values, q);
            assert_true(noise <= least * (1 + 1e-9));
            found[round % 2] += noise;
            fitted[round % 2] += least;
        }
        factor_free(&f);
        solution_free(&s);
    }
    assert_true(found[0] < 0.85 * fitted[0]);
    assert_true(found[1] < 0.95 * fitted[1]);
}

/* ---- errors and biases ------------------------------------------------- */

/* Over the rows themselves: E |W x - Q x - bias|^2 and E |W x|^2. Few rows say less than
 * the diagonal of H, in the proportion of the shrinking. */
static void test_errors(void **state)
{
    (void)state;
    NEEDS_ALGEBRA();
    for (int round = 0; round < 24; round++) {
        const size_t n = 2 + random_below(MOST - 2), outputs = 1 + random_below(300);
        const bool centered = round % 2;
        struct inputs *in = make_inputs(n, round % 3 ? ROWS : n, n / 3);
        struct solve_weight w =
            make_solve_weight(1, outputs, n, round % 4 ? 0 : 5, round / 4 % 2);
        struct factor f;
        double noise = 0, signal = 0, alone = 0;
        set_moments(in);
        struct solution s = solve(&w, in, centered, &f);
        for (size_t m = 0; m < outputs; m++) {
            for (size_t k = 0; k < n; k++) {
                size_t at = at_element(&w, 0, m, k);
                double left = (double)((const float *)w.source.data)[at];
                left -= decoded(&w, &s, at);
                alone += left * left * f.raw[k];
            }
            for (size_t r = 0; r < in->rows; r++) {
                double y = 0, error = 0;
                for (size_t k = 0; k < n; k++) {
                    size_t at = at_element(&w, 0, m, k);
                    double value = (double)((const float *)w.source.data)[at];
                    y += value * in->x[r * n + k];
                    error += (value - decoded(&w, &s, at)) * in->x[r * n + k];
                }
                error -= s.bias ? (double)s.bias[m] : 0;
                noise += error * error / (double)in->rows;
                signal += y * y / (double)in->rows;
            }
        }
        noise = (1 - f.shrink) * noise + f.shrink * alone;
        assert_true(fabs(s.noise - noise) < 1e-5 * noise + 1e-9 * signal);
        assert_true(fabs(s.signal - signal) < 1e-6 * signal);
        factor_free(&f);
        solution_free(&s);
    }
}

/* Groups that lie one behind the other are as if each were a weight of its own. */
static void test_groups(void **state)
{
    (void)state;
    NEEDS_ALGEBRA();
    struct inputs *in = make_inputs(9, ROWS, SIZE_MAX);
    struct solve_weight w = make_solve_weight(3, 2, 9, 0, false), one = w;
    struct factor f;
    set_moments(in);
    struct solution all = solve(&w, in, true, &f);
    factor_free(&f);
    one.groups = 1;
    one.shape.dim = 2;
    for (size_t g = 0; g < 3; g++) {
        one.source.data = (const float *)w.source.data + g * 18;
        struct solution s = solve(&one, in, true, &f);
        assert_memory_equal(s.codes, all.codes + g * 18, 18);
        assert_memory_equal(s.scales, all.scales + g * 2, 2 * sizeof *s.scales);
        assert_memory_equal(s.bias, all.bias + g * 2, 2 * sizeof *s.bias);
        factor_free(&f);
        solution_free(&s);
    }
    solution_free(&all);
}

/* Scales that outputs share can't be solved. */
static void test_suits(void **state)
{
    struct solve_weight w = make_solve_weight(1, 4, 6, 0, false);
    (void)state;
    assert_true(suits(&w));
    w.shape = (struct quant_shape){1, 1, 24, 0};
    assert_false(suits(&w));
    w.shape = (struct quant_shape){4, 6, 1, 4};
    assert_true(suits(&w));
    w.shape = (struct quant_shape){1, 4, 6, 3};
    assert_false(suits(&w));
}

static void test_not_finite(void **state)
{
    const struct solver solver = {algebra, quant_kernels(NULL), 2};
    struct error err = {0};
    struct factor f;
    struct solution s;
    (void)state;
    NEEDS_ALGEBRA();
    struct inputs *in = make_inputs(5, ROWS, SIZE_MAX);
    struct solve_weight w = make_solve_weight(1, 3, 5, 0, false);
    set_moments(in);
    ((float *)(uintptr_t)w.source.data)[7] = NAN;
    assert_true(factor_make(algebra, &in->moments, true, &f, &err));
    assert_true(solution_make(&w, true, &s));
    assert_true(solve_group(&solver, &w, 0, &f, &s, &err));
    assert_int_equal(s.fit, QUANT_FIT_NOT_FINITE);
    solution_free(&s);
    factor_free(&f);
    ((double *)(uintptr_t)in->moments.second)[0] = NAN;
    assert_false(factor_make(algebra, &in->moments, true, &f, &err));
    assert_failed(&err, STATUS_MALFORMED, "NaN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_paper),      TEST(test_brute_force), TEST(test_scales),
        TEST(test_errors),     TEST(test_groups),      TEST(test_suits),
        TEST(test_not_finite),
    };
    return cmocka_run_group_tests(tests, open_algebra, close_algebra);
}
