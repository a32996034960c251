/* What the files of the AVX2 kernels share: loads and stores of whole and partial
 * vectors, and the declarations of the kernels. Only for files compiled with -mavx2. */
#ifndef NIBBLE_QUANT_KERNELS_AVX2_H
#define NIBBLE_QUANT_KERNELS_AVX2_H

#include "quant/kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

KERNEL_RANGE_RUNS(avx2_range_runs);
KERNEL_RANGE_COLUMNS(avx2_range_columns);
KERNEL_CODES_RUNS(avx2_codes_runs);
KERNEL_CODES_COLUMNS(avx2_codes_columns);
KERNEL_ENCODE_RUNS(avx2_encode_runs);
KERNEL_ENCODE_COLUMNS(avx2_encode_columns);
KERNEL_INTERLEAVE(avx2_interleave);
KERNEL_SEARCH_BINS(avx2_search_bins);
KERNEL_SEARCH_INTEGERS(avx2_search_integers);
KERNEL_SEARCH_TRIALS(avx2_search_trials);
KERNEL_SEARCH_ERRORS(avx2_search_errors);
KERNEL_SEARCH_WEIGHTED(avx2_search_weighted);
KERNEL_SEARCH_TRIALS(avx512_search_trials);

#define INLINE static inline __attribute__((always_inline))

enum { WIDTH = 8 }; /* floats in a vector */

INLINE __m256 load(const float_u *x)
{
    return _mm256_loadu_ps((const float *)x);
}

INLINE __m256 clamp(__m256 y, __m256 lo, __m256 hi)
{
    return _mm256_min_ps(_mm256_max_ps(y, lo), hi);
}

/* All ones in the first n of 8 lanes. */
INLINE __m256i mask_first(size_t n)
{
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n < WIDTH ? (int)n : WIDTH), lanes);
}

/* Loads n floats and then zeros, up to 8 in all. Reads nothing beyond the n floats. */
INLINE __m256 load_first(const float_u *x, size_t n)
{
    return _mm256_maskload_ps((const float *)x, mask_first(n));
}

/* Loads the second half of n floats and then zeros, up to 16 in all. */
INLINE __m256 load_second(const float_u *x, size_t n)
{
    return n > WIDTH ? load_first(x + WIDTH, n - WIDTH) : _mm256_setzero_ps();
}

/* Loads 8 values of a type as float32. `real` is a constant wherever this is inlined. */
INLINE __m256 load_real(const unsigned char *x, enum real_type real)
{
    const __m128i *halves = (const __m128i *)(const void *)x;
    const double *doubles = (const double *)(const void *)x;
    switch (real) {
    case REAL_FLOAT16:
        return _mm256_cvtph_ps(_mm_loadu_si128(halves));
    case REAL_BFLOAT16:
        return _mm256_castsi256_ps(
            _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(halves)), 16));
    case REAL_FLOAT64:
        return _mm256_set_m128(_mm256_cvtpd_ps(_mm256_loadu_pd(doubles + 4)),
                               _mm256_cvtpd_ps(_mm256_loadu_pd(doubles)));
    default:
        return load((const float_u *)(const void *)x);
    }
}

INLINE size_t size_of_real(enum real_type real)
{
    return real == REAL_FLOAT32 ? 4 : real == REAL_FLOAT64 ? 8 : 2;
}

/* Loads n values and then zeros, up to 8 in all. Reads nothing beyond the n values. */
INLINE __m256 load_real_first(const unsigned char *x, enum real_type real, size_t n)
{
    unsigned char bytes[WIDTH * sizeof(double)] = {0};
    if (real == REAL_FLOAT32)
        return load_first((const float_u *)(const void *)x, n);
    memcpy(bytes, x, n * size_of_real(real));
    return load_real(bytes, real);
}

/* Calls an inline function with its type as a constant, so that each type gets its own
 * copy. */
#define FOR_REAL(real, function, ...)         \
    switch (real) {                           \
    case REAL_FLOAT32:                        \
        function(REAL_FLOAT32, __VA_ARGS__);  \
        break;                                \
    case REAL_FLOAT16:                        \
        function(REAL_FLOAT16, __VA_ARGS__);  \
        break;                                \
    case REAL_BFLOAT16:                       \
        function(REAL_BFLOAT16, __VA_ARGS__); \
        break;                                \
    case REAL_FLOAT64:                        \
        function(REAL_FLOAT64, __VA_ARGS__);  \
        break;                                \
    }

/* Prefetches `size` bytes, `ahead` bytes further on, into the second-level cache. Memory
 * would be idle otherwise while a row is encoded. Does nothing if `ahead` is 0. */
INLINE void fetch(const unsigned char *x, size_t size, size_t ahead)
{
    for (size_t i = 0; ahead != 0 && i < size; i += 64)
        _mm_prefetch((const char *)x + ahead + i, _MM_HINT_T2);
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
