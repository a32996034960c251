/* The smallest and largest element of groups, as the bits that kernels/kernels.h
 * describes. */
#ifndef NIBBLE_QUANT_RANGES_H
#define NIBBLE_QUANT_RANGES_H

#include "quant/fit.h"

enum { RANGE_BATCH = 1024 }; /* groups, or columns, worked on at once */

/* Extends the ranges of groups by `columns` adjacent elements of one row. Each group has
 * `run` of them; the last may have fewer. */
void range_row(const struct fit *fit, size_t element, size_t columns, size_t run,
               int32_t *top, int32_t *bottom);

/* Extends the ranges of `columns` <= RANGE_BATCH columns of a matrix by all rows. */
void range_strip(const struct fit *fit, const struct matrix *matrix, size_t column,
                 size_t columns, int32_t *top, int32_t *bottom);

/* Combines the ranges of columns into those of groups of `run` columns, in place. */
void range_fold(size_t columns, size_t run, int32_t *range);

#endif
