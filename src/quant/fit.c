/* quant_fit: finds scales and zero points for a range of groups, matrix by matrix. Holds
 * the table of methods, and reads the ranges for round to nearest. rtn.c has the
 * formulas; encode.c makes the codes. */
#include "quant/fit.h"
#include "quant/ranges.h"
#include "quant/rtn.h"

#include <stddef.h>
#include <stdlib.h>

enum {
    RUN_GROUPS = 256,    /* groups fitted at once if runs are long */
    LONG_WORK = 4 << 20, /* elements read before the stop flag is looked at again */
};

/* ---- round to nearest ----------------------------------------------- */

static enum quant_fit rtn_runs(const struct fit *fit, const struct matrix *matrix,
                               size_t from, size_t count, float *scales, uint8_t *zeros)
{
    int32_t top[RUN_GROUPS] = {0}, bottom[RUN_GROUPS] = {0};
    size_t column = from * matrix->run;
    size_t columns = size_min(count * matrix->run, matrix->columns - column);
    size_t most = count == 1 ? LONG_WORK : columns; /* one run can be cut */
    for (size_t r = 0; r < matrix->rows; r++) {
        size_t element = matrix->element + r * matrix->columns + column;
        for (size_t c = 0, n; c < columns && !is_stopped(fit->scheme->stop); c += n) {
            n = size_min(most, columns - c);
            range_row(fit, element + c, n, count == 1 ? n : matrix->run, top, bottom);
        }
    }
    return rtn_solve(fit->kernels, fit->scheme, count, top, bottom, scales, zeros);
}

static enum quant_fit rtn_columns(const struct fit *fit, const struct matrix *matrix,
                                  size_t from, size_t count, float *scales,
                                  uint8_t *zeros)
{
    int32_t top[RANGE_BATCH] = {0}, bottom[RANGE_BATCH] = {0};
    size_t column = from * matrix->run;
    size_t columns = size_min(count * matrix->run, matrix->columns - column);
    struct matrix part = *matrix;
    for (size_t r = 0; r < matrix->rows && !is_stopped(fit->scheme->stop);
         r += part.rows) {
        part.element = matrix->element + r * matrix->columns;
        part.rows = size_min(LONG_WORK / RANGE_BATCH, matrix->rows - r);
        range_strip(fit, &part, column, columns, top, bottom);
    }
    if (matrix->run > 1) {
        range_fold(columns, matrix->run, top);
        range_fold(columns, matrix->run, bottom);
    }
    return rtn_solve(fit->kernels, fit->scheme, count, top, bottom, scales, zeros);
}

enum quant_fit fit_rtn(const struct fit *fit, const struct matrix *matrix, size_t from,
                       size_t count, float *scales, uint8_t *zeros)
{
    bool runs = matrix_has_runs(matrix);
    size_t step = runs ? size_min(LONG_WORK / matrix->run + 1, RUN_GROUPS)
                       : RANGE_BATCH / matrix->run;
    enum quant_fit result = QUANT_FIT_OK;
    for (size_t k = 0; k < count && result != QUANT_FIT_NOT_FINITE; k += step) {
        size_t n = size_min(step, count - k);
        enum quant_fit part = (runs ? rtn_runs : rtn_columns)(fit, matrix, from + k, n,
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

/* Groups without elements get what all-zero groups get. */
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

static enum quant_fit fit_groups(const struct fit *fit, size_t group, size_t end,
                                 float *scales, uint8_t *zeros)
{
    enum quant_fit result = QUANT_FIT_OK;
    while (group < end && result != QUANT_FIT_NOT_FINITE &&
           !is_stopped(fit->scheme->stop)) {
        struct matrix matrix = matrix_of_group(fit->shape, group);
        size_t from = group - matrix.group;
        size_t n = size_min(matrix_groups(&matrix) - from, end - group);
        result = fit_worse(
            result, methods[fit->scheme->method](fit, &matrix, from, n, scales, zeros));
        scales += n;
        zeros += n;
        group += n;
    }
    return result;
}

/* Where memory has run out, the stack is the last resort. So a fit can't fail. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wframe-larger-than="
__attribute__((noinline)) static enum quant_fit fit_on_stack(struct fit *fit,
                                                             size_t group, size_t end,
                                                             float *scales,
                                                             uint8_t *zeros)
{
    _Alignas(max_align_t) char scratch[FIT_SCRATCH];
    fit->scratch = scratch;
    return fit_groups(fit, group, end, scales, zeros);
}
#pragma GCC diagnostic pop

enum quant_fit quant_fit_weighted(const struct kernels *kernels,
                                  const struct quant_scheme *scheme,
                                  struct quant_source source,
                                  const struct quant_importance *importance,
                                  const struct quant_shape *shape, size_t first,
                                  size_t count, float *scales, uint8_t *zeros)
{
    struct fit fit = {kernels, scheme, source, shape, importance, NULL};
    size_t each = shape->block == 0 ? 1 : shape->inner;
    size_t group = first * each, end = (first + count) * each;
    if (quant_elements(shape) == 0)
        return fit_nothing(&fit, end - group, scales, zeros);
    if (scheme->method == QUANT_RTN)
        return fit_groups(&fit, group, end, scales, zeros);
    fit.scratch = malloc(FIT_SCRATCH);
    if (!fit.scratch)
        return fit_on_stack(&fit, group, end, scales, zeros);
    enum quant_fit result = fit_groups(&fit, group, end, scales, zeros);
    free(fit.scratch);
    return result;
}

enum quant_fit quant_fit(const struct kernels *kernels, const struct quant_scheme *scheme,
                         struct quant_source source, const struct quant_shape *shape,
                         size_t first, size_t count, float *scales, uint8_t *zeros)
{
    return quant_fit_weighted(kernels, scheme, source, NULL, shape, first, count, scales,
                              zeros);
}
