/* The kernels of the search for AVX2. They give the same bits as scalar_search.c. The 8
 * groups of a tile are the lanes of a vector. Compiled with -mavx2 -mf16c. Empty on other
 * architectures than x86-64. */
#include "quant/kernels/kernels.h"

#if defined(__x86_64__)

#include "quant/kernels/avx2.h"

/* ---- tiles ---------------------------------------------------------- */

/* Transposes 8 rows of 8 floats. */
INLINE void interleave_8(const float_u *const rows[TILE_GROUPS], size_t i, float *out)
{
    __m256 a[TILE_GROUPS], b[TILE_GROUPS];
    for (int g = 0; g < TILE_GROUPS; g++)
        a[g] = load(rows[g] + i);
    for (int g = 0; g < TILE_GROUPS; g += 2) {
        b[g] = _mm256_unpacklo_ps(a[g], a[g + 1]);
        b[g + 1] = _mm256_unpackhi_ps(a[g], a[g + 1]);
    }
    for (int g = 0; g < TILE_GROUPS; g += 4)
        for (int h = 0; h < 2; h++) {
            a[g + 2 * h] =
                _mm256_shuffle_ps(b[g + h], b[g + h + 2], _MM_SHUFFLE(1, 0, 1, 0));
            a[g + 2 * h + 1] =
                _mm256_shuffle_ps(b[g + h], b[g + h + 2], _MM_SHUFFLE(3, 2, 3, 2));
        }
    for (int g = 0; g < 4; g++) {
        _mm256_storeu_ps(out + g * TILE_GROUPS,
                         _mm256_permute2f128_ps(a[g], a[g + 4], 0x20));
        _mm256_storeu_ps(out + (g + 4) * TILE_GROUPS,
                         _mm256_permute2f128_ps(a[g], a[g + 4], 0x31));
    }
}

KERNEL_INTERLEAVE(avx2_interleave)
{
    size_t i = 0;
    for (; i + TILE_GROUPS <= n; i += TILE_GROUPS)
        interleave_8(rows, i, tile + i * TILE_GROUPS);
    for (; i < n; i++)
        for (size_t g = 0; g < TILE_GROUPS; g++)
            tile[i * TILE_GROUPS + g] = rows[g][i];
}

INLINE __m256i bins_8(const float_u *x, const float *inverse, const float *offset,
                      __m256 last)
{
    __m256 b = _mm256_mul_ps(load(x), _mm256_loadu_ps(inverse));
    b = _mm256_add_ps(b, _mm256_loadu_ps(offset));
    return _mm256_cvttps_epi32(clamp(b, _mm256_setzero_ps(), last));
}

KERNEL_SEARCH_BINS(avx2_search_bins)
{
    const __m256 most = _mm256_set1_ps(last);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m256i packed = _mm256_packs_epi32(
            bins_8(x + i, inverse + i, offset + i, most),
            bins_8(x + i + WIDTH, inverse + i + WIDTH, offset + i + WIDTH, most));
        _mm256_storeu_si256((__m256i *)(void *)(bins + i),
                            _mm256_permute4x64_epi64(packed, 0xd8));
    }
    for (; i < n; i++) {
        float b = x[i] * inverse[i] + offset[i];
        b = b > 0 ? b : 0;
        bins[i] = (uint16_t)(int)(b < last ? b : last);
    }
}

KERNEL_SEARCH_INTEGERS(avx2_search_integers)
{
    const __m256 scale = _mm256_loadu_ps(inverse);
    const __m256 hi = _mm256_set1_ps(limit), lo = _mm256_set1_ps(-limit);
    for (size_t p = 0; p < pairs; p++, tile += 2 * TILE_GROUPS, out += 2 * TILE_GROUPS) {
        __m256 a = _mm256_mul_ps(_mm256_loadu_ps(tile), scale);
        __m256 b = _mm256_mul_ps(_mm256_loadu_ps(tile + TILE_GROUPS), scale);
        __m256i first = _mm256_cvtps_epi32(clamp(a, lo, hi));
        __m256i second = _mm256_slli_epi32(_mm256_cvtps_epi32(clamp(b, lo, hi)), 16);
        _mm256_storeu_si256((__m256i *)(void *)out,
                            _mm256_blend_epi16(first, second, 0xaa));
    }
}

/* ---- trials --------------------------------------------------------- */

#define FUNCTION                avx2_search_trials
#define VECTOR                  __m256i
#define PAIRS_EACH              1
#define VECTOR_ZERO             _mm256_setzero_si256()
#define VECTOR_SET(i)           _mm256_set1_epi16(i)
#define VECTOR_REPEAT(v)        (v)
#define LOAD(p)                 _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define MULTIPLY_ROUND(a, b)    _mm256_mulhrs_epi16(a, b)
#define ADD_SATURATED(a, b)     _mm256_adds_epi16(a, b)
#define SHIFT_RIGHT(a, count)   _mm256_srai_epi16(a, count)
#define MIN(a, b)               _mm256_min_epi16(a, b)
#define MAX(a, b)               _mm256_max_epi16(a, b)
#define ADD_PRODUCTS(sum, a, b) _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))
#define SUM_HALVES(v)           (v)
#include "quant/kernels/search_trials_template.h"

/* ---- errors --------------------------------------------------------- */

INLINE void error_add(const float *tile, __m256 inverse, __m256 lo, __m256 hi,
                      __m256 *sum)
{
    __m256 y = _mm256_mul_ps(_mm256_loadu_ps(tile), inverse);
    __m256 l =
        _mm256_round_ps(clamp(y, lo, hi), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 e = _mm256_sub_ps(y, l);
    *sum = _mm256_add_ps(*sum, _mm256_mul_ps(e, e));
}

INLINE void errors_add(const float *tile, size_t pairs, struct search_grid *grid)
{
    const __m256 inverse = _mm256_loadu_ps(grid->inverse);
    const __m256 lo = _mm256_loadu_ps(grid->lo), hi = _mm256_loadu_ps(grid->hi);
    __m256 even = _mm256_setzero_ps(), odd = even;
    for (size_t p = 0; p < pairs; p++, tile += 2 * TILE_GROUPS) {
        error_add(tile, inverse, lo, hi, &even);
        error_add(tile + TILE_GROUPS, inverse, lo, hi, &odd);
    }
    _mm256_storeu_ps(grid->error, _mm256_add_ps(_mm256_loadu_ps(grid->error),
                                                _mm256_add_ps(even, odd)));
}

KERNEL_SEARCH_ERRORS(avx2_search_errors)
{
    for (size_t p = 0, n; p < pairs; p += n) {
        n = size_min(pairs - p, SUM_PAIRS);
        for (size_t k = 0; k < count; k++)
            errors_add(tile + p * 2 * TILE_GROUPS, n, &grids[k]);
    }
}

/* ---- weighted trials -------------------------------------------------- */

#define FUNCTION avx2_search_weighted
#include "quant/kernels/search_weighted_template.h"

#endif
