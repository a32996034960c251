/* Numbers: from floats to integer codes, scales and zero points.
 *
 * Knows nothing of ONNX or files. A weight is an array of reals, row-major
 * [outer][dim][inner], whose elements fall into groups that share one scale s
 * and one zero point z, so that
 *
 *     x  ~  (q - z) * s,      q in [lo, hi] of the integer type
 *
 * Two steps: quant_fit finds s and z of groups, quant_encode makes the codes.
 * Both are pure functions of their arguments: the same bits on any CPU and for
 * any split of the work. Formulas: docs/numbers.md. */
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
    int lo, hi;     /* the range of codes */
    bool symmetric; /* the default: int is symmetric, uint is not */
};

const struct quant_type_info *quant_type_info(enum quant_type type);

/* The types a float weight, or a scale, comes in. Host and file are both
 * little-endian (core/endian.h refuses other hosts when compiled). */
enum real_type { REAL_FLOAT32, REAL_FLOAT16, REAL_BFLOAT16, REAL_FLOAT64 };

size_t real_size(enum real_type type); /* bytes of one element */

/* Rounds to the nearest value of the type (ties to even) and back to float32;
 * out of range gives infinity. Scales are float32, float16 or bfloat16. */
float real_round(enum real_type type, float value);

/* Writes n scales in their type to out (n * real_size(type) bytes). */
void real_store(enum real_type type, const float *values, size_t n, void *out);

/* Reads n values of any type, aligned or not, as float32: float64 is rounded, the
 * others widen exactly. */
void real_load(enum real_type type, const void *data, size_t n, float *out);

/* ---- groups --------------------------------------------------------- */

/* block == 0, per axis: all elements with the same index d of `dim` are one
 *   group; dim groups. Per tensor is outer = dim = 1.
 * block >= 1, blocked: elements [o][b*block .. b*block+block-1][i] are one
 *   group; the last block may be partial. Groups are counted row-major
 *   [outer][ceil(dim/block)][inner], as DequantizeLinear stores its scales. */
struct quant_shape {
    size_t outer, dim, inner;
    size_t block;
};

size_t quant_elements(const struct quant_shape *shape);
size_t quant_blocks(const struct quant_shape *shape); /* of one [dim]; 1 per axis */
size_t quant_groups(const struct quant_shape *shape);

/* ---- kernels -------------------------------------------------------- */

struct kernels; /* kernels/kernels.h */

/* The kernels of that name ("scalar", "avx2", "avx512"), or the fastest that
 * this CPU runs where name is NULL; NULL where the CPU or the build lacks it. */
const struct kernels *quant_kernels(const char *name);
const char *quant_kernels_name(const struct kernels *kernels);

/* real_round and real_store for n scales. */
void quant_round(const struct kernels *kernels, enum real_type type, float *scales,
                 size_t n);
void quant_store(const struct kernels *kernels, enum real_type type, const float *scales,
                 size_t n, void *out);

/* ---- fit and encode ------------------------------------------------- */

enum quant_method { QUANT_RTN, QUANT_SEARCH, QUANT_EXACT };

struct quant_scheme {
    enum quant_type type;
    bool symmetric; /* z is fixed: 0 for signed types, 2^(bits-1) for unsigned */
    enum quant_method method;
    enum real_type scale_type; /* scales are rounded to it before codes are chosen */
    bool mirrored; /* with symmetric: z may also be 1 less, which turns the grid round:
                    * -7..8 for int4, whose other end is 8 then. Zeros must be stored */
};

/* A weight as it lies in memory; data needs no alignment. */
struct quant_source {
    const void *data;
    enum real_type type;
};

enum quant_fit {
    QUANT_FIT_OK,
    QUANT_FIT_NOT_FINITE,  /* a NaN or an infinity among the elements */
    QUANT_FIT_SCALE_RANGE, /* scale_type can't hold a scale: it under- or overflows */
};

/* Finds scales and zero points of groups.
 *   per axis: those of d in [first, first + count); every group reads the
 *     whole of its elements, over all outer and inner.
 *   blocked: `first` and `count` count rows of blocks, (o, b) pairs in
 *     row-major order; each has `inner` groups.
 * `source` is the whole weight. scales[k] and zeros[k] belong to the k-th
 * group of the range; zeros are codes of the type, as bytes. On any result but
 * OK scales and zeros are unspecified; NOT_FINITE comes before SCALE_RANGE. */
enum quant_fit quant_fit(const struct kernels *kernels, const struct quant_scheme *scheme,
                         struct quant_source source, const struct quant_shape *shape,
                         size_t first, size_t count, float *scales, uint8_t *zeros);

/* How much errors matter: the squared error of element [o][d][i] counts
 * values[o * outer + d * dim + i * inner] times. So one weight for each index of the axis
 * that a MatMul sums over is inner = 1 for channels [N][K], outer = 1 for channels of
 * [K][N], and dim = 1 for blocks along K; the other strides are 0. Values are finite and
 * not negative; only their ratios within a group matter. */
struct quant_importance {
    const float *values;
    size_t outer, dim, inner;
};

/* quant_fit with the least error under weights, which are all ones where importance is
 * NULL. Never worse than QUANT_RTN under the same ones; that itself does not look at
 * them. */
enum quant_fit quant_fit_weighted(const struct kernels *kernels,
                                  const struct quant_scheme *scheme,
                                  struct quant_source source,
                                  const struct quant_importance *importance,
                                  const struct quant_shape *shape, size_t first,
                                  size_t count, float *scales, uint8_t *zeros);

/* For QUANT_RTN per axis, whose groups may reach over all of a weight: quant_fit
 * in pieces, of any cut, in any order, and the same bits. */

/* The range of what has been seen of a group; all zero before that. The bits of
 * max(0, max x) and max(0, -min x): NaN is above infinity, and stays. */
struct quant_range {
    int32_t top, bottom;
};

/* Extends the ranges of all groups by elements [begin, end); shape->block is 0. */
void quant_ranges_extend(const struct kernels *kernels, struct quant_source source,
                         const struct quant_shape *shape, size_t begin, size_t end,
                         struct quant_range *ranges);

/* Joins what two threads have seen of n groups. */
void quant_ranges_merge(struct quant_range *into, const struct quant_range *from,
                        size_t n);

/* Scales and zero points of n groups, as quant_fit's; ignores scheme->method. */
enum quant_fit quant_ranges_fit(const struct kernels *kernels,
                                const struct quant_scheme *scheme,
                                const struct quant_range *ranges, size_t n, float *scales,
                                uint8_t *zeros);

/* What quantizing costs: sums of x^2 and of (x - (q - z) * s)^2 over elements.
 * 10 * log10(signal / noise) is the error in dB. */
struct quant_error {
    double signal, noise;
};

/* Encodes elements [begin, end) of the weight, row-major, one code a byte
 * (two's complement for signed types). scales and zeros are those of the
 * groups from first_group on, which must cover the range. Adds to *error; without
 * one (NULL) it takes about half the time. */
void quant_encode(const struct kernels *kernels, const struct quant_scheme *scheme,
                  struct quant_source source, const struct quant_shape *shape,
                  size_t begin, size_t end, size_t first_group, const float *scales,
                  const uint8_t *zeros, uint8_t *codes, struct quant_error *error);

/* Packs n codes two a byte, the first in the low nibble; an odd last byte has
 * zero in its high nibble. out: (n + 1) / 2 bytes; may be `codes` itself. */
void quant_pack4(const struct kernels *kernels, const uint8_t *codes, size_t n,
                 uint8_t *out);

#endif
