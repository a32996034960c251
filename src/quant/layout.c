/* Finds the matrix of an element or a group, in constant time. The caller makes sure that
 * the number of elements does not overflow. */
#include "quant/layout.h"
#include "core/sizes.h"

/* How the matrices of a shape repeat. */
struct layout_pattern {
    size_t matrices; /* for each index of outer */
    size_t rows;     /* of each matrix; the last one of an outer index may have fewer */
    size_t all_rows; /* for each index of outer */
    size_t columns;  /* of each matrix */
    size_t run;      /* of each matrix */
};

static struct layout_pattern shape_pattern(const struct quant_shape *s)
{
    if (s->block == 0)
        return (struct layout_pattern){1, s->outer, s->outer, s->dim * s->inner,
                                       s->inner};
    /* A block may be longer than the axis, by any amount. The work depends on the data.
     */
    size_t block = size_max(size_min(s->block, s->dim), 1);
    if (s->inner > 1)
        return (struct layout_pattern){quant_blocks(s), block, s->dim, s->inner, 1};
    if (s->dim % block == 0)
        return (struct layout_pattern){1, 1, 1, s->outer * s->dim, block};
    return (struct layout_pattern){1, 1, 1, s->dim, block};
}

size_t matrix_groups(const struct matrix *matrix)
{
    return size_ceil_div(matrix->columns, matrix->run);
}

bool matrix_has_runs(const struct matrix *matrix)
{
    return matrix->run >= RUN_MAX || (matrix->run >= RUN_MIN && matrix->rows < 8);
}

static struct matrix matrix_at(const struct layout_pattern *p, size_t outer, size_t index)
{
    size_t row = index * p->rows;
    struct matrix matrix = {
        .element = (outer * p->all_rows + row) * p->columns,
        .rows = p->all_rows - row < p->rows ? p->all_rows - row : p->rows,
        .columns = p->columns,
        .run = p->run,
    };
    matrix.group = (outer * p->matrices + index) * matrix_groups(&matrix);
    return matrix;
}

struct matrix matrix_of_element(const struct quant_shape *shape, size_t element)
{
    struct layout_pattern p = shape_pattern(shape);
    size_t row = element / p.columns;
    return matrix_at(&p, row / p.all_rows, row % p.all_rows / p.rows);
}

struct matrix matrix_of_group(const struct quant_shape *shape, size_t group)
{
    struct layout_pattern p = shape_pattern(shape);
    size_t index = group / size_ceil_div(p.columns, p.run);
    return matrix_at(&p, index / p.matrices, index % p.matrices);
}
