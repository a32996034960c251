/* Layouts: bands of a shape, by index of an element or of a group.
 * Constant time for each; overflow of the shape's product is the caller's. */
#include "quant/layout.h"

/* How bands repeat: all have the same groups; elements repeat with `outer`. */
struct pattern {
    size_t bands;    /* in each index of outer */
    size_t rows;     /* in each band; fewer in the last of an outer index */
    size_t all_rows; /* in each index of outer */
    size_t columns, run;
};

static size_t divide_up(size_t a, size_t b)
{
    return a / b + (a % b != 0);
}

static struct pattern shape_pattern(const struct quant_shape *s)
{
    if (s->block == 0)
        return (struct pattern){1, s->outer, s->outer, s->dim * s->inner, s->inner};
    if (s->inner > 1)
        return (struct pattern){divide_up(s->dim, s->block), s->block, s->dim, s->inner,
                                1};
    if (s->dim % s->block == 0)
        return (struct pattern){1, 1, 1, s->outer * s->dim, s->block};
    return (struct pattern){1, 1, 1, s->dim, s->block};
}

size_t band_groups(const struct band *band)
{
    return divide_up(band->columns, band->run);
}

bool band_has_runs(const struct band *band)
{
    return band->run >= RUN_MAX || (band->run >= RUN_MIN && band->rows < 8);
}

static struct band band_at(const struct pattern *p, size_t outer, size_t index)
{
    size_t row = index * p->rows;
    struct band band = {
        .element = (outer * p->all_rows + row) * p->columns,
        .rows = p->all_rows - row < p->rows ? p->all_rows - row : p->rows,
        .columns = p->columns,
        .run = p->run,
    };

    band.group = (outer * p->bands + index) * band_groups(&band);
    return band;
}

struct band band_of_element(const struct quant_shape *shape, size_t element)
{
    struct pattern p = shape_pattern(shape);
    size_t row = element / p.columns;

    return band_at(&p, row / p.all_rows, row % p.all_rows / p.rows);
}

struct band band_of_group(const struct quant_shape *shape, size_t group)
{
    struct pattern p = shape_pattern(shape);
    size_t index = group / divide_up(p.columns, p.run);

    return band_at(&p, index / p.bands, index % p.bands);
}
