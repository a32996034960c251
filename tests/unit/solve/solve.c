/* Tests of solving: against GPTQ as its paper writes it, with the inverse; against every
 * code there is, where inputs are few; errors, biases and targets against plain sums. */
#include "solve/solve.h"
#include "solve/triangle.h"
#include "support.h"

#include <math.h>
#include <string.h>

enum { MOST = 24, ROWS = 400 };

static struct algebra *algebra;

static int open_algebra(void **state)
{
    struct error err = {0};
    (void)state;
    random_begin();
    algebra = algebra_open(&err);
    if (!algebra)
        print_message("%s\n", err.message);
    return 0;
}

static int close_algebra(void **state)
{
    (void)state;
    algebra_close(algebra);
    return 0;
}

#define NEEDS_ALGEBRA() \
    if (!algebra)       \
    skip()

static double normal(void)
{
    double sum = 0;
    for (int i = 0; i < 12; i++)
        sum += (double)random_float();
    return sum / 2;
}

/* ---- inputs ------------------------------------------------------------ */

struct inputs {
    size_t n, rows;
    double *x, *t; /* [rows][n]: what a layer gets, and what it got before */
    double *covariance, *cross, *mean, *target_mean, *sums_cross;
    struct moments moments;
};

/* Correlated, of different sizes, with means; input `dead` never changes. */
static struct inputs *make_inputs(size_t n, size_t rows, size_t dead)
{
    struct inputs *in = hold(sizeof *in);
    double mix[MOST][MOST], base[MOST];
    *in = (struct inputs){.n = n, .rows = rows};
    in->x = hold(rows * n * sizeof *in->x);
    in->t = hold(rows * n * sizeof *in->t);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            mix[i][j] = normal() * exp(normal());
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = 0; j < n; j++)
            base[j] = normal() + 0.7;
        for (size_t i = 0; i < n; i++) {
            double value = 0;
            for (size_t j = 0; j < n; j++)
                value += mix[i][j] * base[j];
            in->t[r * n + i] = i == dead ? 0.5 : value;
            in->x[r * n + i] = i == dead ? 0.5 : value + 0.3 * normal() + 0.1;
        }
    }
    return in;
}

/* The sums, as calibrate makes them. */
static void set_sums(struct inputs *in)
{
    const size_t n = in->n;
    double *second = hold(triangle_size(n) * sizeof *second);
    double *first = hold(n * sizeof *first), *target = hold(n * sizeof *target);
    in->sums_cross = hold(n * n * sizeof *in->sums_cross);
    for (size_t r = 0; r < in->rows; r++)
        for (size_t i = 0; i < n; i++) {
            const double *x = in->x + r * n, *t = in->t + r * n;
            first[i] += x[i];
            target[i] += t[i];
            for (size_t j = 0; j < n; j++)
                in->sums_cross[i * n + j] += t[i] * x[j];
            for (size_t j = i; j < n; j++)
                second[triangle_row(n, i) + j] += x[i] * x[j];
        }
    in->moments = (struct moments){.inputs = n,
                                   .rows = (double)in->rows,
                                   .second = second,
                                   .first = first,
                                   .target = target};
}

/* What the rows themselves say, and that the moments say the same, but for float32. */
static void set_moments(struct inputs *in)
{
    const size_t n = in->n;
    const double rows = (double)in->rows;
    set_sums(in);
    in->covariance = hold(n * n * sizeof *in->covariance);
    in->cross = hold(n * n * sizeof *in->cross);
    in->mean = hold(n * sizeof *in->mean);
    in->target_mean = hold(n * sizeof *in->target_mean);
    in->moments.cross = in->sums_cross;
    for (size_t i = 0; i < n; i++) {
        double x = in->moments.first[i] / rows, t = in->moments.target[i] / rows;
        in->mean[i] = moments_mean(&in->moments, i);
        in->target_mean[i] = moments_target(&in->moments, i);
        moments_covariance(&in->moments, i, in->covariance + i * n + i);
        moments_cross(&in->moments, i, in->cross + i * n);
        assert_true(fabs(in->mean[i] - x) <= 1e-7 * fabs(x));
        assert_true(fabs(in->target_mean[i] - t) <= 1e-7 * fabs(t));
        assert_true(moments_variance(&in->moments, i) == in->covariance[i * n + i]);
        for (size_t j = 0; j < n; j++) {
            double cross = 0, covariance = 0, size = 0;
            for (size_t r = 0; r < in->rows; r++) {
                const double *a = in->x + r * n, *b = in->t + r * n;
                double y = in->moments.first[j] / rows;
                cross += (b[i] - t) * (a[j] - y) / rows;
                covariance += (a[i] - x) * (a[j] - y) / rows;
                size += (fabs(a[i] * a[j]) + fabs(b[i] * a[j])) / rows;
            }
            assert_true(fabs(in->cross[i * n + j] - cross) <= 1e-6 * size);
            if (j >= i)
                assert_true(fabs(in->covariance[i * n + j] - covariance) <= 1e-6 * size);
        }
    }
    in->moments.cross = NULL;
}

/* Each element has a place of its own, and rows are contiguous. */
static void test_triangle(void **state)
{
    static const size_t sizes[] = {1, 2, 63, 64, 65, 128, 200, 321};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t n = sizes[s], size = triangle_size(n);
        char *seen = hold(size);
        for (size_t i = 0; i < n; i++)
            for (size_t j = i; j < n; j++) {
                size_t at = triangle_row(n, i) + j;
                assert_true(at < size && !seen[at]++);
            }
        assert_true(size <= n * (n + TRIANGLE_PANEL) / 2 || n < TRIANGLE_PANEL);
    }
}

/* The sum of products, however many panels there are. */
static void test_gram(void **state)
{
    static const size_t sizes[] = {1, 24, 64, 65, 150};
    enum { GRAM_ROWS = 7 };
    (void)state;
    NEEDS_ALGEBRA();
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t n = sizes[s];
        double *x = hold(GRAM_ROWS * n * sizeof *x);
        double *h = hold(triangle_size(n) * sizeof *h);
        for (size_t i = 0; i < GRAM_ROWS * n; i++)
            x[i] = normal();
        algebra_gram(algebra, GRAM_ROWS, n, x, h);
        algebra_gram(algebra, GRAM_ROWS, n, x, h);
        for (size_t i = 0; i < n; i++)
            for (size_t j = i; j < n; j++) {
                double sum = 0;
                for (size_t r = 0; r < GRAM_ROWS; r++)
                    sum += 2 * x[r * n + i] * x[r * n + j];
                assert_true(fabs(h[triangle_row(n, i) + j] - sum) < 1e-12);
            }
    }
}

/* ---- weights ----------------------------------------------------------- */

/* [groups][outputs][inputs], as it lies in memory, or with inputs outermost. */
static struct solve_weight make_solve_weight(size_t groups, size_t outputs, size_t inputs,
                                             size_t block, bool turned)
{
    size_t *offsets = hold(inputs * sizeof *offsets);
    float *values = hold(groups * outputs * inputs * sizeof *values);
    struct solve_weight w = {.scheme = {.type = QUANT_INT4,
                                        .symmetric = true,
                                        .method = QUANT_SEARCH,
                                        .scale_type = REAL_FLOAT32,
                                        .mirrored = true},
                             .source = {values, REAL_FLOAT32},
                             .groups = groups,
                             .outputs = outputs,
                             .inputs = inputs,
                             .group_stride = outputs * inputs,
                             .output_stride = turned ? 1 : inputs,
                             .offsets = offsets};
    for (size_t k = 0; k < inputs; k++)
        offsets[k] = turned ? k * outputs : k;
    for (size_t i = 0; i < groups * outputs * inputs; i++)
        values[i] = (float)normal();
    if (turned)
        w.shape = block ? (struct quant_shape){groups, inputs, outputs, block}
                        : (struct quant_shape){groups, outputs, 1, 0};
    else
        w.shape = block ? (struct quant_shape){groups * outputs, inputs, 1, block}
                        : (struct quant_shape){1, groups * outputs, inputs, 0};
    if (turned && !block)
        w.shape = (struct quant_shape){inputs, outputs, 1, 0};
    return w;
}

static size_t scale_at(const struct solve_weight *w, size_t element)
{
    const struct quant_shape *s = &w->shape;
    size_t blocks = s->block ? (s->dim + s->block - 1) / s->block : 0;
    size_t d = element / s->inner % s->dim, o = element / s->inner / s->dim;
    return s->block ? (o * blocks + d / s->block) * s->inner + element % s->inner : d;
}

static double decoded(const struct solve_weight *w, const struct solution *s, size_t at)
{
    size_t scale = scale_at(w, at);
    return ((double)(int8_t)s->codes[at] - (double)(int8_t)s->zeros[scale]) *
           (double)s->scales[scale];
}

static size_t at_element(const struct solve_weight *w, size_t g, size_t n, size_t k)
{
    return g * w->group_stride + n * w->output_stride + w->offsets[k];
}

static struct solution solve(const struct solve_weight *w, const struct inputs *in,
                             bool centered, struct factor *factor)
{
    const struct solver solver = {algebra, quant_kernels(NULL), 2};
    struct error err = {0};
    struct solution s;
    assert_true(solve_suits(w));
    assert_true(factor_make(algebra, &in->moments, centered, factor, &err));
    assert_true(solution_make(w, centered, &s));
    for (size_t g = 0; g < w->groups; g++)
        assert_true(solve_group(&solver, w, g, factor, &s, &err));
    assert_fine(&err);
    assert_int_equal(s.fit, QUANT_FIT_OK);
    return s;
}

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

/* H as factor.h says, by input. */
static void damped(const struct inputs *in, const struct factor *f, double h[MOST][MOST])
{
    for (size_t i = 0; i < in->n; i++)
        for (size_t j = 0; j < in->n; j++) {
            double value =
                i < j ? in->covariance[i * in->n + j] : in->covariance[j * in->n + i];
            if (!f->centered)
                value += in->mean[i] * in->mean[j];
            h[i][j] = i == j ? f->importance[i] : (1 - f->shrink) * value;
        }
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

/* ---- errors and biases ------------------------------------------------- */

/* Over the rows themselves: E |W x - Q x - bias|^2 and E |W x|^2. */
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
        double noise = 0, signal = 0;
        set_moments(in);
        struct solution s = solve(&w, in, centered, &f);
        for (size_t m = 0; m < outputs; m++)
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
    assert_true(solve_suits(&w));
    w.shape = (struct quant_shape){1, 1, 24, 0};
    assert_false(solve_suits(&w));
    w.shape = (struct quant_shape){4, 6, 1, 4};
    assert_true(solve_suits(&w));
    w.shape = (struct quant_shape){1, 4, 6, 3};
    assert_false(solve_suits(&w));
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

/* ---- targets ----------------------------------------------------------- */

/* W' (H + damping) = W (E[t xT] - H) + W (H + damping), by plain sums. */
static void test_target(void **state)
{
    (void)state;
    NEEDS_ALGEBRA();
    for (int round = 0; round < 10; round++) {
        const size_t n = 1 + random_below(MOST), outputs = 1 + random_below(5);
        const bool centered = round % 2;
        struct inputs *in = make_inputs(n, ROWS, SIZE_MAX);
        struct error err = {0};
        struct factor f;
        double h[MOST][MOST];
        double w[MOST * 5], before[MOST * 5], scratch[MOST * 5];
        set_moments(in);
        in->moments.cross = in->sums_cross;
        assert_true(factor_make(algebra, &in->moments, centered, &f, &err));
        for (size_t i = 0; i < n * outputs; i++)
            w[i] = before[i] = normal();
        solve_target(algebra, &f, outputs, w, scratch);
        damped(in, &f, h);
        for (size_t m = 0; m < outputs; m++)
            for (size_t j = 0; j < n; j++) {
                double left = 0, right = 0, size = 0;
                for (size_t i = 0; i < n; i++) {
                    size_t a = f.order[i], b = f.order[j];
                    double cov = in->covariance[a < b ? a * n + b : b * n + a];
                    double change = in->cross[a * n + b] - cov;
                    if (!centered)
                        change += (in->target_mean[a] - in->mean[a]) * in->mean[b];
                    left += w[i * outputs + m] * h[a][b];
                    right += before[i * outputs + m] * (change + h[a][b]);
                    size += fabs(w[i * outputs + m] * h[a][b]);
                }
                assert_true(fabs(left - right) < 1e-9 * size + 1e-12);
            }
        factor_free(&f);
    }
}

/* Codes for the target keep the output nearer to what it was, bias included. */
static void test_target_pays(void **state)
{
    (void)state;
    NEEDS_ALGEBRA();
    struct inputs *in = make_inputs(MOST, ROWS, SIZE_MAX);
    struct solve_weight w = make_solve_weight(1, 8, MOST, 0, false);
    double noise[2] = {0};
    w.scheme = (struct quant_scheme){QUANT_INT8, true,  QUANT_SEARCH, REAL_FLOAT32,
                                     false,      false, NULL};
    set_moments(in);
    for (int with = 0; with < 2; with++) {
        struct factor f;
        in->moments.cross = with ? in->sums_cross : NULL;
        struct solution s = solve(&w, in, true, &f);
        for (size_t m = 0; m < 8; m++)
            for (size_t r = 0; r < in->rows; r++) {
                double error = -(double)s.bias[m];
                for (size_t k = 0; k < MOST; k++) {
                    size_t at = at_element(&w, 0, m, k);
                    error +=
                        (double)((const float *)w.source.data)[at] * in->t[r * MOST + k] -
                        decoded(&w, &s, at) * in->x[r * MOST + k];
                }
                noise[with] += error * error;
            }
        factor_free(&f);
        solution_free(&s);
    }
    assert_true(noise[1] < noise[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_triangle),    TEST(test_gram),       TEST(test_paper),
        TEST(test_brute_force), TEST(test_errors),     TEST(test_groups),
        TEST(test_suits),       TEST(test_not_finite), TEST(test_target),
        TEST(test_target_pays),
    };
    return cmocka_run_group_tests(tests, open_algebra, close_algebra);
}
