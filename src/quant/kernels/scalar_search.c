/* The kernels of the search in plain C. Like scalar.c, they define the results, and are
 * written to be simple, not fast. */
#include "quant/kernels/kernels.h"

#include <math.h>

KERNEL_INTERLEAVE(scalar_interleave)
{
    for (size_t i = 0; i < n; i++)
        for (size_t g = 0; g < TILE_GROUPS; g++)
            tile[i * TILE_GROUPS + g] = rows[g][i];
}

static inline float clamp(float y, float lo, float hi)
{
    float c = y > lo ? y : lo;
    return c < hi ? c : hi;
}

static inline float round_even(float y)
{
    return (y + ROUNDER) - ROUNDER;
}

KERNEL_SEARCH_BINS(scalar_search_bins)
{
    for (size_t i = 0; i < n; i++)
        bins[i] = (uint16_t)(int)clamp(x[i] * inverse[i] + offset[i], 0, last);
}

KERNEL_SEARCH_INTEGERS(scalar_search_integers)
{
    for (size_t p = 0; p < pairs; p++)
        for (size_t g = 0; g < TILE_GROUPS; g++)
            for (size_t i = 0; i < 2; i++) {
                float y = tile[(2 * p + i) * TILE_GROUPS + g] * inverse[g];
                *out++ = (int16_t)round_even(clamp(y, -limit, limit));
            }
}

/* Adds up one trial for one group. Right shifts are arithmetic, as on every CPU. */
static inline void trial_add(const int16_t *integers, size_t pairs, int r, int shift,
                             int lo, int hi, float *sum_xl, float *sum_ll)
{
    const int half = 1 << shift >> 1;
    int xl = 0, ll = 0;
    for (size_t p = 0; p < pairs; p++)
        for (size_t i = 0; i < 2; i++) {
            int x = integers[p * 2 * TILE_GROUPS + i];
            int l = (((x * r + (1 << 14)) >> 15) + half) >> shift;
            l = l > lo ? l : lo;
            l = l < hi ? l : hi;
            xl += x * l;
            ll += l * l;
        }
    *sum_xl += (float)xl;
    *sum_ll += (float)ll;
}

KERNEL_SEARCH_TRIALS(scalar_search_trials)
{
    const int shift = search_shift(steps);
    const float one = (float)(1 << 15 << shift);
    for (size_t k = 0; k < tile->trials; k++)
        for (size_t g = 0; g < TILE_GROUPS; g++) {
            float zero = tile->zero[k][g];
            float y = one / (tile->step[g] * tile->scale[k][g]);
            int r = (int)round_even(clamp(y, 1, 32767));
            float xl = 0, ll = 0;
            for (size_t p = 0; p < pairs; p += SUM_PAIRS)
                trial_add(integers + (p * TILE_GROUPS + g) * 2,
                          size_min(pairs - p, SUM_PAIRS), r, shift, (int)-zero,
                          (int)(steps - zero), &xl, &ll);
            search_keep_better(tile, k, g, xl, ll);
        }
}

static inline float error_of(float x, const struct search_grid *grid, size_t g)
{
    float y = x * grid->inverse[g];
    float e = y - round_even(clamp(y, grid->lo[g], grid->hi[g]));
    return e * e;
}

KERNEL_SEARCH_ERRORS(scalar_search_errors)
{
    for (size_t k = 0; k < count; k++)
        for (size_t g = 0; g < TILE_GROUPS; g++)
            for (size_t p = 0; p < pairs; p += SUM_PAIRS) {
                size_t end = size_min(pairs, p + SUM_PAIRS);
                float even = 0, odd = 0;
                for (size_t i = p; i < end; i++) {
                    even += error_of(tile[2 * i * TILE_GROUPS + g], &grids[k], g);
                    odd += error_of(tile[(2 * i + 1) * TILE_GROUPS + g], &grids[k], g);
                }
                grids[k].error[g] += even + odd;
            }
}

#define FUNCTION scalar_search_weighted
#include "quant/kernels/search_weighted_template.h"
