/* Layouts: a weight is cut into matrices, which are all that fit.c and encode.c see. Says
 * where elements and groups lie, and never reads an element. */
#ifndef NIBBLE_QUANT_LAYOUT_H
#define NIBBLE_QUANT_LAYOUT_H

#include "quant/quant.h"

/* A dense matrix of rows * columns elements. Every row has the same groups: `run`
 * adjacent columns belong to one group. The last group of a row may have fewer columns.
 *
 *     per axis                 one matrix: `outer` rows of dim * inner columns,
 *                              run = inner
 *     blocked, inner == 1      one row of blocks for each index of outer, run = block;
 *                              a single row of all blocks if `block` divides dim
 *     blocked, inner > 1       one matrix for each block: `block` rows of inner columns,
 *                              run = 1 */
struct matrix {
    size_t element; /* the index of its first element */
    size_t group;   /* the index of its first group */
    size_t rows;    /* > 0 */
    size_t columns; /* > 0 */
    size_t run;     /* adjacent columns that belong to the same group */
};

/* The matrix that holds an element, or a group. The weight must have elements. */
struct matrix matrix_of_element(const struct quant_shape *shape, size_t element);
struct matrix matrix_of_group(const struct quant_shape *shape, size_t group);

/* The number of groups of a matrix. */
size_t matrix_groups(const struct matrix *matrix);

/* Whether to quantize run by run, which is faster for long runs. Otherwise quantize
 * column by column, each with the scale of its run. Runs shorter than RUN_MIN always go
 * by columns, runs of RUN_MAX or more never do. */
enum { RUN_MIN = 8, RUN_MAX = 64 };
bool matrix_has_runs(const struct matrix *matrix);

#endif
