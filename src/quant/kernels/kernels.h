/* The kernels: the inner loops. There is one table of kernels for each instruction set.
 * The kernels in scalar.c and scalar_search.c define the results; all others give the
 * same bits. Kernels know contiguous runs and columns, but no layouts (layout.h). */
#ifndef NIBBLE_QUANT_KERNELS_KERNELS_H
#define NIBBLE_QUANT_KERNELS_KERNELS_H

#include "core/sizes.h"
#include "quant/kernels/search_tile.h"
#include "quant/quant.h"

#include <stddef.h>
#include <stdint.h>

/* The order in which squared errors are added. They are first added as floats in LANES
 * lanes: element k, or column k, goes into lane k % LANES. So vectors of up to LANES
 * floats give the same bits. At most SUM_SEGMENT elements go into the lanes, which keeps
 * the floats exact enough. Then lanes l, l + 8, l + 4 and l + 12 are added in pairs, in
 * this order, and their sum is added to double number l of SUMS. */
enum { LANES = 16, SUMS = 4, SUM_SEGMENT = 4096 };

struct quant_sums {
    double signal[SUMS], noise[SUMS];
};

/* How many rows ahead columns are prefetched. Hardware does not foresee large strides. */
enum { ROWS_AHEAD = 8 };

/* c + ROUNDER - ROUNDER is c rounded to the nearest integer, ties to even, for |c| <
 * 2^22. The bits of c + ROUNDER are ROUNDER_BITS plus that integer. */
#define ROUNDER      12582912.0f /* 1.5 * 2^23 */
#define ROUNDER_BITS 0x4b400000

/* The signatures of the kernels. Each macro declares both the pointer in the table and
 * the functions that it can point to. */

/* Converts n values of a type other than float32 to float32. float64 is rounded. */
#define KERNEL_WIDEN(name) void name(const void *in, size_t n, float *out)

/* Rounds n floats to float16 or bfloat16, ties to even. */
#define KERNEL_NARROW(name) void name(const float *in, size_t n, void *out)

/* Extends top and bottom by the ranges of `count` adjacent runs of `run` values each.
 * They hold the bits, as float32, of max(0, max x) and max(0, -min x), and start from 0.
 * Floats >= 0 compare as integers do. NaN compares greater than infinity, so it is never
 * lost: a run is finite if both values are below the bits of infinity. It is unspecified
 * which of several NaNs remains. */
#define KERNEL_RANGE_RUNS(name)                                             \
    void name(const void *x, enum real_type real, size_t run, size_t count, \
              int32_t *top, int32_t *bottom)

/* The same for each of `columns` columns of a matrix. Rows lie `stride` values apart. */
#define KERNEL_RANGE_COLUMNS(name)                                            \
    void name(const void *x, enum real_type real, size_t stride, size_t rows, \
              size_t columns, int32_t *top, int32_t *bottom)

/* Makes the codes of `count` adjacent runs of `run` values. Run k has scales[k] and
 * zeros[k]. */
#define KERNEL_CODES_RUNS(name)                                             \
    void name(const void *x, enum real_type real, size_t run, size_t count, \
              const struct quant_type_info *type, const float *scales,      \
              const uint8_t *zeros, uint8_t *codes)

/* Makes the codes of a matrix of rows * columns values. Column k has scales[k] and
 * zeros[k]. Rows lie `stride` values, and `stride` codes, apart. The values read next are
 * likely to be `ahead` bytes further on; 0 means unknown. */
#define KERNEL_CODES_COLUMNS(name)                                                     \
    void name(const void *x, enum real_type real, size_t stride, size_t rows,          \
              size_t columns, const struct quant_type_info *type, const float *scales, \
              const uint8_t *zeros, size_t ahead, uint8_t *codes)

/* Makes the codes of runs of at most SUM_SEGMENT floats, and measures errors. With y = x
 * / s and l = q - z it adds y^2 and (y - l)^2, times s^2, to the sums. Lanes are added up
 * after each run. */
#define KERNEL_ENCODE_RUNS(name)                                       \
    void name(const float_u *x, size_t run, size_t count,              \
              const struct quant_type_info *type, const float *scales, \
              const uint8_t *zeros, uint8_t *codes, struct quant_sums *sums)

/* Makes the codes of a matrix of rows * columns <= SUM_SEGMENT floats, and measures
 * errors. Rows of codes lie `codes_stride` apart. The values y^2 and (y - l)^2 of a
 * column are added down the rows. Their sums, times (s / unit)^2, are added to the lane
 * of the column. In the end the lanes, times unit^2, are added to the sums. `unit` is a
 * power of two near the largest scale, which keeps the floats in range. A column with a
 * scale below 2^-60 of it adds nothing. */
#define KERNEL_ENCODE_COLUMNS(name)                                                  \
    void name(const float_u *x, size_t stride, size_t rows, size_t columns,          \
              const struct quant_type_info *type, const float *scales,               \
              const uint8_t *zeros, float unit, uint8_t *codes, size_t codes_stride, \
              struct quant_sums *sums)

/* Packs codes as quant_pack4 does. */
#define KERNEL_PACK4(name) void name(const uint8_t *codes, size_t n, uint8_t *out)

struct kernels {
    const char *name;
    KERNEL_WIDEN((*widen[REAL_FLOAT64 + 1])); /* NULL for float32 */
    KERNEL_NARROW((*narrow[REAL_BFLOAT16 + 1]));
    KERNEL_RANGE_RUNS((*range_runs));
    KERNEL_RANGE_COLUMNS((*range_columns));
    KERNEL_CODES_RUNS((*codes_runs));
    KERNEL_CODES_COLUMNS((*codes_columns));
    KERNEL_ENCODE_RUNS((*encode_runs));
    KERNEL_ENCODE_COLUMNS((*encode_columns));
    KERNEL_PACK4((*pack4));
    KERNEL_INTERLEAVE((*interleave));
    KERNEL_SEARCH_BINS((*search_bins));
    KERNEL_SEARCH_INTEGERS((*search_integers));
    KERNEL_SEARCH_TRIALS((*search_trials));
    KERNEL_SEARCH_ERRORS((*search_errors));
    KERNEL_SEARCH_WEIGHTED((*search_weighted));
};

KERNEL_NARROW(scalar_narrow_bfloat16); /* fast enough: compilers vectorise it */
KERNEL_INTERLEAVE(scalar_interleave);
KERNEL_SEARCH_BINS(scalar_search_bins);
KERNEL_SEARCH_INTEGERS(scalar_search_integers);
KERNEL_SEARCH_TRIALS(scalar_search_trials);
KERNEL_SEARCH_ERRORS(scalar_search_errors);
KERNEL_SEARCH_WEIGHTED(scalar_search_weighted);

extern const struct kernels kernels_scalar;
extern const struct kernels kernels_avx2, kernels_avx512; /* x86-64 only */

#endif
