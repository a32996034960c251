/* The kernels for AVX2 and F16C that convert and pack, and the tables of AVX2 and
 * AVX-512. They give the same bits as scalar.c. Compiled with -mavx2 -mf16c. Empty on
 * other architectures than x86-64. cpu.c decides whether this CPU can run them. */
#include "quant/kernels/kernels.h"

#if defined(__x86_64__)

#include "quant/half.h"
#include "quant/kernels/avx2.h"

/* ---- widening ------------------------------------------------------- */

static KERNEL_WIDEN(widen_float16)
{
    const unsigned char *bytes = in;
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(load_bytes(bytes + i * 2)));
    for (; i < n; i++) {
        uint16_t half;
        memcpy(&half, bytes + i * 2, sizeof half);
        out[i] = half_widen(half);
    }
}

static KERNEL_WIDEN(widen_bfloat16)
{
    const unsigned char *bytes = in;
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH) {
        __m256i wide = _mm256_cvtepu16_epi32(load_bytes(bytes + i * 2));
        _mm256_storeu_ps(out + i, _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16)));
    }
    for (; i < n; i++) {
        uint16_t bfloat;
        memcpy(&bfloat, bytes + i * 2, sizeof bfloat);
        out[i] = bfloat_widen(bfloat);
    }
}

static KERNEL_WIDEN(widen_float64)
{
    const unsigned char *bytes = in;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        __m256d value = _mm256_loadu_pd((const double *)(const void *)(bytes + i * 8));
        _mm_storeu_ps(out + i, _mm256_cvtpd_ps(value));
    }
    for (; i < n; i++) {
        double value;
        memcpy(&value, bytes + i * 8, sizeof value);
        out[i] = (float)value;
    }
}

/* ---- narrowing ------------------------------------------------------ */

static KERNEL_NARROW(narrow_float16)
{
    unsigned char *bytes = out;
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        store_bytes(bytes + i * 2,
                    _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
    kernels_scalar.narrow[REAL_FLOAT16](in + i, n - i, bytes + i * 2);
}

/* ---- packing -------------------------------------------------------- */

/* Combines each pair of 32 bytes to a 16-bit word: first + 16 * second. */
INLINE __m256i pairs_pack(const uint8_t *codes)
{
    __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)codes);
    return _mm256_maddubs_epi16(_mm256_and_si256(bytes, _mm256_set1_epi8(15)),
                                _mm256_set1_epi16(0x1001));
}

/* Also works in place: reads 64 codes before it overwrites the first half of them. */
static KERNEL_PACK4(pack4)
{
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        __m256i bytes =
            _mm256_packus_epi16(pairs_pack(codes + i), pairs_pack(codes + i + 32));
        bytes = _mm256_permute4x64_epi64(bytes, _MM_SHUFFLE(3, 1, 2, 0));
        _mm256_storeu_si256((__m256i *)(void *)(out + i / 2), bytes);
    }
    for (; i + 1 < n; i += 2)
        out[i / 2] = (uint8_t)((codes[i] & 15) | codes[i + 1] << 4);
    if (i < n)
        out[i / 2] = codes[i] & 15;
}

/* What the tables of AVX2 and AVX-512 share: all kernels but search_trials. */
#define KERNELS                                                                      \
    .widen = {[REAL_FLOAT16] = widen_float16,                                        \
              [REAL_BFLOAT16] = widen_bfloat16,                                      \
              [REAL_FLOAT64] = widen_float64},                                       \
    .narrow =                                                                        \
        {[REAL_FLOAT16] = narrow_float16, [REAL_BFLOAT16] = scalar_narrow_bfloat16}, \
    .range_runs = avx2_range_runs, .range_columns = avx2_range_columns,              \
    .codes_runs = avx2_codes_runs, .codes_columns = avx2_codes_columns,              \
    .encode_runs = avx2_encode_runs, .encode_columns = avx2_encode_columns,          \
    .pack4 = pack4, .interleave = avx2_interleave, .search_bins = avx2_search_bins,  \
    .search_integers = avx2_search_integers, .search_errors = avx2_search_errors,    \
    .search_weighted = avx2_search_weighted

const struct kernels kernels_avx2 = {
    .name = "avx2", .search_trials = avx2_search_trials, KERNELS};
const struct kernels kernels_avx512 = {
    .name = "avx512", .search_trials = avx512_search_trials, KERNELS};

#endif
