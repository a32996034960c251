/* Turns floats into integer codes, scales and zero points. Knows nothing about ONNX or
 * files.
 *
 * A weight is an array of reals, row-major [outer][dim][inner]. Its elements are divided
 * into groups. The elements of a group share one scale s and one zero point z, so that
 *
 *     x  ~  (q - z) * s,      q in [lo, hi] of the integer type
 *
 * There are two steps: quant_fit finds s and z for each group, quant_encode makes the
 * codes q. Both are pure functions of their arguments. They give the same bits on any
 * CPU, and for any division of the work. docs/developers/numbers.md has the formulas. */
#ifndef NIBBLE_QUANT_QUANT_H
#define NIBBLE_QUANT_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- types ---------------------------------------------------------- */

enum quant_type { QUANT_INT4, QUANT_UINT4, QUANT_INT8, QUANT_UINT8, QUANT_TYPES };

struct quant_type_info {
    const char *name; /* "int4", as on the command line */
    int bits;
    int lo;         /* the lowest code */
    int hi;         /* the highest code */
    bool symmetric; /* the default: true for int, false for uint */
};

const struct quant_type_info *quant_type_info(enum quant_type type);

/* The types of float weights and of scales. Host and file are both little-endian:
 * core/endian.h does not compile on other hosts. */
enum real_type { REAL_FLOAT32, REAL_FLOAT16, REAL_BFLOAT16, REAL_FLOAT64 };

size_t real_size(enum real_type type); /* bytes of one element */

/* Rounds to the nearest value of the type, ties to even. Values out of range become
 * infinite. Scales are float32, float16 or bfloat16. */
float real_round(enum real_type type, float value);

/* Writes n scales to out, converted to the type: n * real_size(type) bytes. */
void real_store(enum real_type type, const float *values, size_t n, void *out);

/* Reads n values of any type as float32. The data need not be aligned. float64 is
 * rounded; the other types are converted exactly. */
void real_load(enum real_type type, const void *data, size_t n, float *out);

/* ---- groups --------------------------------------------------------- */

/* How a weight is divided into groups.
 *
 * Per axis, block == 0: all elements with the same index d of `dim` are one group, so
 *   there are dim groups. Per tensor is the same with outer = dim = 1.
 * Blocked, block >= 1: elements [o][b*block .. b*block+block-1][i] are one group. The
 *   last block may be partial. Groups are numbered row-major
 *   [outer][ceil(dim/block)][inner], as DequantizeLinear stores its scales. */
struct quant_shape {
    size_t outer, dim, inner;
    size_t block;
};

size_t quant_elements(const struct quant_shape *shape);
size_t quant_blocks(const struct quant_shape *shape); /* along dim; per axis: 1 */
size_t quant_groups(const struct quant_shape *shape);
size_t quant_group_of(const struct quant_shape *shape, size_t element);

/* ---- kernels -------------------------------------------------------- */

struct kernels; /* kernels/kernels.h */

/* Returns the kernels of that name: "scalar", "avx2" or "avx512". NULL stands for the
 * fastest kernels that this CPU can run. Returns NULL if the CPU or the build lacks
 * them. */
const struct kernels *quant_kernels(const char *name);
const char *quant_kernels_name(const struct kernels *kernels);

/* real_round and real_store for n scales, by the kernels. */
void quant_round(const struct kernels *kernels, enum real_type type, float *scales,
                 size_t n);
void quant_store(const struct kernels *kernels, enum real_type type, const float *scales,
                 size_t n, void *out);

/* ---- fit and encode ------------------------------------------------- */

enum quant_method { QUANT_RTN, QUANT_SEARCH, QUANT_EXACT };

struct quant_scheme {
    enum quant_type type;
    bool symmetric; /* z is fixed: 0 for signed types, 2^(bits-1) for unsigned ones */
    enum quant_method method;
    enum real_type scale_type; /* scales are rounded to it before codes are made */
    /* If also symmetric: z may be 1 less, which mirrors the grid. With int4 it then
     * represents -7..8 instead of -8..7. The file must store the zero points. */
    bool mirrored;
    /* A scale too small for scale_type is rounded up to its next value. Right for weights
     * of that type: they are multiples of its least value, so no error gets larger than
     * what the type itself can tell apart. Otherwise it is QUANT_FIT_SCALE_RANGE. */
    bool raise_scales;
    /* NULL, or a flag. Once it is not 0, a fit may stop early. Its result is then
     * unspecified. */
    const volatile int *stop;
};

/* A weight in memory. */
struct quant_source {
    const void *data; /* need not be aligned */
    enum real_type type;
};

enum quant_fit {
    QUANT_FIT_OK,
    QUANT_FIT_NOT_FINITE,  /* an element is NaN or infinite */
    QUANT_FIT_SCALE_RANGE, /* a scale is too large or too small for scale_type */
};

/* Finds the scales and zero points of a range of groups.
 *
 * Per axis: the groups with d in [first, first + count).
 * Blocked: `first` and `count` count rows of blocks, which are the pairs (o, b) in
 *   row-major order. Each row has `inner` groups.
 *
 * `source` is the whole weight. scales[k] and zeros[k] belong to the k-th group of the
 * range. Zero points are codes of the type, as bytes. If the result is not OK, scales and
 * zeros are unspecified. NOT_FINITE comes before SCALE_RANGE. */
enum quant_fit quant_fit(const struct kernels *kernels, const struct quant_scheme *scheme,
                         struct quant_source source, const struct quant_shape *shape,
                         size_t first, size_t count, float *scales, uint8_t *zeros);

/* How much the errors of elements matter. The squared error of element [o][d][i] counts
 * values[o * outer + d * dim + i * inner] times. Usually there is one value for each
 * index of the axis that a MatMul sums over. Then one stride is 1 and the others are 0:
 * inner for channels of [N][K], outer for channels of [K][N], dim for blocks along K. */
struct quant_importance {
    const float *values;      /* finite and >= 0; only ratios within a group matter */
    size_t outer, dim, inner; /* strides */
};

/* quant_fit with the least weighted error. Without importance (NULL) all weights are 1.
 * The weighted error is never larger than that of QUANT_RTN, which ignores importance. */
enum quant_fit quant_fit_weighted(const struct kernels *kernels,
                                  const struct quant_scheme *scheme,
                                  struct quant_source source,
                                  const struct quant_importance *importance,
                                  const struct quant_shape *shape, size_t first,
                                  size_t count, float *scales, uint8_t *zeros);

/* Groups per axis may reach over a whole weight. For QUANT_RTN the following functions
 * do the work of quant_fit in pieces. They give the same bits for any pieces, in any
 * order. */

/* The range of the elements of a group that have been seen so far. Begin with zeros.
 * Values are the bits of floats. NaN compares greater than infinity, so it is never
 * lost. */
struct quant_range {
    int32_t top;    /* max(0, max x) */
    int32_t bottom; /* max(0, -min x) */
};

/* Extends the ranges of all groups by elements [begin, end). shape->block must be 0. */
void quant_ranges_extend(const struct kernels *kernels, struct quant_source source,
                         const struct quant_shape *shape, size_t begin, size_t end,
                         struct quant_range *ranges);

/* Merges the ranges of n groups that another thread has seen into `into`. */
void quant_ranges_merge(struct quant_range *into, const struct quant_range *from,
                        size_t n);

/* Finds scales and zero points of n groups, as quant_fit does. Ignores scheme->method. */
enum quant_fit quant_ranges_fit(const struct kernels *kernels,
                                const struct quant_scheme *scheme,
                                const struct quant_range *ranges, size_t n, float *scales,
                                uint8_t *zeros);

/* The error of quantization. 10 * log10(signal / noise) is the signal-to-noise ratio in
 * dB. */
struct quant_error {
    double signal; /* the sum of x^2 */
    double noise;  /* the sum of (x - (q - z) * s)^2 */
};

/* Encodes elements [begin, end) of the weight, in row-major order. Writes one code a
 * byte, in two's complement for signed types. scales and zeros begin with those of
 * first_group and must cover the range. Adds to *error. `error` may be NULL, which takes
 * about half the time. */
void quant_encode(const struct kernels *kernels, const struct quant_scheme *scheme,
                  struct quant_source source, const struct quant_shape *shape,
                  size_t begin, size_t end, size_t first_group, const float *scales,
                  const uint8_t *zeros, uint8_t *codes, struct quant_error *error);

/* Packs n codes into (n + 1) / 2 bytes, the first code of each pair in the low nibble. If
 * n is odd, the last high nibble is 0. out may be `codes` itself. */
void quant_pack4(const struct kernels *kernels, const uint8_t *codes, size_t n,
                 uint8_t *out);

#endif
