/* Elements in order, each with its importance. Written to be simple, not fast. */
#include "quant/elements.h"
#include "quant/gather.h"
#include "quant/kernels/kernels.h"

enum { ELEMENT_BATCH = 256 }; /* elements gathered at once */

/* Sets the importance of n elements from `element` on. They lie in one run, along the
 * last axis that a group has. */
static void set_weights(const struct fit *fit, size_t element, size_t n,
                        struct element *out)
{
    const struct quant_importance *w = fit->importance;
    const struct quant_shape *s = fit->shape;
    const size_t i = element % s->inner, d = element / s->inner % s->dim;
    const size_t o = element / s->inner / s->dim;
    const size_t step = s->inner > 1 ? w->inner : w->dim;
    const float *values = w->values + o * w->outer + d * w->dim + i * w->inner;
    for (size_t k = 0; k < n; k++)
        out[k].weight = values[k * step];
}

/* Elements of one run. Those beyond the end of a row, whose last run is short, count
 * nothing. */
static void gather_run(const struct fit *fit, const struct matrix *matrix, size_t row,
                       size_t column, size_t n, struct element *out)
{
    float buffer[ELEMENT_BATCH];
    const size_t element = matrix->element + row * matrix->columns + column;
    const size_t there =
        column < matrix->columns ? size_min(n, matrix->columns - column) : 0;
    const float_u *x = there > 0 ? gather_floats(fit, element, there, buffer) : NULL;
    for (size_t i = 0; i < there; i++)
        out[i] = (struct element){x[i], 1};
    for (size_t i = there; i < n; i++)
        out[i] = (struct element){0, 0};
    if (fit->importance && there > 0)
        set_weights(fit, element, there, out);
}

void elements_gather(const struct fit *fit, const struct matrix *matrix, size_t group,
                     size_t begin, size_t end, struct element *out)
{
    for (size_t at = begin, n; at < end; at += n, out += n) {
        const size_t row = at / matrix->run, skip = at % matrix->run;
        n = size_min(size_min(ELEMENT_BATCH, end - at), matrix->run - skip);
        gather_run(fit, matrix, row, group * matrix->run + skip, n, out);
    }
}

double elements_error(const struct element *e, size_t n, float scale, float lo, float hi)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        float c = e[i].x / scale;
        c = c > lo ? c : lo;
        c = c < hi ? c : hi;
        double d = (double)e[i].x - (double)((c + ROUNDER) - ROUNDER) * (double)scale;
        sum += (double)e[i].weight * d * d;
    }
    return sum;
}
