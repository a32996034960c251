/* quant_encode and quant_pack4: makes the codes of a range of elements, and measures
 * their errors. Cuts the range into what the kernels take: whole and partial runs, or
 * strips of columns. The caller brings the scales and zero points, which fit.c finds. */
#include "core/sizes.h"
#include "quant/kernels/kernels.h"
#include "quant/layout.h"
#include "quant/quant.h"

#include <math.h>

enum {
    STRIP_COLUMNS = 1024,   /* columns encoded at once if runs are short */
    MIN_COPIES = 4,         /* copies of a scale made without a loop */
    MAX_PREFETCH = 1 << 20, /* bytes: more would leave the cache before use */
};

struct encode {
    const struct kernels *kernels;
    const struct quant_type_info *type;
    struct quant_source source;
    const float *scales;  /* one for each group, from first_group on */
    const uint8_t *zeros; /* likewise */
    size_t first_group;
    bool measure; /* whether the caller wants errors */
    size_t ahead; /* prefetch this many bytes ahead; 0: don't */
    struct quant_sums sums;
};

static const void *encode_data(const struct encode *e, size_t element)
{
    return (const unsigned char *)e->source.data + element * real_size(e->source.type);
}

/* Encodes count * run adjacent elements: at most SUM_SEGMENT if errors are measured. */
static void encode_runs(struct encode *e, size_t element, size_t run, size_t count,
                        size_t group, uint8_t *codes)
{
    const struct kernels *k = e->kernels;
    if (!e->measure) {
        k->codes_runs(encode_data(e, element), e->source.type, run, count, e->type,
                      e->scales + group, e->zeros + group, codes);
        return;
    }
    float buffer[SUM_SEGMENT];
    const float_u *x = buffer;
    if (e->source.type == REAL_FLOAT32)
        x = encode_data(e, element);
    else
        k->widen[e->source.type](encode_data(e, element), run * count, buffer);
    k->encode_runs(x, run, count, e->type, e->scales + group, e->zeros + group, codes,
                   &e->sums);
}

/* Encodes columns [from, to) of one row. `element` is the index of column 0; codes[0] is
 * for column `from`. */
static void encode_row(struct encode *e, const struct matrix *matrix, size_t element,
                       size_t from, size_t to, uint8_t *codes)
{
    size_t run = matrix->run;
    size_t group = matrix->group -
                   e->first_group; /* may wrap around; adding c / run wraps it back */
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

/* Returns the power of two with 1 <= largest scale / unit < 2. */
static float strip_unit(const float *scales, size_t n)
{
    float largest = 0;
    for (size_t k = 0; k < n; k++)
        largest = scales[k] > largest ? scales[k] : largest;
    int exponent;
    (void)frexpf(largest, &exponent);
    return ldexpf(1.0f, exponent - 1);
}

/* Encodes `rows` rows of `columns` <= STRIP_COLUMNS columns, each with its own scale.
 * Rows lie `stride` elements, and `stride` codes, apart. */
static void encode_strip(struct encode *e, size_t element, size_t stride, size_t rows,
                         size_t columns, const float *scales, const uint8_t *zeros,
                         uint8_t *codes)
{
    const struct kernels *k = e->kernels;
    if (!e->measure) {
        k->codes_columns(encode_data(e, element), e->source.type, stride, rows, columns,
                         e->type, scales, zeros, e->ahead, codes);
        return;
    }
    const float unit = strip_unit(scales, columns);
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

/* Repeats the scale and zero point of each group for each of its columns. There are n
 * columns in runs of `run`; the first run has `left` columns left. Always writes at least
 * MIN_COPIES; the next group overwrites what a shorter run did not need. */
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

/* Encodes columns [from, to) of `rows` rows, strip by strip. Arguments are those of
 * encode_row. */
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

/* Encodes columns [from, to) of `rows` rows, from row number `row` on. codes[0] is for
 * the first of these elements. */
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

/* Encodes elements [begin, end) of a matrix: first the rest of a row, then whole rows,
 * then the beginning of a row. */
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
                       .measure = error};
    const double *s = e.sums.signal, *n = e.sums.noise;
    for (size_t at = begin, stop; at < end; codes += stop - at, at = stop) {
        struct matrix matrix = matrix_of_element(shape, at);
        stop = size_min(end, matrix.element + matrix.rows * matrix.columns);
        /* The next elements to be read are those of the next row of blocks, or of the
         * next range if groups reach over all rows. If that is too far away, fetch a few
         * rows ahead instead. */
        e.ahead = (shape->block ? matrix.rows * matrix.columns : stop - at) *
                  real_size(source.type);
        if (e.ahead > MAX_PREFETCH)
            e.ahead = ROWS_AHEAD * matrix.columns * real_size(source.type);
        encode_matrix(&e, &matrix, at - matrix.element, stop - matrix.element, codes);
    }
    if (!error)
        return;
    error->signal += (s[0] + s[1]) + (s[2] + s[3]);
    error->noise += (n[0] + n[1]) + (n[2] + n[3]);
}

void quant_pack4(const struct kernels *kernels, const uint8_t *codes, size_t n,
                 uint8_t *out)
{
    kernels->pack4(codes, n, out);
}
