/* Finds the ranges of groups: of a whole matrix for fit.c, or of a weight piece by piece.
 * rtn.c turns ranges into scales and zero points. */
#include "quant/ranges.h"
#include "quant/kernels/kernels.h"
#include "quant/rtn.h"

#include <string.h>

void range_row(const struct fit *fit, size_t element, size_t columns, size_t run,
               int32_t *top, int32_t *bottom)
{
    const struct kernels *k = fit->kernels;
    enum real_type real = fit->source.type;
    size_t whole = columns / run, rest = columns % run;
    k->range_runs(fit_data(fit, element), real, run, whole, top, bottom);
    if (rest != 0)
        k->range_runs(fit_data(fit, element + whole * run), real, rest, 1, top + whole,
                      bottom + whole);
}

void range_strip(const struct fit *fit, const struct matrix *matrix, size_t column,
                 size_t columns, int32_t *top, int32_t *bottom)
{
    fit->kernels->range_columns(fit_data(fit, matrix->element + column), fit->source.type,
                                matrix->columns, matrix->rows, columns, top, bottom);
}

static inline void fold(size_t columns, size_t run, int32_t *range)
{
    size_t groups = columns / run;
    for (size_t g = 0; g < groups; g++) {
        int32_t largest = 0;
        for (size_t i = 0; i < run; i++)
            largest = range[g * run + i] > largest ? range[g * run + i] : largest;
        range[g] = largest;
    }
    if (columns % run != 0) {
        int32_t largest = 0;
        for (size_t c = groups * run; c < columns; c++)
            largest = range[c] > largest ? range[c] : largest;
        range[groups] = largest;
    }
}

void range_fold(size_t columns, size_t run, int32_t *range)
{
    if (run == 2) /* a copy of the loop with a constant length */
        fold(columns, 2, range);
    else
        fold(columns, run, range);
}

/* ---- piece by piece ------------------------------------------------- */

/* The ranges of some groups, as the kernels write them. */
struct range_bits {
    int32_t top[RANGE_BATCH], bottom[RANGE_BATCH];
};

static void bits_merge(const struct range_bits *bits, size_t n,
                       struct quant_range *ranges)
{
    for (size_t k = 0; k < n; k++) {
        const struct quant_range range = {bits->top[k], bits->bottom[k]};
        quant_ranges_merge(ranges + k, &range, 1);
    }
}

/* Extends ranges by columns [from, to) of some rows of a matrix with runs of 1. */
static void extend_columns(const struct fit *fit, const struct matrix *rows, size_t from,
                           size_t to, struct quant_range *ranges)
{
    for (size_t c = from, n; c < to; c += n) {
        struct range_bits bits = {0};
        n = size_min(RANGE_BATCH, to - c);
        range_strip(fit, rows, c, n, bits.top, bits.bottom);
        bits_merge(&bits, n, ranges + c);
    }
}

/* Extends ranges by columns [from, to) of some rows of a matrix: the rest of a run, then
 * whole runs, then the beginning of a run. */
static void extend_runs(const struct fit *fit, const struct matrix *rows, size_t from,
                        size_t to, struct quant_range *ranges)
{
    size_t run = rows->run;
    for (size_t c = from, n; c < to; c += n) {
        struct range_bits bits = {0};
        size_t left = run - c % run;
        size_t groups = 1;
        n = size_min(left, to - c);
        if (left == run) {
            groups = size_min(RANGE_BATCH, (to - c - 1) / run + 1);
            n = size_min(groups * run, to - c);
        }
        for (size_t r = 0; r < rows->rows; r++)
            range_row(fit, rows->element + r * rows->columns + c, n, groups > 1 ? run : n,
                      bits.top, bits.bottom);
        bits_merge(&bits, groups, ranges + c / run);
    }
}

void quant_ranges_extend(const struct kernels *kernels, struct quant_source source,
                         const struct quant_shape *shape, size_t begin, size_t end,
                         struct quant_range *ranges)
{
    const struct fit fit = {.kernels = kernels, .source = source};
    for (size_t at = begin, n; at < end; at += n) {
        struct matrix rows = matrix_of_element(shape, at);
        size_t from = (at - rows.element) % rows.columns, to = rows.columns;
        rows.element = at - from;
        if (from != 0 || end - at < rows.columns) {
            rows.rows = 1;
            to = size_min(to, from + (end - at));
        } else {
            rows.rows = (end - at) / rows.columns;
        }
        (rows.run == 1 ? extend_columns : extend_runs)(&fit, &rows, from, to, ranges);
        n = (rows.rows - 1) * rows.columns + (to - from);
    }
}

void quant_ranges_merge(struct quant_range *into, const struct quant_range *from,
                        size_t n)
{
    for (size_t k = 0; k < n; k++) {
        into[k].top = from[k].top > into[k].top ? from[k].top : into[k].top;
        into[k].bottom =
            from[k].bottom > into[k].bottom ? from[k].bottom : into[k].bottom;
    }
}

enum quant_fit quant_ranges_fit(const struct kernels *kernels,
                                const struct quant_scheme *scheme,
                                const struct quant_range *ranges, size_t n, float *scales,
                                uint8_t *zeros)
{
    enum quant_fit result = QUANT_FIT_OK;
    for (size_t k = 0, count; k < n && result != QUANT_FIT_NOT_FINITE; k += count) {
        struct range_bits bits;
        count = size_min(RANGE_BATCH, n - k);
        for (size_t i = 0; i < count; i++) {
            bits.top[i] = ranges[k + i].top;
            bits.bottom[i] = ranges[k + i].bottom;
        }
        result = fit_worse(result, rtn_solve(kernels, scheme, count, bits.top,
                                             bits.bottom, scales + k, zeros + k));
    }
    return result;
}
