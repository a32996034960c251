/* What the files of the AVX2 kernels share: loads and stores of whole and partial
 * vectors, and the kernels of avx2_codes.c and avx2_search.c. For files compiled with
 * -mavx2 only. */
#ifndef NIBBLE_QUANT_KERNELS_AVX2_H
#define NIBBLE_QUANT_KERNELS_AVX2_H

#include "quant/kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

KERNEL_ENCODE_RUNS(avx2_encode_runs);
KERNEL_ENCODE_COLUMNS(avx2_encode_columns);
KERNEL_INTERLEAVE(avx2_interleave);
KERNEL_SEARCH_BINS(avx2_search_bins);
KERNEL_SEARCH_NARROW(avx2_search_narrow);
KERNEL_SEARCH_TRY(avx2_search_try);
KERNEL_SEARCH_ERRORS(avx2_search_errors);
KERNEL_SEARCH_TRY(avx512_search_try);

#define INLINE static inline __attribute__((always_inline))

enum { WIDTH = 8 }; /* floats in a vector */

INLINE __m256 load(const float_u *x)
{
    return _mm256_loadu_ps((const float *)x);
}

/* All ones in the first n of 8 lanes. */
INLINE __m256i mask_first(size_t n)
{
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);

    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n < WIDTH ? (int)n : WIDTH), lanes);
}

/* Loads the first n of 8 floats and zeros; touches nothing beyond them. */
INLINE __m256 load_first(const float_u *x, size_t n)
{
    return _mm256_maskload_ps((const float *)x, mask_first(n));
}

/* The same for the first n of 16 floats, the second half of them. */
INLINE __m256 load_second(const float_u *x, size_t n)
{
    return n > WIDTH ? load_first(x + WIDTH, n - WIDTH) : _mm256_setzero_ps();
}

INLINE __m256i load_int(const int32_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

INLINE void store_int(int32_t *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}

INLINE __m128i load_bytes(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

INLINE void store_bytes(uint8_t *p, __m128i v)
{
    _mm_storeu_si128((__m128i *)(void *)p, v);
}

INLINE void store_bytes_first(uint8_t *p, __m128i v, size_t n)
{
    uint8_t bytes[LANES];

    store_bytes(bytes, v);
    memcpy(p, bytes, n);
}

#endif
