/* quant_fit: scales and zero points of a range of groups, band by band.
 * The methods are rows of a table; that of round to nearest is here, whose
 * formulas are rtn.c's. Codes are encode.c's. */

#include "quant/kernels/kernels.h"
#include "quant/layout.h"
#include "quant/quant.h"
#include "quant/rtn.h"

enum {
    GROUPS = 256,   /* groups fitted at a time, where runs are long */
    COLUMNS = 1024, /* columns at a time, where they are short */
};

struct fit {
    const struct kernels *kernels;
    const struct quant_scheme *scheme;
    struct quant_source source;
};

/* Fits `count` groups of a band, the first being the band's first + `from`. */
typedef enum quant_fit fit_method(const struct fit *fit, const struct band *band,
                                  size_t from, size_t count, float *scales,
                                  uint8_t *zeros);

static size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The result of two parts: NOT_FINITE before SCALE_RANGE, however they are cut. */
static enum quant_fit fit_worse(enum quant_fit a, enum quant_fit b)
{
    if (a == QUANT_FIT_OK || b == QUANT_FIT_NOT_FINITE)
        return b;
    return a;
}

static const void *fit_data(const struct fit *fit, size_t element)
{
    return (const unsigned char *)fit->source.data +
           element * real_size(fit->source.type);
}

/* ---- ranges --------------------------------------------------------- */

/* Merges `columns` adjacent elements in runs of `run`, of which the last may be
 * partial and then is the only one after whole ones. */
static void range_row(const struct fit *fit, size_t element, size_t columns, size_t run,
                      int32_t *top, int32_t *bottom)
{
    const struct kernels *k = fit->kernels;
    size_t whole = columns / run;

    if (fit->source.type == REAL_FLOAT32) {
        const float_u *x = fit_data(fit, element);

        k->range_runs(x, run, whole, top, bottom);
        if (columns % run != 0)
            k->range_runs(x + whole * run, columns % run, 1, top + whole, bottom + whole);
        return;
    }
    for (size_t c = 0, n; c < columns; c += n) {
        float buffer[SEGMENT];
        size_t left = size_min(run - c % run, columns - c);
        bool many = c % run == 0 && left == run && run <= SEGMENT;
        size_t count = many ? size_min(SEGMENT, columns - c) / run : 1;

        n = many ? count * run : size_min(left, SEGMENT);
        k->widen[fit->source.type](fit_data(fit, element + c), n, buffer);
        k->range_runs(buffer, n / count, count, top + c / run, bottom + c / run);
    }
}

/* Merges `columns` <= COLUMNS of a band, down all of its rows. */
static void range_strip(const struct fit *fit, const struct band *band, size_t column,
                        size_t columns, int32_t *top, int32_t *bottom)
{
    const struct kernels *k = fit->kernels;
    size_t step = SEGMENT / columns;

    if (fit->source.type == REAL_FLOAT32) {
        k->range_columns(fit_data(fit, band->element + column), band->columns, band->rows,
                         columns, top, bottom);
        return;
    }
    for (size_t r = 0, rows; r < band->rows; r += rows) {
        float buffer[SEGMENT];

        rows = size_min(step, band->rows - r);
        for (size_t i = 0; i < rows; i++) {
            size_t element = band->element + (r + i) * band->columns + column;

            k->widen[fit->source.type](fit_data(fit, element), columns,
                                       buffer + i * columns);
        }
        k->range_columns(buffer, columns, rows, columns, top, bottom);
    }
}

/* Folds the ranges of columns into those of groups of `run` columns, in place. */
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

static void range_fold(size_t columns, size_t run, int32_t *range)
{
    if (run == 2) /* a copy of the loop that knows it */
        fold(columns, 2, range);
    else
        fold(columns, run, range);
}

/* ---- round to nearest ----------------------------------------------- */

static enum quant_fit rtn_runs(const struct fit *fit, const struct band *band,
                               size_t from, size_t count, float *scales, uint8_t *zeros)
{
    int32_t top[GROUPS] = {0}, bottom[GROUPS] = {0};
    size_t column = from * band->run;
    size_t columns = size_min(count * band->run, band->columns - column);

    for (size_t r = 0; r < band->rows; r++)
        range_row(fit, band->element + r * band->columns + column, columns, band->run,
                  top, bottom);
    return rtn_solve(fit->scheme, count, top, bottom, scales, zeros);
}

static enum quant_fit rtn_columns(const struct fit *fit, const struct band *band,
                                  size_t from, size_t count, float *scales,
                                  uint8_t *zeros)
{
    int32_t top[COLUMNS] = {0}, bottom[COLUMNS] = {0};
    size_t column = from * band->run;
    size_t columns = size_min(count * band->run, band->columns - column);

    range_strip(fit, band, column, columns, top, bottom);
    if (band->run > 1) {
        range_fold(columns, band->run, top);
        range_fold(columns, band->run, bottom);
    }
    return rtn_solve(fit->scheme, count, top, bottom, scales, zeros);
}

static enum quant_fit fit_rtn(const struct fit *fit, const struct band *band, size_t from,
                              size_t count, float *scales, uint8_t *zeros)
{
    bool runs = band_has_runs(band);
    size_t step = runs ? GROUPS : COLUMNS / band->run;
    enum quant_fit result = QUANT_FIT_OK;

    for (size_t k = 0; k < count && result != QUANT_FIT_NOT_FINITE; k += step) {
        size_t n = size_min(step, count - k);
        enum quant_fit part = (runs ? rtn_runs : rtn_columns)(fit, band, from + k, n,
                                                              scales + k, zeros + k);

        result = fit_worse(result, part);
    }
    return result;
}

/* ---- methods -------------------------------------------------------- */

static fit_method *const methods[] = {
    [QUANT_RTN] = fit_rtn,
    [QUANT_SEARCH] = fit_rtn, /* until it has a function of its own */
    [QUANT_EXACT] = fit_rtn,
};

/* Groups without elements: as those that are all zero. */
static enum quant_fit fit_nothing(const struct quant_scheme *scheme, size_t count,
                                  float *scales, uint8_t *zeros)
{
    const int32_t none = 0;
    enum quant_fit result = QUANT_FIT_OK;

    for (size_t k = 0; k < count && result == QUANT_FIT_OK; k++)
        result = rtn_solve(scheme, 1, &none, &none, scales + k, zeros + k);
    return result;
}

enum quant_fit quant_fit(const struct kernels *kernels, const struct quant_scheme *scheme,
                         struct quant_source source, const struct quant_shape *shape,
                         size_t first, size_t count, float *scales, uint8_t *zeros)
{
    const struct fit fit = {kernels, scheme, source};
    size_t each = shape->block == 0 ? 1 : shape->inner;
    size_t group = first * each, end = (first + count) * each;
    enum quant_fit result = QUANT_FIT_OK;

    if (quant_elements(shape) == 0)
        return fit_nothing(scheme, end - group, scales, zeros);
    while (group < end && result != QUANT_FIT_NOT_FINITE) {
        struct band band = band_of_group(shape, group);
        size_t from = group - band.group;
        size_t n = size_min(band_groups(&band) - from, end - group);

        result = fit_worse(result,
                           methods[scheme->method](&fit, &band, from, n, scales, zeros));
        scales += n;
        zeros += n;
        group += n;
    }
    return result;
}
