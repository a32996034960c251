/* Ranges for AVX2 and F16C, of values of any type. Give the same bits as scalar.c. Empty
 * on other architectures than x86-64. */
#include "quant/kernels/kernels.h"

#if defined(__x86_64__)

#include "quant/kernels/avx2.h"

/* ---- floats --------------------------------------------------------- */

/* Flips the signs of floats. Negative floats compare, as unsigned integers, in reverse
 * order. With flipped signs their bits are those of their magnitudes, and positive floats
 * become negative integers. */
INLINE __m256i sign_flip(__m256i v)
{
    return _mm256_xor_si256(v, _mm256_set1_epi32(INT32_MIN));
}

struct avx2_range {
    __m256i top, bottom; /* bottom: signs are flipped at the end */
};

INLINE struct avx2_range range_add(struct avx2_range a, __m256 x)
{
    __m256i bits = _mm256_castps_si256(x);
    return (struct avx2_range){_mm256_max_epi32(a.top, bits),
                               _mm256_max_epu32(a.bottom, bits)};
}

INLINE struct avx2_range range_join(struct avx2_range a, struct avx2_range b)
{
    return (struct avx2_range){_mm256_max_epi32(a.top, b.top),
                               _mm256_max_epu32(a.bottom, b.bottom)};
}

/* Extends *top and *bottom by the largest of 8 lanes. */
INLINE void range_reduce(struct avx2_range a, int32_t *top, int32_t *bottom)
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

INLINE struct avx2_range range_run(enum real_type real, const unsigned char *x, size_t n)
{
    const __m256i negative = _mm256_set1_epi32(INT32_MIN);
    const struct avx2_range none = {_mm256_setzero_si256(), negative};
    const size_t step = WIDTH * size_of_real(real);
    struct avx2_range a = none, b = none;
    size_t i = 0;
    if (n >= 8 * WIDTH) {
        struct avx2_range c = none, d = none;
        for (; i + 4 * WIDTH <= n; i += 4 * WIDTH, x += 4 * step) {
            a = range_add(a, load_real(x, real));
            b = range_add(b, load_real(x + step, real));
            c = range_add(c, load_real(x + 2 * step, real));
            d = range_add(d, load_real(x + 3 * step, real));
        }
        a = range_join(a, c);
        b = range_join(b, d);
    }
    for (; i + 2 * WIDTH <= n; i += 2 * WIDTH, x += 2 * step) {
        a = range_add(a, load_real(x, real));
        b = range_add(b, load_real(x + step, real));
    }
    if (i + WIDTH <= n) {
        a = range_add(a, load_real(x, real));
        i += WIDTH;
        x += step;
    }
    if (i < n)
        b = range_add(b, load_real_first(x, real, n - i));
    return range_join(a, b);
}

/* ---- halves --------------------------------------------------------- */

/* float16 and bfloat16 compare as integers, too. Their ranges are found 16 at once, and
 * converted at the end. */
INLINE bool is_half(enum real_type real)
{
    return real == REAL_FLOAT16 || real == REAL_BFLOAT16;
}

enum { HALVES = 2 * WIDTH };

INLINE struct avx2_range halves_none(void)
{
    return (struct avx2_range){_mm256_setzero_si256(), _mm256_set1_epi16(INT16_MIN)};
}

INLINE struct avx2_range halves_add(struct avx2_range a, __m256i bits)
{
    return (struct avx2_range){_mm256_max_epi16(a.top, bits),
                               _mm256_max_epu16(a.bottom, bits)};
}

INLINE __m256i load_halves(const unsigned char *x)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)x);
}

/* Converts half h of 16 lanes to float32. */
INLINE struct avx2_range halves_widen(enum real_type real, struct avx2_range a, int h)
{
    unsigned char top[HALVES * 2], bottom[HALVES * 2];
    _mm256_storeu_si256((__m256i *)(void *)top, a.top);
    _mm256_storeu_si256((__m256i *)(void *)bottom, a.bottom);
    return (struct avx2_range){_mm256_castps_si256(load_real(top + h * HALVES, real)),
                               _mm256_castps_si256(load_real(bottom + h * HALVES, real))};
}

INLINE struct avx2_range halves_run(enum real_type real, const unsigned char *x, size_t n)
{
    struct avx2_range a = halves_none(), b = a;
    size_t i = 0;
    for (; i + 2 * HALVES <= n; i += 2 * HALVES, x += 4 * HALVES) {
        a = halves_add(a, load_halves(x));
        b = halves_add(b, load_halves(x + 2 * HALVES));
    }
    a = (struct avx2_range){_mm256_max_epi16(a.top, b.top),
                            _mm256_max_epu16(a.bottom, b.bottom)};
    if (i + HALVES <= n) {
        a = halves_add(a, load_halves(x));
        i += HALVES;
        x += 2 * HALVES;
    }
    if (i < n) {
        unsigned char rest[2 * HALVES] = {0};
        memcpy(rest, x, (n - i) * 2);
        a = halves_add(a, load_halves(rest));
    }
    return range_join(halves_widen(real, a, 0), halves_widen(real, a, 1));
}

/* Extends ranges by `rows` rows, in steps of 16 columns. The last ones may be left. */
INLINE void halves_rows(enum real_type real, const unsigned char *x, size_t stride,
                        size_t rows, size_t columns, int32_t *top, int32_t *bottom)
{
    for (size_t c = 0; c + HALVES <= columns; c += HALVES, x += 2 * HALVES) {
        struct avx2_range all = halves_none();
        for (size_t r = 0; r < rows; r++)
            all = halves_add(all, load_halves(x + r * stride));
        for (int h = 0; h < 2; h++) {
            int32_t *t = top + c + h * WIDTH, *b = bottom + c + h * WIDTH;
            struct avx2_range range = {load_int(t), sign_flip(load_int(b))};
            range = range_join(range, halves_widen(real, all, h));
            store_int(t, range.top);
            store_int(b, sign_flip(range.bottom));
        }
    }
}

/* ---- any type ------------------------------------------------------- */

INLINE struct avx2_range range_any(enum real_type real, const unsigned char *x, size_t n)
{
    return is_half(real) ? halves_run(real, x, n) : range_run(real, x, n);
}

/* The largest lane of each of 8 vectors, in order. */
INLINE __m256i largest_of(const __m256i v[WIDTH])
{
    __m256i pair[4], four[2];
    for (int i = 0; i < 4; i++) /* a b a b | a b a b */
        pair[i] = _mm256_max_epi32(_mm256_unpacklo_epi32(v[2 * i], v[2 * i + 1]),
                                   _mm256_unpackhi_epi32(v[2 * i], v[2 * i + 1]));
    for (int i = 0; i < 2; i++) /* a b c d | a b c d */
        four[i] = _mm256_max_epi32(_mm256_unpacklo_epi64(pair[2 * i], pair[2 * i + 1]),
                                   _mm256_unpackhi_epi64(pair[2 * i], pair[2 * i + 1]));
    return _mm256_max_epi32(_mm256_permute2x128_si256(four[0], four[1], 0x20),
                            _mm256_permute2x128_si256(four[0], four[1], 0x31));
}

/* Finds the ranges of 8 runs together. */
INLINE void range_runs_8(enum real_type real, const unsigned char *x, size_t run,
                         int32_t *top, int32_t *bottom)
{
    __m256i tops[WIDTH], bottoms[WIDTH];
    for (size_t k = 0; k < WIDTH; k++) {
        struct avx2_range range = range_any(real, x + k * run * size_of_real(real), run);
        tops[k] = range.top;
        bottoms[k] = sign_flip(range.bottom);
    }
    store_int(top, _mm256_max_epi32(load_int(top), largest_of(tops)));
    store_int(bottom, _mm256_max_epi32(load_int(bottom), largest_of(bottoms)));
}

INLINE void range_all_runs(enum real_type real, const unsigned char *x, size_t run,
                           size_t count, int32_t *top, int32_t *bottom)
{
    const size_t step = run * size_of_real(real);
    size_t k = 0;
    for (; run == 32 && k + WIDTH <= count; k += WIDTH)
        range_runs_8(real, x + k * step, 32, top + k, bottom + k);
    for (; k < count; k++)
        range_reduce(range_any(real, x + k * step, run), &top[k], &bottom[k]);
}

KERNEL_RANGE_RUNS(avx2_range_runs){
    FOR_REAL(real, range_all_runs, x, run, count, top, bottom)}
/* Extends the ranges of n <= 8 columns. Rows lie `stride` bytes apart. */
INLINE void range_column(enum real_type real, const unsigned char *x, size_t stride,
                         size_t rows, size_t n, int32_t *top, int32_t *bottom)
{
    int32_t t[WIDTH] = {0}, b[WIDTH] = {0};
    struct avx2_range range;
    memcpy(t, top, n * sizeof *t);
    memcpy(b, bottom, n * sizeof *b);
    range = (struct avx2_range){load_int(t), sign_flip(load_int(b))};
    for (size_t r = 0; r < rows; r++)
        range = range_add(range, load_real_first(x + r * stride, real, n));
    store_int(t, range.top);
    store_int(b, sign_flip(range.bottom));
    memcpy(top, t, n * sizeof *t);
    memcpy(bottom, b, n * sizeof *b);
}

/* Extends ranges by `rows` rows, in steps of 8 columns. The last ones may be left. */
INLINE void range_rows(enum real_type real, const unsigned char *x, size_t stride,
                       size_t rows, size_t columns, int32_t *top, int32_t *bottom)
{
    const size_t step = WIDTH * size_of_real(real);
    for (size_t c = 0; c + WIDTH <= columns; c += WIDTH, x += step) {
        struct avx2_range range = {load_int(top + c), sign_flip(load_int(bottom + c))};
        for (size_t r = 0; r < rows; r++)
            range = range_add(range, load_real(x + r * stride, real));
        for (size_t r = 0; c * size_of_real(real) % 64 == 0 && r < rows; r++)
            fetch(x + r * stride, 1, ROWS_AHEAD * stride);
        store_int(top + c, range.top);
        store_int(bottom + c, sign_flip(range.bottom));
    }
}

INLINE void range_across(enum real_type real, const unsigned char *x, size_t stride,
                         size_t rows, size_t columns, int32_t *top, int32_t *bottom)
{
    if (is_half(real))
        halves_rows(real, x, stride, rows, columns, top, bottom);
    else
        range_rows(real, x, stride, rows, columns, top, bottom);
}

INLINE void range_all_columns(enum real_type real, const unsigned char *x, size_t stride,
                              size_t rows, size_t columns, int32_t *top, int32_t *bottom)
{
    const size_t width = is_half(real) ? HALVES : WIDTH,
                 rows_each = is_half(real) ? 8 : 4;
    const size_t size = size_of_real(real);
    size_t whole = columns - columns % width, r = 0;
    stride *= size;
    for (; whole < columns; whole += WIDTH)
        range_column(real, x + whole * size, stride, rows,
                     size_min(columns - whole, WIDTH), top + whole, bottom + whole);
    for (; r + rows_each <= rows; r += rows_each)
        range_across(real, x + r * stride, stride, rows_each, columns, top, bottom);
    for (; r < rows; r++)
        range_across(real, x + r * stride, stride, 1, columns, top, bottom);
}

KERNEL_RANGE_COLUMNS(avx2_range_columns)
{
    FOR_REAL(real, range_all_columns, x, stride, rows, columns, top, bottom)
}

#endif
