/* The kernels in plain C. They define every result, on any CPU, so they are written to be
 * simple, not fast. They need IEEE 754 floats without excess precision, contraction or
 * flushing of subnormals. */
#include "quant/half.h"
#include "quant/kernels/kernels.h"

#include <float.h>

#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "nibble needs float arithmetic without excess precision (on x86: SSE2)"
#endif

static KERNEL_WIDEN(widen_float16)
{
    const unsigned char *bytes = in;
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, bytes + i * sizeof half, sizeof half);
        out[i] = half_widen(half);
    }
}

static KERNEL_WIDEN(widen_bfloat16)
{
    const unsigned char *bytes = in;
    for (size_t i = 0; i < n; i++) {
        uint16_t bfloat;
        memcpy(&bfloat, bytes + i * sizeof bfloat, sizeof bfloat);
        out[i] = bfloat_widen(bfloat);
    }
}

static KERNEL_WIDEN(widen_float64)
{
    const unsigned char *bytes = in;
    for (size_t i = 0; i < n; i++) {
        double value;
        memcpy(&value, bytes + i * sizeof value, sizeof value);
        out[i] = (float)value;
    }
}

/* ---- narrowing ------------------------------------------------------ */

static KERNEL_NARROW(narrow_float16)
{
    unsigned char *bytes = out;
    for (size_t i = 0; i < n; i++) {
        uint16_t half = half_narrow(in[i]);
        memcpy(bytes + i * sizeof half, &half, sizeof half);
    }
}

KERNEL_NARROW(scalar_narrow_bfloat16)
{
    unsigned char *bytes = out;
    for (size_t i = 0; i < n; i++) {
        uint16_t bfloat = bfloat_narrow(in[i]);
        memcpy(bytes + i * sizeof bfloat, &bfloat, sizeof bfloat);
    }
}

/* ---- ranges --------------------------------------------------------- */

static inline void range_merge(float x, int32_t *top, int32_t *bottom)
{
    int32_t up = (int32_t)float_bits(x);
    int32_t down = (int32_t)(float_bits(x) ^ 0x80000000u);
    *top = up > *top ? up : *top;
    *bottom = down > *bottom ? down : *bottom;
}

enum { WIDEN_BATCH = 256 }; /* values converted at once */

static const float_u *batch_floats(const void *x, enum real_type real, size_t at,
                                   size_t n, float buffer[WIDEN_BATCH])
{
    const unsigned char *bytes = x;
    bytes += at * real_size(real);
    if (real == REAL_FLOAT32)
        return (const float_u *)(const void *)bytes;
    kernels_scalar.widen[real](bytes, n, buffer);
    return buffer;
}

static KERNEL_RANGE_RUNS(range_runs)
{
    for (size_t k = 0; k < count; k++) {
        int32_t up = top[k], down = bottom[k];
        for (size_t i = 0, n; i < run; i += n) {
            float buffer[WIDEN_BATCH];
            n = size_min(run - i, WIDEN_BATCH);
            const float_u *batch = batch_floats(x, real, k * run + i, n, buffer);
            for (size_t j = 0; j < n; j++)
                range_merge(batch[j], &up, &down);
        }
        top[k] = up;
        bottom[k] = down;
    }
}

static KERNEL_RANGE_COLUMNS(range_columns)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0, n; c < columns; c += n) {
            float buffer[WIDEN_BATCH];
            n = size_min(columns - c, WIDEN_BATCH);
            const float_u *batch = batch_floats(x, real, r * stride + c, n, buffer);
            for (size_t j = 0; j < n; j++)
                range_merge(batch[j], &top[c + j], &bottom[c + j]);
        }
    }
}

/* ---- codes ---------------------------------------------------------- */

struct scalar_lanes {
    float signal[LANES], noise[LANES];
};

/* The scales and zero points of LANES elements. */
struct scalar_grid {
    float scale[LANES];
    float lo[LANES]; /* the lower limit of l = q - z */
    float hi[LANES]; /* the upper limit of l */
    int zero[LANES]; /* l + zero is the code */
};

static inline void grid_set(struct scalar_grid *grid, size_t l,
                            const struct quant_type_info *type, float scale, uint8_t zero)
{
    int z = type->lo + (uint8_t)(zero - type->lo);
    grid->scale[l] = scale;
    grid->lo[l] = (float)(type->lo - z);
    grid->hi[l] = (float)(type->hi - z);
    grid->zero[l] = z;
}

/* Returns l = q - z for y = x / s. It makes no difference whether clamping comes before
 * rounding, because the limits are integers. The comparisons are those of maxps and
 * minps. */
static inline float grid_round(const struct scalar_grid *restrict grid, size_t i, float y)
{
    float c = y > grid->lo[i] ? y : grid->lo[i];
    c = c < grid->hi[i] ? c : grid->hi[i];
    return (c + ROUNDER) - ROUNDER;
}

static inline void codes_step(const struct scalar_grid *restrict grid,
                              const float_u *restrict x, size_t n,
                              uint8_t *restrict codes)
{
    for (size_t i = 0; i < n; i++)
        codes[i] =
            (uint8_t)((int)grid_round(grid, i, x[i] / grid->scale[i]) + grid->zero[i]);
}

/* Encodes n <= LANES elements. */
static inline void encode_step(const struct scalar_grid *restrict grid,
                               const float_u *restrict x, size_t n,
                               struct scalar_lanes *restrict lanes,
                               uint8_t *restrict codes)
{
    for (size_t i = 0; i < n; i++) {
        float y = x[i] / grid->scale[i];
        float l = grid_round(grid, i, y);
        float e = y - l;
        lanes->signal[i] += y * y;
        lanes->noise[i] += e * e;
        codes[i] = (uint8_t)((int)l + grid->zero[i]);
    }
}

/* Adds the errors of n columns, which are in units of each column's scale. */
static inline void lanes_add(struct scalar_lanes *lanes,
                             const struct scalar_lanes *column, size_t n,
                             const struct scalar_grid *grid, float inverse)
{
    for (size_t i = 0; i < n; i++) {
        float w = grid->scale[i] * inverse;
        lanes->signal[i] += column->signal[i] * (w * w);
        lanes->noise[i] += column->noise[i] * (w * w);
    }
}

static inline void lanes_flush(const struct scalar_lanes *lanes, double unit,
                               struct quant_sums *sums)
{
    const float *s = lanes->signal, *n = lanes->noise;
    for (size_t l = 0; l < SUMS; l++) {
        float signal = (s[l] + s[l + 8]) + (s[l + 4] + s[l + 12]);
        float noise = (n[l] + n[l + 8]) + (n[l + 4] + n[l + 12]);
        sums->signal[l] += (double)signal * (unit * unit);
        sums->noise[l] += (double)noise * (unit * unit);
    }
}

static KERNEL_ENCODE_RUNS(encode_runs)
{
    for (size_t k = 0; k < count; k++, x += run, codes += run) {
        struct scalar_lanes lanes = {0};
        struct scalar_grid grid;
        size_t i = 0;
        for (size_t l = 0; l < LANES; l++)
            grid_set(&grid, l, type, scales[k], zeros[k]);
        for (; i + LANES <= run; i += LANES)
            encode_step(&grid, x + i, LANES, &lanes, codes + i);
        encode_step(&grid, x + i, run - i, &lanes, codes + i);
        lanes_flush(&lanes, (double)scales[k], sums);
    }
}

static KERNEL_ENCODE_COLUMNS(encode_columns)
{
    struct scalar_lanes lanes = {0};
    for (size_t c = 0; c < columns; c += LANES) {
        size_t n = size_min(columns - c, LANES);
        struct scalar_lanes column = {0};
        struct scalar_grid grid;
        for (size_t l = 0; l < n; l++)
            grid_set(&grid, l, type, scales[c + l], zeros[c + l]);
        for (size_t r = 0; r < rows; r++) {
            const float_u *from = x + r * stride + c;
            uint8_t *to = codes + r * codes_stride + c;
            if (n == LANES)
                encode_step(&grid, from, LANES, &column, to);
            else
                encode_step(&grid, from, n, &column, to);
        }
        lanes_add(&lanes, &column, n, &grid, 1.0f / unit);
    }
    lanes_flush(&lanes, (double)unit, sums);
}

static KERNEL_CODES_RUNS(codes_runs)
{
    for (size_t k = 0; k < count; k++) {
        struct scalar_grid grid;
        for (size_t l = 0; l < LANES; l++)
            grid_set(&grid, l, type, scales[k], zeros[k]);
        for (size_t i = 0, n; i < run; i += n) {
            float buffer[WIDEN_BATCH];
            size_t j = 0;
            n = size_min(run - i, WIDEN_BATCH);
            const float_u *batch = batch_floats(x, real, k * run + i, n, buffer);
            for (; j + LANES <= n; j += LANES)
                codes_step(&grid, batch + j, LANES, codes + k * run + i + j);
            codes_step(&grid, batch + j, n - j, codes + k * run + i + j);
        }
    }
}

static KERNEL_CODES_COLUMNS(codes_columns)
{
    (void)ahead; /* prefetching is left to the hardware */
    for (size_t c = 0; c < columns; c += LANES) {
        size_t n = size_min(columns - c, LANES);
        struct scalar_grid grid;
        for (size_t l = 0; l < n; l++)
            grid_set(&grid, l, type, scales[c + l], zeros[c + l]);
        for (size_t r = 0; r < rows; r++) {
            float buffer[WIDEN_BATCH];
            codes_step(&grid, batch_floats(x, real, r * stride + c, n, buffer), n,
                       codes + r * stride + c);
        }
    }
}

static KERNEL_PACK4(pack4)
{
    for (size_t i = 0; i + 1 < n; i += 2)
        out[i / 2] = (uint8_t)((codes[i] & 15) | codes[i + 1] << 4);
    if (n % 2 != 0)
        out[n / 2] = codes[n - 1] & 15;
}

const struct kernels kernels_scalar = {
    .name = "scalar",
    .widen = {[REAL_FLOAT16] = widen_float16,
              [REAL_BFLOAT16] = widen_bfloat16,
              [REAL_FLOAT64] = widen_float64},
    .narrow = {[REAL_FLOAT16] = narrow_float16, [REAL_BFLOAT16] = scalar_narrow_bfloat16},
    .range_runs = range_runs,
    .range_columns = range_columns,
    .codes_runs = codes_runs,
    .codes_columns = codes_columns,
    .encode_runs = encode_runs,
    .encode_columns = encode_columns,
    .pack4 = pack4,
    .interleave = scalar_interleave,
    .search_bins = scalar_search_bins,
    .search_integers = scalar_search_integers,
    .search_trials = scalar_search_trials,
    .search_errors = scalar_search_errors,
    .search_weighted = scalar_search_weighted,
};
