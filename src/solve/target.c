/* The target of a layer whose inputs have changed from t to x, since layers before it
 * are quantized: the W' with the least E |W t - W' x|^2, drawn towards W by the damping:
 *
 *     W' = W + W (E[t xT] - H) (H + damping)^-1 */
#include "solve/solve.h"

#include <string.h>

/* E[t xT] - H, both centered or both not. */
static double change(const struct factor *f, size_t i, size_t j)
{
    const struct moments *m = f->moments;
    const size_t n = f->inputs;
    double value = m->cross[i * n + j] -
                   (i < j ? m->covariance[i * n + j] : m->covariance[j * n + i]);
    return f->centered ? value : value + (m->target_mean[i] - m->mean[i]) * m->mean[j];
}

/* Rows [first, first + count) of that, in the factor's order. */
static void change_rows(const struct factor *f, size_t first, size_t count, double *panel)
{
    for (size_t i = first; i < first + count; i++)
        for (size_t j = 0; j < f->inputs; j++)
            *panel++ = change(f, f->order[i], f->order[j]);
}

void solve_target(const struct algebra *algebra, const struct factor *f, size_t outputs,
                  double *w, double *scratch, double *panel)
{
    const size_t n = f->inputs;
    memset(scratch, 0, n * outputs * sizeof *scratch);
    for (size_t first = 0, count; first < n; first += count) {
        count = n - first < outputs ? n - first : outputs;
        change_rows(f, first, count, panel);
        algebra_multiply(algebra, count, n, outputs, panel, n, w + first * outputs,
                         scratch);
    }
    algebra_solve(algebra, n, outputs, f->lower, scratch);
    for (size_t i = 0; i < n * outputs; i++)
        w[i] += scratch[i];
}
