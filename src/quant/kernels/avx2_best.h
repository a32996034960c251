/* The best try of each group of a tile in registers, eight groups a vector: what the
 * search has in common for AVX2 and AVX-512. */
#ifndef NIBBLE_QUANT_KERNELS_AVX2_BEST_H
#define NIBBLE_QUANT_KERNELS_AVX2_BEST_H

#include "quant/kernels/avx2.h"

/* The same number in both halves of each lane. */
INLINE __m256i twice(__m256 v)
{
    __m256i whole = _mm256_cvtps_epi32(v);
    return _mm256_blend_epi16(whole, _mm256_slli_epi32(whole, 16), 0xaa);
}

/* The best so far, as in a tile. */
struct best {
    __m256 gain, scale, zero, xl, ll;
};

INLINE struct best best_load(const struct search_tile *t)
{
    return (struct best){_mm256_loadu_ps(t->best_gain), _mm256_loadu_ps(t->best_scale),
                         _mm256_loadu_ps(t->best_zero), _mm256_loadu_ps(t->best_xl),
                         _mm256_loadu_ps(t->best_ll)};
}

INLINE void best_store(struct search_tile *t, const struct best *best)
{
    _mm256_storeu_ps(t->best_gain, best->gain);
    _mm256_storeu_ps(t->best_scale, best->scale);
    _mm256_storeu_ps(t->best_zero, best->zero);
    _mm256_storeu_ps(t->best_xl, best->xl);
    _mm256_storeu_ps(t->best_ll, best->ll);
}

INLINE void best_pick(struct best *best, __m256 scale, __m256 zero, __m256 xl, __m256 ll)
{
    __m256 gain = _mm256_div_ps(_mm256_mul_ps(xl, xl), ll);
    __m256 better = _mm256_cmp_ps(gain, best->gain, _CMP_GT_OQ);
    best->gain = _mm256_blendv_ps(best->gain, gain, better);
    best->scale = _mm256_blendv_ps(best->scale, scale, better);
    best->zero = _mm256_blendv_ps(best->zero, zero, better);
    best->xl = _mm256_blendv_ps(best->xl, xl, better);
    best->ll = _mm256_blendv_ps(best->ll, ll, better);
}

#endif
