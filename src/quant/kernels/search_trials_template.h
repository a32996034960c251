/* The kernel search_trials for AVX2 and AVX-512. The eight groups of a tile are the lanes
 * of a 256-bit vector; a 512-bit vector holds two such halves.
 *
 * The including file defines these macros first. They are undefined at the end.
 *
 *     FUNCTION         the kernel's name
 *     VECTOR           a vector of int16_t
 *     PAIRS_EACH       pairs of rows in a vector: 1 or 2
 *     VECTOR_ZERO      all lanes 0
 *     VECTOR_SET(i)    all lanes i
 *     VECTOR_REPEAT(v) the __m256i v, in each half
 *     LOAD(p)          a whole vector
 *     LOAD_HALF(p)     one pair of rows, then zeros; needed where PAIRS_EACH is 2
 *     MULTIPLY_ROUND(a, b), ADD_SATURATED(a, b), SHIFT_RIGHT(a, count), MIN(a, b),
 *     MAX(a, b)        on int16_t
 *     ADD_PRODUCTS(sum, a, b)  adds the products of a pair of int16_t to each int32_t
 *     SUM_HALVES(v)    an __m256i: the sum of both halves, as int32_t */
#include "quant/kernels/avx2.h"

/* ---- the best trial so far ------------------------------------------ */

/* The fields of the tile with the same names. */
struct best_trial {
    __m256 gain, scale, zero, xl, ll;
};

INLINE struct best_trial best_load(const struct search_tile *t)
{
    return (struct best_trial){_mm256_loadu_ps(t->best_gain),
                               _mm256_loadu_ps(t->best_scale),
                               _mm256_loadu_ps(t->best_zero), _mm256_loadu_ps(t->best_xl),
                               _mm256_loadu_ps(t->best_ll)};
}

INLINE void best_store(struct search_tile *t, const struct best_trial *best)
{
    _mm256_storeu_ps(t->best_gain, best->gain);
    _mm256_storeu_ps(t->best_scale, best->scale);
    _mm256_storeu_ps(t->best_zero, best->zero);
    _mm256_storeu_ps(t->best_xl, best->xl);
    _mm256_storeu_ps(t->best_ll, best->ll);
}

/* Replaces the best where the k-th trial gains more. */
INLINE void best_update(struct best_trial *best, const struct search_tile *t, size_t k,
                        __m256 xl, __m256 ll)
{
    __m256 gain = _mm256_div_ps(_mm256_mul_ps(xl, xl), ll);
    __m256 better = _mm256_cmp_ps(gain, best->gain, _CMP_GT_OQ);
    best->gain = _mm256_blendv_ps(best->gain, gain, better);
    best->scale = _mm256_blendv_ps(best->scale, _mm256_loadu_ps(t->scale[k]), better);
    best->zero = _mm256_blendv_ps(best->zero, _mm256_loadu_ps(t->zero[k]), better);
    best->xl = _mm256_blendv_ps(best->xl, xl, better);
    best->ll = _mm256_blendv_ps(best->ll, ll, better);
}

/* ---- one trial ------------------------------------------------------ */

/* The factor r and the limits of the codes, as KERNEL_SEARCH_TRIALS defines them. */
struct scale_trial {
    VECTOR r, lo, hi;
};

struct trial_sums {
    VECTOR xl, ll;
};

/* Each float as an int16_t, in both halves of its lane. */
INLINE __m256i twice(__m256 v)
{
    __m256i integer = _mm256_cvtps_epi32(v);
    return _mm256_blend_epi16(integer, _mm256_slli_epi32(integer, 16), 0xaa);
}

INLINE struct scale_trial trial_of(const struct search_tile *tile, size_t k, float steps)
{
    const __m256 one = _mm256_set1_ps((float)(1 << 15 << search_shift(steps)));
    __m256 zero = _mm256_loadu_ps(tile->zero[k]);
    __m256 r = _mm256_div_ps(
        one, _mm256_mul_ps(_mm256_loadu_ps(tile->step), _mm256_loadu_ps(tile->scale[k])));
    r = clamp(r, _mm256_set1_ps(1), _mm256_set1_ps(32767));
    return (struct scale_trial){
        VECTOR_REPEAT(twice(r)),
        VECTOR_REPEAT(twice(_mm256_sub_ps(_mm256_setzero_ps(), zero))),
        VECTOR_REPEAT(twice(_mm256_sub_ps(_mm256_set1_ps(steps), zero))),
    };
}

/* `wide` is true for codes of 8 bits. */
INLINE void trial_add(VECTOR x, bool wide, const struct scale_trial *trial,
                      struct trial_sums *sums)
{
    VECTOR l = MULTIPLY_ROUND(x, trial->r);
    if (wide) {
        l = ADD_SATURATED(l, VECTOR_SET(1 << SHIFT_8BIT >> 1));
        l = SHIFT_RIGHT(l, SHIFT_8BIT);
    }
    l = MIN(MAX(l, trial->lo), trial->hi);
    sums->xl = ADD_PRODUCTS(sums->xl, x, l);
    sums->ll = ADD_PRODUCTS(sums->ll, l, l);
}

INLINE void floats_add(__m256 *xl, __m256 *ll, const struct trial_sums *sums)
{
    *xl = _mm256_add_ps(*xl, _mm256_cvtepi32_ps(SUM_HALVES(sums->xl)));
    *ll = _mm256_add_ps(*ll, _mm256_cvtepi32_ps(SUM_HALVES(sums->ll)));
}

/* ---- all trials ----------------------------------------------------- */

/* Makes two trials at a time, so that one can proceed while the other waits for a result.
 * Makes the last trial of an odd number twice, which changes nothing. */
INLINE void all_trials(const int16_t *integers, size_t pairs, float steps, bool wide,
                       struct search_tile *tile)
{
    struct best_trial best = best_load(tile);
    for (size_t k = 0; k < tile->trials; k += 2) {
        const size_t second = size_min(k + 1, tile->trials - 1);
        const struct scale_trial a = trial_of(tile, k, steps);
        const struct scale_trial b = trial_of(tile, second, steps);
        __m256 xl[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()}, ll[2] = {xl[0], xl[0]};
        for (size_t p = 0; p < pairs; p += SUM_PAIRS) {
            size_t end = size_min(pairs, p + SUM_PAIRS), i = p;
            struct trial_sums s = {VECTOR_ZERO, VECTOR_ZERO}, t = s;
            for (; i + (PAIRS_EACH - 1) < end; i += PAIRS_EACH) {
                VECTOR x = LOAD(integers + i * 2 * TILE_GROUPS);
                trial_add(x, wide, &a, &s);
                trial_add(x, wide, &b, &t);
            }
#if PAIRS_EACH > 1
            if (i < end) {
                VECTOR x = LOAD_HALF(integers + i * 2 * TILE_GROUPS);
                trial_add(x, wide, &a, &s);
                trial_add(x, wide, &b, &t);
            }
#endif
            floats_add(&xl[0], &ll[0], &s);
            floats_add(&xl[1], &ll[1], &t);
        }
        best_update(&best, tile, k, xl[0], ll[0]);
        best_update(&best, tile, second, xl[1], ll[1]);
    }
    best_store(tile, &best);
}

/* Two copies of the loop, each for one width of codes. */
KERNEL_SEARCH_TRIALS(FUNCTION)
{
    if (search_shift(steps) != 0)
        all_trials(integers, pairs, steps, true, tile);
    else
        all_trials(integers, pairs, steps, false, tile);
}

#undef FUNCTION
#undef VECTOR
#undef PAIRS_EACH
#undef VECTOR_ZERO
#undef VECTOR_SET
#undef VECTOR_REPEAT
#undef LOAD
#undef LOAD_HALF
#undef MULTIPLY_ROUND
#undef ADD_SATURATED
#undef SHIFT_RIGHT
#undef MIN
#undef MAX
#undef ADD_PRODUCTS
#undef SUM_HALVES
