/* Elements in order, each with its importance. Written to be simple, not fast. */
#include "quant/elements.h"
#include "quant/gather.h"
#include "quant/kernels/kernels.h"

enum { ELEMENT_BATCH = 256 }; /* elements gathered at once */

/* The importance of the element with this index. */
static float importance_at(const struct fit *fit, size_t element)
{
    const struct quant_importance *w = fit->importance;
    const struct quant_shape *s = fit->shape;
    size_t i = element % s->inner, d = element / s->inner % s->dim;
    size_t o = element / s->inner / s->dim;
    return w->values[o * w->outer + d * w->dim + i * w->inner];
}

void elements_gather(const struct fit *fit, const struct matrix *matrix, size_t group,
                     size_t begin, size_t end, struct element *out)
{
    float tile[ELEMENT_BATCH * TILE_GROUPS];
    for (size_t at = begin, n; at < end; at += n, out += n) {
        n = size_min(ELEMENT_BATCH, end - at);
        gather(fit, matrix, group, 1, at, at + n, tile, sizeof tile / sizeof *tile);
        for (size_t i = 0; i < n; i++) {
            size_t row = (at + i) / matrix->run;
            size_t column = group * matrix->run + (at + i) % matrix->run;
            out[i] = (struct element){tile[i * TILE_GROUPS], 1};
            if (column >=
                matrix->columns) /* beyond the end of a row, whose last run is short */
                out[i].weight = 0;
            else if (fit->importance)
                out[i].weight =
                    importance_at(fit, matrix->element + row * matrix->columns + column);
        }
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
