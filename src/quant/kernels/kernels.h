/* The kernels: the inner loops, one table of them for each instruction set.
 * kernels/scalar.c defines their results; every other table equals it bit for
 * bit. They know of contiguous runs and of columns; layouts are layout.h's. */
#ifndef NIBBLE_QUANT_KERNELS_KERNELS_H
#define NIBBLE_QUANT_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "core/sizes.h"
#include "quant/kernels/search_tile.h"
#include "quant/quant.h"

/* Squared errors are added up as floats in this many lanes, element k (or
 * column k) in lane k % LANES, so that any vector of up to LANES floats gives
 * the same bits. Lane l, l + 8, l + 4 and l + 12 are then added, in that order
 * of pairs, into SUMS doubles. At most SUM_SEGMENT elements go into the lanes
 * before that happens, so that the floats stay exact enough. */
enum { LANES = 16, SUMS = 4, SUM_SEGMENT = 4096 };

struct quant_sums {
    double signal[SUMS], noise[SUMS];
};

/* So far below rows are fetched while columns are read: nothing foresees a stride. */
enum { ROWS_AHEAD = 8 };

/* c + ROUNDER - ROUNDER is c rounded to the nearest integer, ties to even, for
 * |c| < 2^22. The bits of the first sum are those of ROUNDER plus the integer. */
#define ROUNDER      12582912.0f /* 1.5 * 2^23 */
#define ROUNDER_BITS 0x4b400000

/* Each kernel's signature, once: it declares the pointer in the table and the
 * function that goes there. */

/* n values of a type other than float32, rounded to float32. */
#define KERNEL_WIDEN(name) void name(const void *in, size_t n, float *out)

/* n floats, rounded to float16 or bfloat16: ties to even. */
#define KERNEL_NARROW(name) void name(const float *in, size_t n, void *out)

/* Merges the ranges of `count` adjacent runs of `run` values each into top and
 * bottom: the bits, as float32, of max(0, max x) and of max(0, -min x). Floats
 * without sign order as integers do, so that NaN comes out above infinity and is
 * never lost: a run is finite when both are below the bits of infinity. Starts from
 * 0. Which NaN comes out of several is not said. */
#define KERNEL_RANGE_RUNS(name)                                             \
    void name(const void *x, enum real_type real, size_t run, size_t count, \
              int32_t *top, int32_t *bottom)

/* The same for each of `columns` columns of a matrix whose rows lie `stride`
 * values apart. */
#define KERNEL_RANGE_COLUMNS(name)                                            \
    void name(const void *x, enum real_type real, size_t stride, size_t rows, \
              size_t columns, int32_t *top, int32_t *bottom)

/* Codes of `count` adjacent runs of `run` values, the k-th with scales[k] and
 * zeros[k]. */
#define KERNEL_CODES_RUNS(name)                                             \
    void name(const void *x, enum real_type real, size_t run, size_t count, \
              const struct quant_type_info *type, const float *scales,      \
              const uint8_t *zeros, uint8_t *codes)

/* Codes of a matrix of rows * columns values, column k with scales[k] and zeros[k];
 * rows lie `stride` values and codes apart. What lies `ahead` bytes further is likely
 * to be read next; 0: not known. */
#define KERNEL_CODES_COLUMNS(name)                                                     \
    void name(const void *x, enum real_type real, size_t stride, size_t rows,          \
              size_t columns, const struct quant_type_info *type, const float *scales, \
              const uint8_t *zeros, size_t ahead, uint8_t *codes)

/* The same codes of runs of <= SUM_SEGMENT floats, and errors. With y = x / s and l = q -
 * z it adds y^2 and (y - l)^2, times s^2, to the sums; the lanes are emptied after each
 * run. */
#define KERNEL_ENCODE_RUNS(name)                                       \
    void name(const float_u *x, size_t run, size_t count,              \
              const struct quant_type_info *type, const float *scales, \
              const uint8_t *zeros, uint8_t *codes, struct quant_sums *sums)

/* The same codes of a matrix of rows * columns <= SUM_SEGMENT floats, whose codes lie
 * `codes_stride` apart, and errors. Each column's y^2 and (y - l)^2 are added up down the
 * rows, then go times (s / unit)^2 into its lane, and at the end times unit^2 to the
 * sums. `unit` is a power of two near the largest scale, which keeps them in range (a
 * column whose scale is below 2^-60 of it adds nothing). */
#define KERNEL_ENCODE_COLUMNS(name)                                                  \
    void name(const float_u *x, size_t stride, size_t rows, size_t columns,          \
              const struct quant_type_info *type, const float *scales,               \
              const uint8_t *zeros, float unit, uint8_t *codes, size_t codes_stride, \
              struct quant_sums *sums)

/* quant_pack4 */
#define KERNEL_PACK4(name) void name(const uint8_t *codes, size_t n, uint8_t *out)

struct kernels {
    const char *name;
    KERNEL_WIDEN((*widen[REAL_FLOAT64 + 1])); /* none for float32 */
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
};

KERNEL_NARROW(scalar_narrow_bfloat16); /* compilers make vectors of its loop */
KERNEL_INTERLEAVE(scalar_interleave);
KERNEL_SEARCH_BINS(scalar_search_bins);
KERNEL_SEARCH_INTEGERS(scalar_search_integers);
KERNEL_SEARCH_TRIALS(scalar_search_trials);
KERNEL_SEARCH_ERRORS(scalar_search_errors);

extern const struct kernels kernels_scalar;
extern const struct kernels kernels_avx2, kernels_avx512; /* x86-64 only */

#endif
