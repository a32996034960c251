/* Tests of the targets of --sequential, against plain sums. */
#include "solve/problem.h"

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
        TEST(test_target),
        TEST(test_target_pays),
    };
    return cmocka_run_group_tests(tests, open_algebra, close_algebra);
}
