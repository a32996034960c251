/* Makes codes without measuring errors, for AVX2 and FMA, from values of any type. Gives
 * the same bits as scalar.c. avx2_encode.c makes codes and measures errors. Empty on
 * other architectures than x86-64.
 *
 * The quotient x / s is found without a division. With r = 1 / s, rounded, and q = x * r,
 * the corrected quotient is q + (x - q * s) * r, in fused operations. It is x / s rounded
 * once, as a division would give, or for some x the float beside that. This could matter
 * only near a tie. There q is no further from x / s than the two floats around x / s, so
 * x - q * s is exact, and the corrected quotient is the rounded one (Markstein 1990).
 * For scales near the ends of the range of floats such products would overflow or
 * underflow. The scalar kernel handles those. */
#include "quant/kernels/kernels.h"

#if defined(__x86_64__)

#include "quant/kernels/avx2.h"

static const float least_scale = 0x1p-90f, largest_scale = 0x1p90f;

/* 8 scales, their reciprocals, and the values that one code more than the highest
 * stands for. Values are clamped to these before rounding: otherwise a large quotient
 * would become the least integer. Very negative quotients may become that; it is
 * clamped later. */
struct fused_grid {
    __m256 scale, inverse, hi;
};

enum { GRID_BATCH = 64 };

/* The reciprocals and the largest values of some groups. */
struct fused_grids {
    float inverse[GRID_BATCH], hi[GRID_BATCH];
};

INLINE void grids_make(struct fused_grids *grids, const struct quant_type_info *type,
                       const float *scales, const uint8_t *zeros, size_t count)
{
    const int above = type->hi + 1;
    for (size_t k = 0; k < count; k++) {
        int zero = type->lo + (uint8_t)(zeros[k] - type->lo);
        grids->inverse[k] = 1 / scales[k];
        grids->hi[k] = (float)(above - zero) * scales[k];
    }
}

/* The grid of 8 groups at once, with the same bits. Zero points are counted from the
 * lowest code; `steps` is the highest one. */
INLINE struct fused_grid grid_make(int steps, __m256 scale, __m256i zero)
{
    __m256 above =
        _mm256_sub_ps(_mm256_set1_ps((float)(steps + 1)), _mm256_cvtepi32_ps(zero));
    return (struct fused_grid){scale, _mm256_div_ps(_mm256_set1_ps(1), scale),
                               _mm256_mul_ps(above, scale)};
}

/* Returns 8 codes, counted from the zero point and not yet clamped. */
INLINE __m256i grid_round(const struct fused_grid *grid, __m256 x)
{
    __m256 c = _mm256_min_ps(x, grid->hi);
    __m256 q = _mm256_mul_ps(c, grid->inverse);
    __m256 rest = _mm256_fnmadd_ps(q, grid->scale, c);
    return _mm256_cvtps_epi32(_mm256_fmadd_ps(rest, grid->inverse, q));
}

/* Packs 16 codes as words and adds zero points. The order is the first four of a and b,
 * then the second four. */
INLINE __m256i words_make(__m256i a, __m256i b, __m256i zero)
{
    return _mm256_add_epi16(_mm256_packs_epi32(a, b), zero);
}

/* The range of the codes of a type, as bytes. */
struct code_limits {
    __m256i steps, lo;
};

INLINE struct code_limits ends_of(const struct quant_type_info *type)
{
    return (struct code_limits){_mm256_set1_epi8((char)(type->hi - type->lo)),
                                _mm256_set1_epi8((char)type->lo)};
}

/* Clamps 32 words of words_make and turns them into bytes, in the order of the values. */
INLINE __m256i bytes_make(__m256i first, __m256i second, const struct code_limits *ends)
{
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i bytes = _mm256_packus_epi16(first, second);
    bytes = _mm256_add_epi8(_mm256_min_epu8(bytes, ends->steps), ends->lo);
    return _mm256_permutevar8x32_epi32(bytes, order);
}

/* ---- runs ----------------------------------------------------------- */

INLINE __m256i run_words(enum real_type real, const unsigned char *x,
                         const struct fused_grid *grid, __m256i zero)
{
    const size_t step = WIDTH * size_of_real(real);
    return words_make(grid_round(grid, load_real(x, real)),
                      grid_round(grid, load_real(x + step, real)), zero);
}

INLINE void codes_run(enum real_type real, const unsigned char *x, size_t run,
                      const struct fused_grid *grid, __m256i zero,
                      const struct code_limits *ends, size_t ahead, uint8_t *codes)
{
    const size_t step = LANES * size_of_real(real);
    size_t i = 0;
    for (; i + 2 * LANES <= run; i += 2 * LANES, x += 2 * step) {
        __m256i bytes = bytes_make(run_words(real, x, grid, zero),
                                   run_words(real, x + step, grid, zero), ends);
        fetch(x, 2 * step, ahead);
        _mm256_storeu_si256((__m256i *)(void *)(codes + i), bytes);
    }
    if (i < run) {
        unsigned char values[2 * LANES * sizeof(double)] = {0};
        uint8_t bytes[2 * LANES];
        memcpy(values, x, (run - i) * size_of_real(real));
        __m256i made = bytes_make(run_words(real, values, grid, zero),
                                  run_words(real, values + step, grid, zero), ends);
        _mm256_storeu_si256((__m256i *)(void *)bytes, made);
        memcpy(codes + i, bytes, run - i);
    }
}

INLINE void codes_all_runs(enum real_type real, const unsigned char *x, size_t run,
                           size_t count, const struct quant_type_info *type,
                           const float *scales, const uint8_t *zeros, uint8_t *codes)
{
    const struct code_limits ends = ends_of(type);
    const size_t step = run * size_of_real(real), ahead = step * count;
    struct fused_grids grids;
    for (size_t k = 0; k < count; k++, x += step, codes += run) {
        const size_t g = k % GRID_BATCH;
        if (g == 0)
            grids_make(&grids, type, scales + k, zeros + k,
                       size_min(count - k, GRID_BATCH));
        if (!(scales[k] >= least_scale && scales[k] <= largest_scale)) {
            kernels_scalar.codes_runs(x, real, run, 1, type, scales + k, zeros + k,
                                      codes);
            continue;
        }
        const struct fused_grid grid = {_mm256_broadcast_ss(&scales[k]),
                                        _mm256_broadcast_ss(&grids.inverse[g]),
                                        _mm256_broadcast_ss(&grids.hi[g])};
        codes_run(real, x, run, &grid, _mm256_set1_epi16((uint8_t)(zeros[k] - type->lo)),
                  &ends, ahead, codes);
    }
}

/* Blocks of 32 get their own copy of the loop, with a constant length. */
INLINE void codes_any_runs(enum real_type real, const unsigned char *x, size_t run,
                           size_t count, const struct quant_type_info *type,
                           const float *scales, const uint8_t *zeros, uint8_t *codes)
{
    if (run == 32)
        codes_all_runs(real, x, 32, count, type, scales, zeros, codes);
    else
        codes_all_runs(real, x, run, count, type, scales, zeros, codes);
}

KERNEL_CODES_RUNS(avx2_codes_runs)
{
    FOR_REAL(real, codes_any_runs, x, run, count, type, scales, zeros, codes)
}

/* ---- columns -------------------------------------------------------- */

/* The scales and zero points of 16 columns. */
struct fused_columns {
    struct fused_grid grid[2];
    __m256i zero; /* in the order of words_make */
    struct code_limits ends;
};

/* Returns false if a scale is too near the ends of the range of floats. */
INLINE bool columns_make(struct fused_columns *columns,
                         const struct quant_type_info *type, const float *scales,
                         const uint8_t *zeros)
{
    const __m256 least = _mm256_set1_ps(least_scale);
    const __m256 most = _mm256_set1_ps(largest_scale);
    __m128i zero = _mm_sub_epi8(load_bytes(zeros), _mm_set1_epi8((char)type->lo));
    __m256 a = _mm256_loadu_ps(scales), b = _mm256_loadu_ps(scales + WIDTH);
    __m256 low = _mm256_cmp_ps(_mm256_min_ps(a, b), least, _CMP_GE_OQ);
    __m256 high = _mm256_cmp_ps(_mm256_max_ps(a, b), most, _CMP_LE_OQ);
    int steps = type->hi - type->lo;
    columns->grid[0] = grid_make(steps, a, _mm256_cvtepu8_epi32(zero));
    columns->grid[1] =
        grid_make(steps, b, _mm256_cvtepu8_epi32(_mm_unpackhi_epi64(zero, zero)));
    columns->zero =
        _mm256_permute4x64_epi64(_mm256_cvtepu8_epi16(zero), _MM_SHUFFLE(3, 1, 2, 0));
    columns->ends = ends_of(type);
    return _mm256_movemask_ps(_mm256_and_ps(low, high)) == 0xff;
}

INLINE __m256i columns_words(enum real_type real, const unsigned char *x,
                             const struct fused_columns *columns)
{
    const size_t step = WIDTH * size_of_real(real);
    return words_make(grid_round(&columns->grid[0], load_real(x, real)),
                      grid_round(&columns->grid[1], load_real(x + step, real)),
                      columns->zero);
}

/* Encodes `rows` rows of 16 * count columns, two rows at once. Rows lie `stride` bytes,
 * and `codes_stride` codes, apart. */
INLINE void codes_rows(enum real_type real, const unsigned char *x, size_t stride,
                       size_t rows, const struct fused_columns *columns, size_t count,
                       size_t ahead, uint8_t *codes, size_t codes_stride)
{
    const size_t step = LANES * size_of_real(real);
    for (size_t k = 0; k < count; k++, x += step, codes += LANES) {
        const struct fused_columns these = columns[k];
        for (size_t r = 0; r < rows; r += 2) {
            const unsigned char *at = x + r * stride;
            __m256i first = columns_words(real, at, &these);
            __m256i second =
                r + 1 < rows ? columns_words(real, at + stride, &these) : first;
            __m256i bytes = bytes_make(first, second, &these.ends);
            fetch(at, step, ahead);
            if (r + 1 < rows)
                fetch(at + stride, step, ahead);
            store_bytes(codes + r * codes_stride, _mm256_castsi256_si128(bytes));
            if (r + 1 < rows)
                store_bytes(codes + (r + 1) * codes_stride,
                            _mm256_extracti128_si256(bytes, 1));
        }
    }
}

/* Columns encoded together, row by row. Their scales, and some rows, stay in the
 * first-level cache. */
enum { CODE_STRIP = 32 * LANES };

/* Returns false if a scale is too near the ends of the range of floats. */
INLINE bool codes_strip(enum real_type real, const unsigned char *x, size_t stride,
                        size_t rows, size_t columns, const struct quant_type_info *type,
                        const float *scales, const uint8_t *zeros, size_t ahead,
                        uint8_t *codes)
{
    const size_t row = stride * size_of_real(real), count = columns / LANES;
    struct fused_columns made[CODE_STRIP / LANES];
    size_t r = 0;
    for (size_t k = 0; k < count; k++)
        if (!columns_make(&made[k], type, scales + k * LANES, zeros + k * LANES))
            return false;
    for (; r + 4 <= rows; r += 4)
        codes_rows(real, x + r * row, row, 4, made, count, ahead, codes + r * stride,
                   stride);
    for (; r < rows; r++)
        codes_rows(real, x + r * row, row, 1, made, count, ahead, codes + r * stride,
                   stride);
    return true;
}

INLINE void codes_all_columns(enum real_type real, const unsigned char *x, size_t stride,
                              size_t rows, size_t columns,
                              const struct quant_type_info *type, const float *scales,
                              const uint8_t *zeros, size_t ahead, uint8_t *codes)
{
    const size_t size = size_of_real(real);
    for (size_t c = 0, n; c < columns; c += n) {
        n = size_min(columns - c, CODE_STRIP);
        if (n > LANES)
            n -= n % LANES;
        if (n < LANES || !codes_strip(real, x + c * size, stride, rows, n, type,
                                      scales + c, zeros + c, ahead, codes + c))
            kernels_scalar.codes_columns(x + c * size, real, stride, rows, n, type,
                                         scales + c, zeros + c, ahead, codes + c);
    }
}

KERNEL_CODES_COLUMNS(avx2_codes_columns)
{
    FOR_REAL(real, codes_all_columns, x, stride, rows, columns, type, scales, zeros,
             ahead, codes)
}

#endif
