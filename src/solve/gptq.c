/* GPTQ, as nearest planes: with D = W - Q and H = L L^T the error is the sum of
 *
 *     (D[k] L[k][k] + sum of D[i] L[i][k] over i > k)^2
 *
 * over k. From the last input to the first each Q[k] makes its own square as small as
 * the grid allows, with all D[i], i > k, known. Halving the inputs leaves nearly all of
 * the work to matrix products. */
#include "solve/gptq.h"

enum { LEAF = 8 }; /* inputs that are worked off one by one */

/* To the nearest integer, ties to even; the clamped value is far below 2^51. */
static inline double nearest(double value, double least, double most)
{
    const double rounder = 0x1.8p52;
    value = value > least ? value : least;
    value = value < most ? value : most;
    return (value + rounder) - rounder;
}

/* Input k, and what its errors ask of inputs [first, k). */
static void one_input(const struct factor *f, const struct gptq_tile *t, size_t first,
                      size_t k)
{
    const size_t n = t->outputs, at = k * n, block = t->block[f->order[k]] * n;
    const double *lower = f->lower + k * f->inputs, own = lower[k], inverse = 1 / own;
    double *restrict left = t->weights + at;
    int16_t *restrict codes = t->codes + at;
    const double *restrict pull = t->pull + at, *restrict scale = t->scales + block;
    for (size_t m = 0; m < n; m++) {
        double wanted = left[m] + pull[m] * inverse;
        double code = nearest(wanted / scale[m], t->least[block + m], t->most[block + m]);
        double miss = (wanted - code * scale[m]) * own;
        codes[m] = (int16_t)code;
        left[m] -= code * scale[m];
        t->noise[m] += miss * miss;
    }
    for (size_t j = first; j < k; j++) {
        double *restrict other = t->pull + j * n;
        const double factor = lower[j];
        for (size_t m = 0; m < n; m++)
            other[m] += factor * left[m];
    }
}

static void inputs(const struct algebra *algebra, const struct factor *f,
                   const struct gptq_tile *t, size_t first, size_t end)
{
    if (end - first <= LEAF) {
        for (size_t k = end; k-- > first;)
            one_input(f, t, first, k);
        return;
    }
    size_t middle = first + (end - first) / 2;
    inputs(algebra, f, t, middle, end);
    algebra_multiply(algebra, end - middle, middle - first, t->outputs,
                     f->lower + middle * f->inputs + first, f->inputs,
                     t->weights + middle * t->outputs, t->pull + first * t->outputs);
    inputs(algebra, f, t, first, middle);
}

void gptq_codes(const struct algebra *algebra, const struct factor *factor,
                const struct gptq_tile *tile)
{
    inputs(algebra, factor, tile, 0, factor->inputs);
}

void gptq_nearest(const struct factor *f, const struct gptq_tile *t)
{
    for (size_t k = 0; k < f->inputs; k++) {
        const size_t at = k * t->outputs, block = t->block[f->order[k]] * t->outputs;
        for (size_t m = 0; m < t->outputs; m++) {
            double scale = t->scales[block + m], *left = &t->weights[at + m];
            double code = nearest(*left / scale, t->least[block + m], t->most[block + m]);
            t->codes[at + m] = (int16_t)code;
            *left -= code * scale;
        }
    }
}
