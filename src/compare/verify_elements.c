/* Comparing the elements of a weight with what its codes in the file can stand for. */
#include "compare/verify_elements.h"
#include "core/pages.h"
#include "fill/pack.h"
#include "solve/solve.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What two numbers of a type may differ by, relative to their size and at least. */
struct precision {
    double relative, least;
};

static struct precision precision_of(enum real_type type)
{
    static const struct precision precisions[] = {[REAL_FLOAT32] = {0x1p-23, 0x1p-149},
                                                  [REAL_FLOAT16] = {0x1p-10, 0x1p-24},
                                                  [REAL_BFLOAT16] = {0x1p-7, 0x1p-133},
                                                  [REAL_FLOAT64] = {0x1p-23, 0x1p-149}};
    return precisions[type];
}

/* What the codes of a group can stand for. */
struct grid {
    double scale, lowest, highest;
};

/* One item, and where the loop over its elements is. */
struct check {
    const struct stored_item *stored;
    const struct plan_item *item;
    struct precision precision, scale_precision;
    size_t outer, dim, inner; /* of the present element */
    struct grid *grids;       /* of neighbouring groups: */
    size_t first, count;      /* all of them, or those of a row of blocks */
    double noise, signal;
};

static void load_grids(struct check *c, size_t first)
{
    const struct quant_type_info *type = quant_type_info(c->item->scheme.type);
    for (size_t i = 0; i < c->count; i++) {
        struct grid *grid = &c->grids[i];
        int zero;
        grid->scale = (double)parameters_read(c->item, c->stored->scales,
                                              c->stored->zeros, first + i, &zero);
        grid->lowest = (type->lo - zero) * grid->scale;
        grid->highest = (type->hi - zero) * grid->scale;
    }
    c->first = first;
}

/* The group of the present element, counted from `first`. */
static size_t present_group(struct check *c)
{
    const struct quant_shape *shape = &c->item->shape;
    if (shape->block == 0)
        return c->dim;
    if (c->inner == 0 && c->dim % shape->block == 0)
        load_grids(c, (c->outer * quant_blocks(shape) + c->dim / shape->block) *
                          shape->inner);
    return c->inner;
}

static void advance(struct check *c)
{
    const struct quant_shape *shape = &c->item->shape;
    if (++c->inner < shape->inner)
        return;
    c->inner = 0;
    if (++c->dim < shape->dim)
        return;
    c->dim = 0;
    c->outer++;
}

/* What the solution says about an element. */
static double solved(const struct plan_item *item, size_t element, size_t group)
{
    const struct solution *s = item->solution;
    bool is_signed = quant_type_info(item->scheme.type)->lo < 0;
    int code = s->codes[element], zero = s->zeros[group];
    if (is_signed) {
        code = (int8_t)code;
        zero = (int8_t)zero;
    }
    return (code - zero) * (double)s->scales[group];
}

/* Whether the decoded value is as near to the element as its grid allows. */
static bool is_near(const struct check *c, double x, double decoded, size_t element,
                    size_t group)
{
    const struct grid *grid = &c->grids[group];
    const double rounding = 1e-4; /* of codes: x / scale is computed in float */
    double slack =
        (fabs(x) + fabs(decoded)) * c->precision.relative + 2 * c->precision.least;
    if (c->item->solution) {
        double want = solved(c->item, element, c->first + group);
        return fabs(want - decoded) <=
               slack + fabs(want) * 2 * c->scale_precision.relative;
    }
    x = x > grid->highest ? grid->highest : x < grid->lowest ? grid->lowest : x;
    return fabs(x - decoded) <= (0.5 + rounding) * grid->scale + slack;
}

static bool is_far(const struct check *c, size_t element, double x, double decoded,
                   size_t group, char how[DIFFERENCE_SIZE])
{
    snprintf(how, DIFFERENCE_SIZE,
             "decodes to %.9g where the weight has %.9g (element %zu, scale %.9g)",
             decoded, x, element, c->grids[group].scale);
    return false;
}

/* Whether the decoded matrix is [inputs, outputs] where the source is the other way. */
static bool is_exchanged(const struct plan_item *item)
{
    return item->form == FORM_NBITS ? item->channel_axis == 0 : item->transposed;
}

static bool check_elements(struct check *c, const struct array *got,
                           char how[DIFFERENCE_SIZE], struct error *err)
{
    enum { LOOK = 1024 };
    const struct plan_item *item = c->item;
    const enum real_type type = data_type_real(item->data_type);
    const bool exchanged = is_exchanged(item);
    size_t rows = exchanged ? (size_t)item->tensor->dims[0] : 1;
    size_t columns = (size_t)item->elements / rows;
    struct pages read = {0};
    float values[LOOK];
    bool ok = true;
    for (size_t at = 0, n; ok && at < item->elements; at += n) {
        const uint8_t *data = item->source->data + at * real_size(type);
        n = item->elements - at < LOOK ? (size_t)(item->elements - at) : LOOK;
        pages_read(&read, item->source->file, data, n * real_size(type));
        real_load(type, data, n, values);
        for (size_t i = 0; ok && i < n; i++) {
            size_t element = at + i, group = present_group(c), place = element;
            if (exchanged)
                place = element % columns * rows + element / columns;
            double x = (double)values[i], y = (double)got->values[place];
            ok = is_near(c, x, y, element, group) || is_far(c, element, x, y, group, how);
            advance(c);
            c->noise += (x - y) * (x - y);
            c->signal += x * x;
        }
        ok = ok && !cancelled(c->stored->cancel, err);
    }
    pages_end(&read);
    return ok;
}

/* The errors that the report tells must be those of the file, relative to the weight:
 * sums of squares of tiny weights are told as 1. */
static bool check_noise(const struct check *c, char how[DIFFERENCE_SIZE])
{
    const struct quant_error *told = c->stored->told;
    double rounding = c->precision.relative + c->scale_precision.relative;
    if (!told || !(told->signal > 0) || !(c->signal > 0))
        return true;
    double said = told->noise / told->signal, found = c->noise / c->signal;
    if (fabs(found - said) <= 0.01 * said + rounding * rounding)
        return true;
    snprintf(how, DIFFERENCE_SIZE, "has other errors than were measured");
    return false;
}

bool elements_agree(const struct stored_item *stored, const struct array *decoded,
                    char how[DIFFERENCE_SIZE], struct error *err)
{
    const struct plan_item *item = stored->item;
    struct check c = {
        .stored = stored,
        .item = item,
        .precision = precision_of(data_type_real(item->data_type)),
        .scale_precision = precision_of(item->scheme.scale_type),
        .count = item->shape.block ? item->shape.inner : item->shape.dim,
    };
    c.grids = calloc(c.count + 1, sizeof *c.grids);
    if (!c.grids)
        return error_memory(err);
    if (item->shape.block == 0)
        load_grids(&c, 0);
    bool ok = check_elements(&c, decoded, how, err) && check_noise(&c, how);
    free(c.grids);
    return ok;
}

bool narrowed_agree(const struct plan_item *item, const uint8_t *written)
{
    enum { LOOK = 1024 };
    const enum real_type type = data_type_real(item->data_type);
    struct pages read = {0};
    float values[LOOK];
    uint16_t halves[LOOK];
    bool same = true;
    for (size_t at = 0, n; same && at < item->elements; at += n) {
        const uint8_t *data = item->source->data + at * real_size(type);
        n = item->elements - at < LOOK ? (size_t)(item->elements - at) : LOOK;
        pages_read(&read, item->source->file, data, n * real_size(type));
        real_load(type, data, n, values);
        real_store(REAL_FLOAT16, values, n, halves);
        same = memcmp(halves, written + at * sizeof *halves, n * sizeof *halves) == 0;
    }
    pages_end(&read);
    return same;
}
