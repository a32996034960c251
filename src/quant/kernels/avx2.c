/* The kernels for AVX2 and F16C, bit for bit those of scalar.c: widening, ranges,
 * packing and the table; codes are avx2_codes.c's. Compiled with -mavx2 -mf16c, and
 * to nothing where there is no x86-64; cpu.c says whether they run. */
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

/* ---- ranges --------------------------------------------------------- */

/* The bits of negative floats order as unsigned integers, downwards; with the
 * sign flipped they are the magnitudes, as signed integers, and others < 0. */
INLINE __m256i sign_flip(__m256i v)
{
    return _mm256_xor_si256(v, _mm256_set1_epi32(INT32_MIN));
}

struct range {
    __m256i top, bottom; /* bottom with its sign: to be flipped at the end */
};

INLINE struct range range_add(struct range a, __m256 x)
{
    __m256i bits = _mm256_castps_si256(x);

    return (struct range){_mm256_max_epi32(a.top, bits),
                          _mm256_max_epu32(a.bottom, bits)};
}

INLINE struct range range_join(struct range a, struct range b)
{
    return (struct range){_mm256_max_epi32(a.top, b.top),
                          _mm256_max_epu32(a.bottom, b.bottom)};
}

/* Merges the largest of 8 lanes into *top and *bottom. */
INLINE void range_reduce(struct range a, int32_t *top, int32_t *bottom)
{
    __m256i down = sign_flip(a.bottom);
    __m256i low = _mm256_unpacklo_epi32(a.top, down); /* t b t b | t b t b */
    __m256i high = _mm256_unpackhi_epi32(a.top, down);
    __m256i both = _mm256_max_epi32(low, high);
    __m128i m =
        _mm_max_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    __m128i old = _mm_insert_epi32(_mm_cvtsi32_si128(*top), *bottom, 1);

    m = _mm_max_epi32(m, _mm_unpackhi_epi64(m, m));
    m = _mm_max_epi32(m, old);
    *top = _mm_cvtsi128_si32(m);
    *bottom = _mm_extract_epi32(m, 1);
}

INLINE struct range range_run(const float_u *x, size_t n)
{
    const __m256i negative = _mm256_set1_epi32(INT32_MIN);
    const struct range none = {_mm256_setzero_si256(), negative};
    struct range a = none, b = none;
    size_t i = 0;

    if (n >= 8 * WIDTH) {
        struct range c = none, d = none;

        for (; i + 4 * WIDTH <= n; i += 4 * WIDTH) {
            a = range_add(a, load(x + i));
            b = range_add(b, load(x + i + WIDTH));
            c = range_add(c, load(x + i + 2 * WIDTH));
            d = range_add(d, load(x + i + 3 * WIDTH));
        }
        a = range_join(a, c);
        b = range_join(b, d);
    }
    for (; i + 2 * WIDTH <= n; i += 2 * WIDTH) {
        a = range_add(a, load(x + i));
        b = range_add(b, load(x + i + WIDTH));
    }
    if (i + WIDTH <= n) {
        a = range_add(a, load(x + i));
        i += WIDTH;
    }
    if (i < n)
        b = range_add(b, load_first(x + i, n - i));
    return range_join(a, b);
}

static KERNEL_RANGE_RUNS(range_runs)
{
    for (size_t k = 0; run == 32 && k < count; k++)
        range_reduce(range_run(x + k * 32, 32), &top[k], &bottom[k]);
    for (size_t k = 0; run != 32 && k < count; k++, x += run)
        range_reduce(range_run(x, run), &top[k], &bottom[k]);
}

/* The first n of 8 columns, down the rows. */
INLINE void range_column(const float_u *x, size_t stride, size_t rows, size_t n,
                         int32_t *top, int32_t *bottom)
{
    int32_t t[WIDTH] = {0}, b[WIDTH] = {0};
    struct range range;

    memcpy(t, top, n * sizeof *t);
    memcpy(b, bottom, n * sizeof *b);
    range = (struct range){load_int(t), sign_flip(load_int(b))};
    for (size_t r = 0; r < rows; r++)
        range = range_add(range, load_first(x + r * stride, n));
    store_int(t, range.top);
    store_int(b, sign_flip(range.bottom));
    memcpy(top, t, n * sizeof *t);
    memcpy(bottom, b, n * sizeof *b);
}

/* `rows` rows across all whole vectors of columns. */
INLINE void range_rows(const float_u *x, size_t stride, size_t rows, size_t columns,
                       int32_t *top, int32_t *bottom)
{
    for (size_t c = 0; c + WIDTH <= columns; c += WIDTH) {
        struct range range = {load_int(top + c), sign_flip(load_int(bottom + c))};

        for (size_t r = 0; r < rows; r++)
            range = range_add(range, load(x + r * stride + c));
        store_int(top + c, range.top);
        store_int(bottom + c, sign_flip(range.bottom));
    }
}

static KERNEL_RANGE_COLUMNS(range_columns)
{
    size_t whole = columns - columns % WIDTH;
    size_t r = 0;

    if (whole < columns)
        range_column(x + whole, stride, rows, columns - whole, top + whole,
                     bottom + whole);
    for (; r + 4 <= rows; r += 4)
        range_rows(x + r * stride, stride, 4, columns, top, bottom);
    for (; r < rows; r++)
        range_rows(x + r * stride, stride, 1, columns, top, bottom);
}

/* ---- packing -------------------------------------------------------- */

/* Pairs of bytes in 32 to 16-bit words: first + 16 * second. */
INLINE __m256i pairs_pack(const uint8_t *codes)
{
    __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)codes);

    return _mm256_maddubs_epi16(_mm256_and_si256(bytes, _mm256_set1_epi8(15)),
                                _mm256_set1_epi16(0x1001));
}

/* In place is fine: 64 codes are read before the first half of them is overwritten. */
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

/* What the tables of AVX2 and AVX-512 have in common: all but the tries of the search. */
#define KERNELS                                                                     \
    .widen = {[REAL_FLOAT16] = widen_float16,                                       \
              [REAL_BFLOAT16] = widen_bfloat16,                                     \
              [REAL_FLOAT64] = widen_float64},                                      \
    .range_runs = range_runs, .range_columns = range_columns,                       \
    .encode_runs = avx2_encode_runs, .encode_columns = avx2_encode_columns,         \
    .pack4 = pack4, .interleave = avx2_interleave, .search_bins = avx2_search_bins, \
    .search_narrow = avx2_search_narrow, .search_errors = avx2_search_errors

const struct kernels kernels_avx2 = {
    .name = "avx2", .search_try = avx2_search_try, KERNELS};
const struct kernels kernels_avx512 = {
    .name = "avx512", .search_try = avx512_search_try, KERNELS};

#endif
