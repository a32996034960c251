/* The target of a layer whose inputs have changed from t to x, since layers before it
 * are quantized: the W' with the least E |W t - W' x|^2, drawn towards W by the damping:
 *
 *     W' = W + W (E[t xT] - H) (H + damping)^-1 */
#include "solve/solve.h"

#include <string.h>

void solve_target(const struct algebra *algebra, const struct factor *f, size_t outputs,
                  double *w, double *scratch)
{
    const size_t n = f->inputs;
    memset(scratch, 0, n * outputs * sizeof *scratch);
    algebra_multiply(algebra, n, n, outputs, f->change, n, w, scratch);
    algebra_solve(algebra, n, outputs, f->lower, scratch);
    for (size_t i = 0; i < n * outputs; i++)
        w[i] += scratch[i];
}
