/* The kernel search_trials for AVX-512, which gives the same bits as scalar_search.c. The
 * other kernels of this table are those for AVX2: they already wait for memory. Compiled
 * with -mavx512f and more (see meson.build). Empty on other architectures than x86-64. */
#include "quant/kernels/kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define FUNCTION                avx512_search_trials
#define VECTOR                  __m512i
#define PAIRS_EACH              2
#define VECTOR_ZERO             _mm512_setzero_si512()
#define VECTOR_SET(i)           _mm512_set1_epi16(i)
#define VECTOR_REPEAT(v)        _mm512_broadcast_i32x8(v)
#define LOAD(p)                 _mm512_loadu_si512(p)
#define LOAD_HALF(p)            _mm512_maskz_loadu_epi32(0xff, p)
#define MULTIPLY_ROUND(a, b)    _mm512_mulhrs_epi16(a, b)
#define ADD_SATURATED(a, b)     _mm512_adds_epi16(a, b)
#define SHIFT_RIGHT(a, count)   _mm512_srai_epi16(a, count)
#define MIN(a, b)               _mm512_min_epi16(a, b)
#define MAX(a, b)               _mm512_max_epi16(a, b)
#define ADD_PRODUCTS(sum, a, b) _mm512_dpwssd_epi32(sum, a, b)
#define SUM_HALVES(v) \
    _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti32x8_epi32(v, 1))
#include "quant/kernels/search_trials_template.h"

#endif
