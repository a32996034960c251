/* The kernels of the search: a tile of 8 groups, the trials at its scales and zero
 * points, and the kernels' signatures. quant/search_trials.c decides what to try; the
 * kernels only compute the sums. */
#ifndef NIBBLE_QUANT_KERNELS_SEARCH_TILE_H
#define NIBBLE_QUANT_KERNELS_SEARCH_TILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A float32 anywhere in a mapped file. */
typedef float float_u __attribute__((aligned(1), may_alias));

/* A tile holds the same elements of TILE_GROUPS groups, as float32 [element][TILE_GROUPS]
 * or as integers [element / 2][TILE_GROUPS][2]. Short groups are padded with zeros, which
 * add nothing to any sum. */
enum { TILE_GROUPS = 8 };

/* The search works on integers: weights times `inverse`, rounded. Integer sums are the
 * same in any order, and a vector holds twice as many int16_t as floats. The limits of
 * their magnitudes have two reasons. Sums over SUM_PAIRS pairs of products with codes
 * must not overflow, and products with 2^15 / step must have enough digits. For codes
 * of 8 bits these products have SHIFT_8BIT digits more, which are rounded away
 * afterwards. */
enum { LIMIT_4BIT = 2047, LIMIT_8BIT = 32767, SHIFT_8BIT = 5, SUM_PAIRS = 128 };

static inline int search_shift(float steps)
{
    return steps > 15 ? SHIFT_8BIT : 0;
}

enum { MAX_TRIALS = 64 }; /* trials made in one stage */

/* The state of the search for the groups of a tile. A scale is a multiple of the scale of
 * round to nearest. A zero point is the number of codes below it. */
struct search_tile {
    float inverse[TILE_GROUPS];    /* multiplies weights before they become integers */
    float step[TILE_GROUPS];       /* the scale of round to nearest, in integers */
    float first_zero[TILE_GROUPS]; /* the zero point of round to nearest */

    /* The trials of the current stage. */
    size_t trials;
    float scale[MAX_TRIALS][TILE_GROUPS], zero[MAX_TRIALS][TILE_GROUPS];

    /* The best trial so far: the one with the greatest gain. The gain is xl^2 / ll, with
     * the sums xl of x * l and ll of l * l. With its best scale, a trial's codes reduce
     * the sum of x^2 by this much. */
    float best_gain[TILE_GROUPS], best_scale[TILE_GROUPS], best_zero[TILE_GROUPS];
    float best_xl[TILE_GROUPS], best_ll[TILE_GROUPS];
};

/* Makes trial k the best one of group g if it gains more. */
static inline void search_keep_better(struct search_tile *t, size_t k, size_t g, float xl,
                                      float ll)
{
    float gain = xl * xl / ll; /* NaN if both are 0 */
    if (!(gain > t->best_gain[g]))
        return;
    t->best_gain[g] = gain;
    t->best_scale[g] = t->scale[k][g];
    t->best_zero[g] = t->zero[k][g];
    t->best_xl[g] = xl;
    t->best_ll[g] = ll;
}

/* A scale and a zero point for each group of a tile, and their true errors. */
struct search_grid {
    float inverse[TILE_GROUPS]; /* 1 / scale */
    float lo[TILE_GROUPS];      /* the lowest code, counted from the zero point */
    float hi[TILE_GROUPS];      /* the highest code, likewise */
    float error[TILE_GROUPS];   /* the sum of (y - l)^2 with y = x * inverse */
};

/* tile[i * TILE_GROUPS + g] = rows[g][i] for i < n. */
#define KERNEL_INTERLEAVE(name) \
    void name(const float_u *const rows[TILE_GROUPS], size_t n, float *tile)

/* Finds the bin of each of n floats: x * inverse + offset, rounded down and clamped to
 * 0..last. `last` is below 2^15. The bin of NaN is 0. */
#define KERNEL_SEARCH_BINS(name)                                                     \
    void name(const float_u *x, size_t n, const float *inverse, const float *offset, \
              float last, uint16_t *bins)

/* Rounds 2 * pairs rows of a tile, times `inverse`, to integers within -limit..limit. */
#define KERNEL_SEARCH_INTEGERS(name)                                              \
    void name(const float *tile, size_t pairs, const float *inverse, float limit, \
              int16_t *out)

/* Makes all trials of a tile, and keeps the best; the earlier one if two are equal. With
 * r = 2^(15 + shift) / (step * scale), rounded, and y = (x * r + 2^14) >> 15, the code is
 * l = y >> shift, rounded and clamped. Sums of x * l and l * l are integers over
 * SUM_PAIRS pairs; these are added as floats. `steps` is hi - lo of the type. */
#define KERNEL_SEARCH_TRIALS(name)                                \
    void name(const int16_t *integers, size_t pairs, float steps, \
              struct search_tile *tile)

/* Adds the errors of 2 * pairs rows to each grid, SUM_PAIRS pairs at a time. Even and odd
 * rows have separate sums. */
#define KERNEL_SEARCH_ERRORS(name) \
    void name(const float *tile, size_t pairs, size_t count, struct search_grid *grids)

struct weighted_sums {
    double xl, ll;
};

/* Makes one trial for a group whose elements have an importance, `share`. Adds share * x
 * * l and share * l * l, summed up in LANES lanes. n is a multiple of LANES. */
#define KERNEL_SEARCH_WEIGHTED(name)                                                 \
    void name(const float *x, const float *share, size_t n, float inverse, float lo, \
              float hi, struct weighted_sums *sums)

#endif
