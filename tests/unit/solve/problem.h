/* What tests of solving share: inputs with known moments, weights, and the linear
 * algebra, which may be missing. */
#ifndef NIBBLE_TESTS_SOLVE_PROBLEM_H
#define NIBBLE_TESTS_SOLVE_PROBLEM_H

#include "solve/solve.h"
#include "solve/triangle.h"
#include "support.h"

#include <math.h>
#include <string.h>

enum { MOST = 24, ROWS = 400 };

static struct algebra *algebra;

static inline int open_algebra(void **state)
{
    struct error err = {0};
    (void)state;
    random_begin();
    algebra = algebra_open(&err);
    if (!algebra)
        print_message("%s\n", err.message);
    return 0;
}

static inline int close_algebra(void **state)
{
    (void)state;
    algebra_close(algebra);
    return 0;
}

#define NEEDS_ALGEBRA() \
    if (!algebra)       \
    skip()

static inline double normal(void)
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
static inline struct inputs *make_inputs(size_t n, size_t rows, size_t dead)
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
static inline void set_sums(struct inputs *in)
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
static inline void set_moments(struct inputs *in)
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

/* ---- weights ----------------------------------------------------------- */

/* [groups][outputs][inputs], as it lies in memory, or with inputs outermost. */
static inline struct solve_weight make_solve_weight(size_t groups, size_t outputs,
                                                    size_t inputs, size_t block,
                                                    bool turned)
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

static inline size_t scale_at(const struct solve_weight *w, size_t element)
{
    const struct quant_shape *s = &w->shape;
    size_t blocks = s->block ? (s->dim + s->block - 1) / s->block : 0;
    size_t d = element / s->inner % s->dim, o = element / s->inner / s->dim;
    return s->block ? (o * blocks + d / s->block) * s->inner + element % s->inner : d;
}

static inline double decoded(const struct solve_weight *w, const struct solution *s,
                             size_t at)
{
    size_t scale = scale_at(w, at);
    return ((double)(int8_t)s->codes[at] - (double)(int8_t)s->zeros[scale]) *
           (double)s->scales[scale];
}

static inline size_t at_element(const struct solve_weight *w, size_t g, size_t n,
                                size_t k)
{
    return g * w->group_stride + n * w->output_stride + w->offsets[k];
}

static inline bool suits(const struct solve_weight *w)
{
    bool result;
    assert_true(solve_suits(w, &result));
    return result;
}

static inline struct solution solve(const struct solve_weight *w, const struct inputs *in,
                                    bool centered, struct factor *factor)
{
    const struct solver solver = {algebra, quant_kernels(NULL), 2};
    struct error err = {0};
    struct solution s;
    assert_true(suits(w));
    assert_true(factor_make(algebra, &in->moments, centered, factor, &err));
    assert_true(solution_make(w, centered, &s));
    for (size_t g = 0; g < w->groups; g++)
        assert_true(solve_group(&solver, w, g, factor, &s, &err));
    assert_fine(&err);
    assert_int_equal(s.fit, QUANT_FIT_OK);
    return s;
}

/* H as factor.h says, by input. */
static inline void damped(const struct inputs *in, const struct factor *f,
                          double h[MOST][MOST])
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

#endif
