/* Makes codes and measures errors, for AVX2. Gives the same bits as scalar.c. Compiled
 * with -mavx2 -mf16c but never with -mfma, because fused operations round differently.
 * Empty on other architectures than x86-64. */
#include "quant/kernels/kernels.h"

#if defined(__x86_64__)

#include "quant/kernels/avx2.h"

/* LANES floats each. */
struct avx2_lanes {
    __m256 signal[2], noise[2];
};

/* SUMS doubles each. */
struct avx2_totals {
    __m256d signal, noise;
};

/* 8 scales and zero points, as in struct scalar_grid. */
struct avx2_grid {
    __m256 scale;
    __m256 lo, hi;
    __m256i bias; /* ROUNDER_BITS, less the zero point counted from type->lo */
};

/* zero: zero points counted from type->lo. steps: hi - lo. */
INLINE struct avx2_grid grid_make(__m256i steps, __m256 scale, __m256i zero)
{
    __m256i lo = _mm256_sub_epi32(_mm256_setzero_si256(), zero);
    __m256i hi = _mm256_sub_epi32(steps, zero);
    return (struct avx2_grid){scale, _mm256_cvtepi32_ps(lo), _mm256_cvtepi32_ps(hi),
                              _mm256_sub_epi32(_mm256_set1_epi32(ROUNDER_BITS), zero)};
}

/* Rounds y to l. Returns the codes, counted from type->lo. */
INLINE __m256i grid_round(const struct avx2_grid *grid, __m256 y, __m256 *l)
{
    const __m256 rounder = _mm256_set1_ps(ROUNDER);
    __m256 c = _mm256_min_ps(_mm256_max_ps(y, grid->lo), grid->hi);
    __m256 sum = _mm256_add_ps(c, rounder);
    *l = _mm256_sub_ps(sum, rounder);
    return _mm256_sub_epi32(_mm256_castps_si256(sum), grid->bias);
}

INLINE void square_add(__m256 *sum, __m256 v)
{
    *sum = _mm256_add_ps(*sum, _mm256_mul_ps(v, v));
}

/* Encodes 8 floats. Their errors go into half h of the lanes. */
INLINE __m256i encode_step(const struct avx2_grid *grid, __m256 x,
                           struct avx2_lanes *lanes, int h)
{
    __m256 l, y = _mm256_div_ps(x, grid->scale);
    __m256i code = grid_round(grid, y, &l);
    square_add(&lanes->signal[h], y);
    square_add(&lanes->noise[h], _mm256_sub_ps(y, l));
    return code;
}

/* Packs 16 codes, counted from lo, into bytes. */
INLINE __m128i codes_pack(__m256i a, __m256i b, __m128i lo)
{
    __m256i words = _mm256_packs_epi32(a, b); /* a b | a b, four of each */
    __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words),
                                     _mm256_extracti128_si256(words, 1));
    return _mm_add_epi8(_mm_shuffle_epi32(bytes, _MM_SHUFFLE(3, 1, 2, 0)), lo);
}

/* Adds lanes l and l + 8, then l + 4 and l + 12, then both sums. */
INLINE __m256d lanes_fold(const __m256 *half)
{
    __m256 sum = _mm256_add_ps(half[0], half[1]);
    return _mm256_cvtps_pd(
        _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1)));
}

INLINE void lanes_flush(const struct avx2_lanes *lanes, double unit,
                        struct avx2_totals *totals)
{
    __m256d square = _mm256_set1_pd(unit * unit);
    totals->signal =
        _mm256_add_pd(totals->signal, _mm256_mul_pd(lanes_fold(lanes->signal), square));
    totals->noise =
        _mm256_add_pd(totals->noise, _mm256_mul_pd(lanes_fold(lanes->noise), square));
}

INLINE void encode_run(const float_u *x, size_t run, const struct avx2_grid *grid,
                       __m128i lo, struct avx2_lanes *lanes, uint8_t *codes)
{
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i lo2 = _mm256_broadcastsi128_si256(lo);
    size_t i = 0;
    for (; i + 2 * LANES <= run; i += 2 * LANES) {
        __m256i a = encode_step(grid, load(x + i), lanes, 0);
        __m256i b = encode_step(grid, load(x + i + 8), lanes, 1);
        __m256i c = encode_step(grid, load(x + i + 16), lanes, 0);
        __m256i d = encode_step(grid, load(x + i + 24), lanes, 1);
        __m256i bytes =
            _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
        bytes = _mm256_add_epi8(_mm256_permutevar8x32_epi32(bytes, order), lo2);
        _mm256_storeu_si256((__m256i *)(void *)(codes + i), bytes);
    }
    if (i + LANES <= run) {
        __m256i a = encode_step(grid, load(x + i), lanes, 0);
        __m256i b = encode_step(grid, load(x + i + 8), lanes, 1);
        store_bytes(codes + i, codes_pack(a, b, lo));
        i += LANES;
    }
    if (i < run) { /* elements beyond the run are 0 and have no error */
        size_t n = run - i;
        __m256i a = encode_step(grid, load_first(x + i, n), lanes, 0);
        __m256i b = encode_step(grid, load_second(x + i, n), lanes, 1);
        store_bytes_first(codes + i, codes_pack(a, b, lo), n);
    }
}

/* Adds up the lanes of several runs at once. If each run did so at its end, the chain of
 * additions would keep the divisions of the next run from starting. */
enum { FLUSH_RUNS = 8 };

INLINE void encode_all(const float_u *x, size_t run, size_t count,
                       const struct quant_type_info *type, const float *scales,
                       const uint8_t *zeros, uint8_t *codes, struct quant_sums *sums)
{
    const int lowest = type->lo;
    const __m128i lo = _mm_set1_epi8((char)lowest);
    const __m256i steps = _mm256_set1_epi32(type->hi - lowest);
    struct avx2_totals totals = {_mm256_loadu_pd(sums->signal),
                                 _mm256_loadu_pd(sums->noise)};
    for (size_t k = 0, n; k < count; k += n) {
        struct avx2_lanes lanes[FLUSH_RUNS];
        n = size_min(count - k, FLUSH_RUNS);
        for (size_t i = 0; i < n; i++, x += run, codes += run) {
            __m256i zero = _mm256_set1_epi32((uint8_t)(zeros[k + i] - lowest));
            struct avx2_grid grid = grid_make(steps, _mm256_set1_ps(scales[k + i]), zero);
            struct avx2_lanes errors = {0};
            encode_run(x, run, &grid, lo, &errors, codes);
            lanes[i] = errors;
        }
        for (size_t i = 0; i < n; i++)
            lanes_flush(&lanes[i], (double)scales[k + i], &totals);
    }
    _mm256_storeu_pd(sums->signal, totals.signal);
    _mm256_storeu_pd(sums->noise, totals.noise);
}

/* Blocks of 32 get their own copy of the loop, with a constant length. */
KERNEL_ENCODE_RUNS(avx2_encode_runs)
{
    if (run == 32)
        encode_all(x, 32, count, type, scales, zeros, codes, sums);
    else
        encode_all(x, run, count, type, scales, zeros, codes, sums);
}

/* The grids of 16 columns. */
INLINE void grid_load(struct avx2_grid grid[2], const struct quant_type_info *type,
                      const float *scales, const uint8_t *zeros)
{
    const __m256i steps = _mm256_set1_epi32(type->hi - type->lo);
    __m128i zero = _mm_sub_epi8(load_bytes(zeros), _mm_set1_epi8((char)type->lo));
    grid[0] = grid_make(steps, _mm256_loadu_ps(scales), _mm256_cvtepu8_epi32(zero));
    zero = _mm_unpackhi_epi64(zero, zero);
    grid[1] =
        grid_make(steps, _mm256_loadu_ps(scales + WIDTH), _mm256_cvtepu8_epi32(zero));
}

/* Adds the errors of 16 columns, which are in units of each column's scale. */
INLINE void lanes_add(struct avx2_lanes *lanes, const struct avx2_lanes *column,
                      const struct avx2_grid grid[2], __m256 inverse)
{
    for (int h = 0; h < 2; h++) {
        __m256 w = _mm256_mul_ps(grid[h].scale, inverse);
        w = _mm256_mul_ps(w, w);
        lanes->signal[h] =
            _mm256_add_ps(lanes->signal[h], _mm256_mul_ps(column->signal[h], w));
        lanes->noise[h] =
            _mm256_add_ps(lanes->noise[h], _mm256_mul_ps(column->noise[h], w));
    }
}

KERNEL_ENCODE_COLUMNS(avx2_encode_columns)
{
    const __m128i lo = _mm_set1_epi8((char)type->lo);
    const __m256 inverse = _mm256_set1_ps(1.0f / unit);
    struct avx2_totals totals = {_mm256_loadu_pd(sums->signal),
                                 _mm256_loadu_pd(sums->noise)};
    struct avx2_lanes lanes = {0};
    size_t c = 0;
    for (; c + LANES <= columns; c += LANES) {
        struct avx2_lanes column = {0};
        struct avx2_grid grid[2];
        grid_load(grid, type, scales + c, zeros + c);
        for (size_t r = 0; r < rows; r++) {
            const float_u *at = x + r * stride + c;
            __m256i a = encode_step(&grid[0], load(at), &column, 0);
            __m256i b = encode_step(&grid[1], load(at + WIDTH), &column, 1);
            store_bytes(codes + r * codes_stride + c, codes_pack(a, b, lo));
        }
        lanes_add(&lanes, &column, grid, inverse);
    }
    if (c < columns) { /* missing columns are 0 and have no error */
        size_t n = columns - c;
        float scale[LANES];
        uint8_t zero[LANES] = {0};
        struct avx2_lanes column = {0};
        struct avx2_grid grid[2];
        for (size_t l = 0; l < LANES; l++)
            scale[l] = l < n ? scales[c + l] : unit;
        memcpy(zero, zeros + c, n);
        grid_load(grid, type, scale, zero);
        for (size_t r = 0; r < rows; r++) {
            const float_u *at = x + r * stride + c;
            __m256i a = encode_step(&grid[0], load_first(at, n), &column, 0);
            __m256i b = encode_step(&grid[1], load_second(at, n), &column, 1);
            store_bytes_first(codes + r * codes_stride + c, codes_pack(a, b, lo), n);
        }
        lanes_add(&lanes, &column, grid, inverse);
    }
    lanes_flush(&lanes, (double)unit, &totals);
    _mm256_storeu_pd(sums->signal, totals.signal);
    _mm256_storeu_pd(sums->noise, totals.noise);
}

#endif
