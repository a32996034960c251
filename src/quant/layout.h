/* Layouts: a weight cut into matrices, which are all that fit.c and encode.c see.
 * Says where elements and groups lie; reads no element. */
#ifndef NIBBLE_QUANT_LAYOUT_H
#define NIBBLE_QUANT_LAYOUT_H

#include "quant/quant.h"

/* A dense matrix of rows * columns elements in which every row has the same
 * groups: `run` adjacent columns (fewer at the end of a row) share one.
 *
 *     per axis                 one matrix: outer rows of dim * inner, run = inner
 *     blocked, inner == 1      one row of blocks in each matrix, run = block; all
 *                              of them in one matrix where blocks divide dim
 *     blocked, inner > 1       block rows of inner columns in each, run = 1 */
struct matrix {
    size_t element;       /* index of its first element */
    size_t group;         /* index of its first group */
    size_t rows, columns; /* both > 0 */
    size_t run;
};

/* The matrix that holds an element, or a group, of a weight that has any. */
struct matrix matrix_of_element(const struct quant_shape *shape, size_t element);
struct matrix matrix_of_group(const struct quant_shape *shape, size_t group);

/* Groups of a matrix. */
size_t matrix_groups(const struct matrix *matrix);

/* Whether its runs are quantized one after the other; otherwise, columns are,
 * each with the scale of its run. That is what is faster: runs shorter than
 * RUN_MIN always go by columns, those from RUN_MAX on never. */
enum { RUN_MIN = 8, RUN_MAX = 64 };
bool matrix_has_runs(const struct matrix *matrix);

#endif
