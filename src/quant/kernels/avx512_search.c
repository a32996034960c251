/* The kernels of the search for AVX-512, bit for bit those of scalar_search.c: two rows
 * of a tile are the lanes of a vector. All other kernels are AVX2's, which reach what
 * memory gives. Compiled with -mavx512f and more (meson.build); nothing without x86-64.
 */
#include "quant/kernels/kernels.h"

#if defined(__x86_64__)

#include "quant/kernels/avx2_best.h"

/* The same number in both halves of each lane, and in both halves of the vector. */
INLINE __m512i four_times(__m256 v)
{
    return _mm512_broadcast_i32x8(twice(v));
}

struct step {
    __m512i r, lo, hi;
};

struct sums {
    __m512i xl, ll;
};

/* With `wide`, codes are of 8 bits. */
INLINE void step_add(__m512i x, bool wide, const struct step *step, struct sums *sums)
{
    __m512i l = _mm512_mulhrs_epi16(x, step->r);
    if (wide) {
        l = _mm512_adds_epi16(l, _mm512_set1_epi16(1 << SHIFT_8BIT >> 1));
        l = _mm512_srai_epi16(l, SHIFT_8BIT);
    }
    l = _mm512_min_epi16(_mm512_max_epi16(l, step->lo), step->hi);
    sums->xl = _mm512_dpwssd_epi32(sums->xl, x, l);
    sums->ll = _mm512_dpwssd_epi32(sums->ll, l, l);
}

/* The sum of both halves, as floats. */
INLINE __m256 sum_of(__m512i v)
{
    return _mm256_cvtepi32_ps(
        _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti32x8_epi32(v, 1)));
}

INLINE struct step step_of(const struct search_tile *tile, size_t k, float steps)
{
    const __m256 one = _mm256_set1_ps((float)(1 << 15 << search_shift(steps)));
    __m256 zero = _mm256_loadu_ps(tile->zero[k]);
    __m256 r = _mm256_div_ps(
        one, _mm256_mul_ps(_mm256_loadu_ps(tile->step), _mm256_loadu_ps(tile->scale[k])));
    r = _mm256_min_ps(_mm256_max_ps(r, _mm256_set1_ps(1)), _mm256_set1_ps(32767));
    return (struct step){
        four_times(r),
        four_times(_mm256_sub_ps(_mm256_setzero_ps(), zero)),
        four_times(_mm256_sub_ps(_mm256_set1_ps(steps), zero)),
    };
}

/* Two trials at a time, for what one has to wait for; the last one of an odd number
 * twice, which changes nothing. */
INLINE void try_all(const int16_t *whole, size_t pairs, float steps, bool wide,
                    struct search_tile *tile)
{
    struct best best = best_load(tile);
    for (size_t k = 0; k < tile->trials; k += 2) {
        size_t second = k + 1 < tile->trials ? k + 1 : k;
        const struct step a = step_of(tile, k, steps), b = step_of(tile, second, steps);
        __m256 xl[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()}, ll[2] = {xl[0], xl[0]};
        for (size_t p = 0; p < pairs; p += SUM_PAIRS) {
            size_t end = size_min(pairs, p + SUM_PAIRS), i = p;
            struct sums s = {_mm512_setzero_si512(), _mm512_setzero_si512()}, t = s;
            for (; i + 2 <= end; i += 2) {
                __m512i x = _mm512_loadu_si512(whole + i * 2 * TILE_GROUPS);
                step_add(x, wide, &a, &s);
                step_add(x, wide, &b, &t);
            }
            if (i < end) { /* half a vector */
                __m512i x = _mm512_maskz_loadu_epi32(0xff, whole + i * 2 * TILE_GROUPS);
                step_add(x, wide, &a, &s);
                step_add(x, wide, &b, &t);
            }
            xl[0] = _mm256_add_ps(xl[0], sum_of(s.xl));
            ll[0] = _mm256_add_ps(ll[0], sum_of(s.ll));
            xl[1] = _mm256_add_ps(xl[1], sum_of(t.xl));
            ll[1] = _mm256_add_ps(ll[1], sum_of(t.ll));
        }
        best_pick(&best, _mm256_loadu_ps(tile->scale[k]), _mm256_loadu_ps(tile->zero[k]),
                  xl[0], ll[0]);
        best_pick(&best, _mm256_loadu_ps(tile->scale[second]),
                  _mm256_loadu_ps(tile->zero[second]), xl[1], ll[1]);
    }
    best_store(tile, &best);
}

KERNEL_SEARCH_TRIALS(avx512_search_trials)
{
    if (search_shift(steps) != 0)
        try_all(whole, pairs, steps, true, tile);
    else
        try_all(whole, pairs, steps, false, tile);
}

#endif
