/* quant_encode and quant_pack4: codes of a range of elements, and their errors.
 * Cuts the range into what the kernels take: whole and partial runs, or strips
 * of columns. Scales and zero points are the caller's (fit.c). */
#include <math.h>

#include "core/sizes.h"
#include "quant/kernels/kernels.h"
#include "quant/layout.h"
#include "quant/quant.h"

enum {
    STRIP_COLUMNS = 1024,   /* columns at a time, where runs are short */
    MIN_COPIES = 4,         /* copies of a scale that are made at once */
    MAX_PREFETCH = 1 << 20, /* bytes: more would not stay in the cache until read */
};

struct encode {
    const struct kernels *kernels;
    const struct quant_type_info *type;
    struct quant_source source;
    const float *scales; /* of groups from `first_group` on */
    const uint8_t *zeros;
    size_t first_group;
    bool measure; /* errors are wanted, too */
    size_t ahead; /* bytes to what is likely to be read next */
    struct quant_sums sums;
};

static const void *encode_data(const struct encode *e, size_t element)
{
    return (const unsigned char *)e->source.data + element * real_size(e->source.type);
}

/* Encodes count * run adjacent elements; if measured, at most SUM_SEGMENT. */
static void encode_runs(struct encode *e, size_t element, size_t run, size_t count,
                        size_t group, uint8_t *codes)
{
    const struct kernels *k = e->kernels;
    float buffer[SUM_SEGMENT];
    const float_u *x = buffer;
    if (!e->measure) {
        k->codes_runs(encode_data(e, element), e->source.type, run, count, e->type,
                      e->scales + group, e->zeros + group, codes);
        return;
    }
    if (e->source.type == REAL_FLOAT32)
        x = encode_data(e, element);
    else
        k->widen[e->source.type](encode_data(e, element), run * count, buffer);
    k->encode_runs(x, run, count, e->type, e->scales + group, e->zeros + group, codes,
                   &e->sums);
}

/* Encodes columns [from, to) of one row; `element` is that of column 0, and
 * codes those of column `from`. */
static void encode_row(struct encode *e, const struct matrix *matrix, size_t element,
                       size_t from, size_t to, uint8_t *codes)
{
    size_t run = matrix->run;
    size_t group = matrix->group - e->first_group; /* may wrap around, and back */
    size_t most = e->measure ? SUM_SEGMENT : SIZE_MAX;
    for (size_t c = from, n; c < to; c += n, codes += n) {
        size_t left = size_min(run - c % run, to - c);
        size_t count = 1;
        n = size_min(left, most);
        if (left == run && run <= most) {
            count = size_min(most, to - c) / run;
            n = count * run;
        }
        encode_runs(e, element + c, n / count, count, group + c / run, codes);
    }
}

/* The power of two that scales are measured in, 1 <= largest / unit < 2. */
static float strip_unit(const float *scales, size_t n)
{
    float largest = 0;
    int exponent;
    for (size_t k = 0; k < n; k++)
        largest = scales[k] > largest ? scales[k] : largest;
    (void)frexpf(largest, &exponent);
    return ldexpf(1.0f, exponent - 1);
}

/* Encodes `rows` rows of `columns` <= STRIP_COLUMNS columns that have a scale each;
 * rows, of elements and of codes, lie `stride` apart. */
static void encode_strip(struct encode *e, size_t element, size_t stride, size_t rows,
                         size_t columns, const float *scales, const uint8_t *zeros,
                         uint8_t *codes)
{
    const struct kernels *k = e->kernels;
    float unit;
    if (!e->measure) {
        k->codes_columns(encode_data(e, element), e->source.type, stride, rows, columns,
                         e->type, scales, zeros, e->ahead, codes);
        return;
    }
    unit = strip_unit(scales, columns);
    for (size_t r = 0, n; r < rows; r += n, element += n * stride, codes += n * stride) {
        float buffer[SUM_SEGMENT];
        n = size_min(SUM_SEGMENT / columns, rows - r);
        if (e->source.type == REAL_FLOAT32) {
            k->encode_columns(encode_data(e, element), stride, n, columns, e->type,
                              scales, zeros, unit, codes, stride, &e->sums);
            continue;
        }
        for (size_t i = 0; i < n; i++)
            k->widen[e->source.type](encode_data(e, element + i * stride), columns,
                                     buffer + i * columns);
        k->encode_columns(buffer, columns, n, columns, e->type, scales, zeros, unit,
                          codes, stride, &e->sums);
    }
}

/* Repeats the scale and zero point of each group for its columns: for n columns
 * in runs of `run`, of which the first has `left` left. Stores MIN_COPIES at least,
 * even past a shorter run: the next group overwrites the rest. */
static void strip_expand(const float *scales, const uint8_t *zeros, size_t n, size_t run,
                         size_t left, float *restrict all_scales,
                         uint8_t *restrict all_zeros)
{
    for (size_t k = 0; k < n; k += left, left = run) {
        float scale = *scales++;
        uint8_t zero = *zeros++;
        size_t end = size_min(left, n - k);
        for (size_t i = 0; i < MIN_COPIES; i++) {
            all_scales[k + i] = scale;
            all_zeros[k + i] = zero;
        }
        for (size_t i = MIN_COPIES; i < end; i++) {
            all_scales[k + i] = scale;
            all_zeros[k + i] = zero;
        }
    }
}

/* Encodes columns [from, to) of `rows` rows in strips; arguments as encode_row. */
static void encode_columns(struct encode *e, const struct matrix *matrix, size_t element,
                           size_t rows, size_t from, size_t to, uint8_t *codes)
{
    size_t run = matrix->run;
    for (size_t c = from, n; c < to; c += n, codes += n) {
        size_t group = matrix->group + c / run - e->first_group;
        const float *scales = e->scales + group;
        const uint8_t *zeros = e->zeros + group;
        float all_scales[STRIP_COLUMNS + MIN_COPIES];
        uint8_t all_zeros[STRIP_COLUMNS + RUN_MIN];
        n = size_min(STRIP_COLUMNS, to - c);
        if (run > 1) {
            strip_expand(scales, zeros, n, run, run - c % run, all_scales, all_zeros);
            scales = all_scales;
            zeros = all_zeros;
        }
        encode_strip(e, element + c, matrix->columns, rows, n, scales, zeros, codes);
    }
}

/* Encodes columns [from, to) of `rows` rows from `row` on; codes are those of
 * the first element. */
static void encode_part(struct encode *e, const struct matrix *matrix, size_t row,
                        size_t rows, size_t from, size_t to, uint8_t *codes)
{
    size_t element = matrix->element + row * matrix->columns;
    if (!matrix_has_runs(matrix)) {
        encode_columns(e, matrix, element, rows, from, to, codes);
        return;
    }
    for (size_t r = 0; r < rows; r++)
        encode_row(e, matrix, element + r * matrix->columns, from, to,
                   codes + r * matrix->columns);
}

/* Encodes elements [begin, end) of a matrix, counted from its first: the rest of a
 * row, whole rows, the beginning of a row. */
static void encode_matrix(struct encode *e, const struct matrix *matrix, size_t begin,
                          size_t end, uint8_t *codes)
{
    size_t columns = matrix->columns;
    size_t row = begin / columns, from = begin % columns;
    size_t position = begin;
    if (from != 0) {
        size_t to = size_min(columns, from + (end - begin));
        encode_part(e, matrix, row++, 1, from, to, codes);
        position += to - from;
    }
    if (end - position >= columns) {
        size_t rows = (end - position) / columns;
        encode_part(e, matrix, row, rows, 0, columns, codes + (position - begin));
        row += rows;
        position += rows * columns;
    }
    if (position < end)
        encode_part(e, matrix, row, 1, 0, end - position, codes + (position - begin));
}

void quant_encode(const struct kernels *kernels, const struct quant_scheme *scheme,
                  struct quant_source source, const struct quant_shape *shape,
                  size_t begin, size_t end, size_t first_group, const float *scales,
                  const uint8_t *zeros, uint8_t *codes, struct quant_error *error)
{
    struct encode e = {.kernels = kernels,
                       .type = quant_type_info(scheme->type),
                       .source = source,
                       .scales = scales,
                       .zeros = zeros,
                       .first_group = first_group,
                       .measure = error != NULL};
    const double *s = e.sums.signal, *n = e.sums.noise;
    for (size_t at = begin, stop; at < end; codes += stop - at, at = stop) {
        struct matrix matrix = matrix_of_element(shape, at);
        stop = size_min(end, matrix.element + matrix.rows * matrix.columns);
        /* The next row of blocks; where groups reach over all rows, the next range. Some
         * rows below where that is too much. */
        e.ahead = (shape->block ? matrix.rows * matrix.columns : stop - at) *
                  real_size(source.type);
        if (e.ahead > MAX_PREFETCH)
            e.ahead = ROWS_AHEAD * matrix.columns * real_size(source.type);
        encode_matrix(&e, &matrix, at - matrix.element, stop - matrix.element, codes);
    }
    if (error == NULL)
        return;
    error->signal += (s[0] + s[1]) + (s[2] + s[3]);
    error->noise += (n[0] + n[1]) + (n[2] + n[3]);
}

void quant_pack4(const struct kernels *kernels, const uint8_t *codes, size_t n,
                 uint8_t *out)
{
    kernels->pack4(codes, n, out);
}
