/* What the kernels of the search share: tiles of 8 groups side by side, trials at
 * their scales and zero points, and the kernels' signatures. quant/trials.c says
 * what is tried; these only count what it comes to. */
#ifndef NIBBLE_QUANT_KERNELS_SEARCH_H
#define NIBBLE_QUANT_KERNELS_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A float32 anywhere in a mapped file. */
typedef float float_u __attribute__((aligned(1), may_alias));

/* A tile holds the same elements of TILE_GROUPS groups, as float32 [element][TILE_GROUPS]
 * and as whole numbers [element / 2][TILE_GROUPS][2]. Short ones are filled up with
 * zeros, which add nothing to any sum. */
enum { TILE_GROUPS = 8 };

/* The search works on whole numbers of `inverse` to 1: integer sums are the same in
 * any order, and 16 fit into what 8 floats take. Their magnitudes are limited so that
 * SUM_PAIRS pairs of products with codes do not overflow, and products with 2^15 / step
 * have enough digits. Those of 8 bits have SHIFT_8BIT more, which are rounded away after.
 */
enum { LIMIT_4BIT = 2047, LIMIT_8BIT = 32767, SHIFT_8BIT = 5, SUM_PAIRS = 128 };

static inline int search_shift(float steps)
{
    return steps > 15 ? SHIFT_8BIT : 0;
}

enum { MAX_TRIALS = 64 }; /* at a time, at most */

/* The search of a tile, a lane for each group. A scale is given as a multiple of that
 * of round to nearest, a zero point as the number of codes below it. */
struct search_tile {
    float inverse[TILE_GROUPS];    /* from weights to whole numbers */
    float step[TILE_GROUPS];       /* the scale of round to nearest, in whole numbers */
    float first_zero[TILE_GROUPS]; /* that of round to nearest */

    /* What is to be tried. */
    size_t trials;
    float scale[MAX_TRIALS][TILE_GROUPS], zero[MAX_TRIALS][TILE_GROUPS];

    /* The best so far, and the sums of x * l and l * l that it came to: the one of
     * greatest gain = xl^2 / ll, which is what the best scale for its codes takes off the
     * sum of x^2. */
    float best_gain[TILE_GROUPS], best_scale[TILE_GROUPS], best_zero[TILE_GROUPS];
    float best_xl[TILE_GROUPS], best_ll[TILE_GROUPS];
};

/* Makes the k-th try, with its sums, the best of the group in lane g if it is. */
static inline void search_keep_better(struct search_tile *t, size_t k, size_t g, float xl,
                                      float ll)
{
    float gain = xl * xl / ll; /* NaN where both are 0 */
    if (!(gain > t->best_gain[g]))
        return;
    t->best_gain[g] = gain;
    t->best_scale[g] = t->scale[k][g];
    t->best_zero[g] = t->zero[k][g];
    t->best_xl[g] = xl;
    t->best_ll[g] = ll;
}

/* A scale and a zero point for each group of a tile, and their error. */
struct search_grid {
    float inverse[TILE_GROUPS]; /* 1 / scale */
    float lo[TILE_GROUPS], hi[TILE_GROUPS];
    float error[TILE_GROUPS]; /* the sum of (y - l)^2, y = x * inverse */
};

/* tile[i * TILE_GROUPS + g] = rows[g][i] for i < n. */
#define KERNEL_INTERLEAVE(name) \
    void name(const float_u *const rows[TILE_GROUPS], size_t n, float *tile)

/* The bin of each of n floats: x * inverse + offset, rounded down, within 0..last, which
 * is below 2^15; 0 for NaN. */
#define KERNEL_SEARCH_BINS(name)                                                     \
    void name(const float_u *x, size_t n, const float *inverse, const float *offset, \
              float last, uint16_t *bins)

/* Rounds 2 * pairs rows of a tile to whole numbers within -limit..limit. */
#define KERNEL_SEARCH_INTEGERS(name)                                              \
    void name(const float *tile, size_t pairs, const float *inverse, float limit, \
              int16_t *out)

/* For each try, y = (x * r + 2^14) >> 15 with r = 2^(15 + shift) / (step * scale),
 * rounded, and l = clamp(y >> shift), rounded; sums up x * l and l * l, SUM_PAIRS pairs
 * at a time, and these as floats. `steps` is hi - lo of the type. The sums go into the
 * best, the earlier one where two are equal. */
#define KERNEL_SEARCH_TRIALS(name)                                \
    void name(const int16_t *integers, size_t pairs, float steps, \
              struct search_tile *tile)

/* Adds the errors of 2 * pairs rows, SUM_PAIRS pairs at a time, odd rows apart from even.
 */
#define KERNEL_SEARCH_ERRORS(name) \
    void name(const float *tile, size_t pairs, size_t count, struct search_grid *grids)

#endif
