/* Ranges of groups, in the bits that kernels/kernels.h gives them. */
#ifndef NIBBLE_QUANT_RANGES_H
#define NIBBLE_QUANT_RANGES_H

#include "quant/fit.h"

enum { RANGE_BATCH = 1024 }; /* groups, or columns, at a time */

/* Merges `columns` adjacent elements in runs of `run`, of which the last may be
 * partial and then is the only one after whole ones. */
void range_row(const struct fit *fit, size_t element, size_t columns, size_t run,
               int32_t *top, int32_t *bottom);

/* Merges `columns` <= RANGE_BATCH of a matrix, down all of its rows. */
void range_strip(const struct fit *fit, const struct matrix *matrix, size_t column,
                 size_t columns, int32_t *top, int32_t *bottom);

/* Folds the ranges of columns into those of groups of `run` columns, in place. */
void range_fold(size_t columns, size_t run, int32_t *range);

#endif
