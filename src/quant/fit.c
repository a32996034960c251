/* quant_fit: scales and zero points of a range of groups, band by band.
 * The methods are rows of a table; that of round to nearest is here, whose
 * formulas are rtn.c's. Codes are encode.c's. */
#include "quant/fit.h"
#include "quant/ranges.h"
#include "quant/rtn.h"

enum { GROUPS = 256 }; /* groups fitted at a time, where runs are long */

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
    return rtn_solve(fit->kernels, fit->scheme, count, top, bottom, scales, zeros);
}

static enum quant_fit rtn_columns(const struct fit *fit, const struct band *band,
                                  size_t from, size_t count, float *scales,
                                  uint8_t *zeros)
{
    int32_t top[RANGES] = {0}, bottom[RANGES] = {0};
    size_t column = from * band->run;
    size_t columns = size_min(count * band->run, band->columns - column);

    range_strip(fit, band, column, columns, top, bottom);
    if (band->run > 1) {
        range_fold(columns, band->run, top);
        range_fold(columns, band->run, bottom);
    }
    return rtn_solve(fit->kernels, fit->scheme, count, top, bottom, scales, zeros);
}

enum quant_fit fit_rtn(const struct fit *fit, const struct band *band, size_t from,
                       size_t count, float *scales, uint8_t *zeros)
{
    bool runs = band_has_runs(band);
    size_t step = runs ? GROUPS : RANGES / band->run;
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
    [QUANT_SEARCH] = fit_search,
    [QUANT_EXACT] = fit_exact,
};

/* Groups without elements: as those that are all zero. */
static enum quant_fit fit_nothing(const struct fit *fit, size_t count, float *scales,
                                  uint8_t *zeros)
{
    const int32_t none = 0;
    enum quant_fit result = QUANT_FIT_OK;

    for (size_t k = 0; k < count && result == QUANT_FIT_OK; k++)
        result =
            rtn_solve(fit->kernels, fit->scheme, 1, &none, &none, scales + k, zeros + k);
    return result;
}

enum quant_fit quant_fit_weighted(const struct kernels *kernels,
                                  const struct quant_scheme *scheme,
                                  struct quant_source source,
                                  const struct quant_importance *importance,
                                  const struct quant_shape *shape, size_t first,
                                  size_t count, float *scales, uint8_t *zeros)
{
    const struct fit fit = {kernels, scheme, source, shape, importance};
    size_t each = shape->block == 0 ? 1 : shape->inner;
    size_t group = first * each, end = (first + count) * each;
    enum quant_fit result = QUANT_FIT_OK;

    if (quant_elements(shape) == 0)
        return fit_nothing(&fit, end - group, scales, zeros);
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

enum quant_fit quant_fit(const struct kernels *kernels, const struct quant_scheme *scheme,
                         struct quant_source source, const struct quant_shape *shape,
                         size_t first, size_t count, float *scales, uint8_t *zeros)
{
    return quant_fit_weighted(kernels, scheme, source, NULL, shape, first, count, scales,
                              zeros);
}
