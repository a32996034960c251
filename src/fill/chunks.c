/* Cutting weights into chunks. Touches no data. */
#include "fill/chunks.h"

#include <stdlib.h>

enum {
    CHUNK_ELEMENTS = 64 << 10, /* a chunk's floats stay in the second-level cache */
    FIT_COLUMNS_MIN = 512,     /* columns of one fit: whole cache lines, long runs */
};

static bool push(struct chunk **list, size_t *count, size_t *capacity, struct chunk chunk,
                 struct error *err)
{
    if (*count == *capacity) {
        size_t bigger = *capacity ? *capacity * 2 : 64;
        struct chunk *grown = realloc(*list, bigger * sizeof **list);
        if (!grown)
            return error_memory(err);
        *list = grown;
        *capacity = bigger;
    }
    (*list)[(*count)++] = chunk;
    return true;
}

static bool push_fit(struct chunks *chunks, struct chunk chunk, struct error *err)
{
    return push(&chunks->fits, &chunks->fit_count, &chunks->fit_capacity, chunk, err);
}

static bool push_work(struct chunks *chunks, struct chunk chunk, struct error *err)
{
    return push(&chunks->works, &chunks->work_count, &chunks->work_capacity, chunk, err);
}

/* ---- weights whose groups reach over all of it ----------------------- */

static struct wide_item *wide_new(struct chunks *chunks, size_t groups, struct error *err)
{
    struct wide_item *wide = calloc(1, sizeof *wide);
    struct wide_item **list = realloc(chunks->wides, (chunks->wide_count + 1) * sizeof *list);
    if (list)
        chunks->wides = list;
    if (!wide || !list)
        goto failed;
    wide->scales = malloc(groups * sizeof *wide->scales);
    wide->zeros = malloc(groups);
    if (!wide->scales || !wide->zeros)
        goto failed;
    chunks->wides[chunks->wide_count++] = wide;
    return wide;

failed:
    if (wide) {
        free(wide->scales);
        free(wide->zeros);
    }
    free(wide);
    error_memory(err);
    return NULL;
}

static bool cut_wide(struct chunks *chunks, struct plan_item *item, struct error *err)
{
    const struct quant_shape *shape = &item->shape;
    struct wide_item *wide = wide_new(chunks, shape->dim, err);
    if (!wide)
        return false;
    size_t step = CHUNK_ELEMENTS / (shape->outer * shape->inner);
    if (step < FIT_COLUMNS_MIN / shape->inner)
        step = FIT_COLUMNS_MIN / shape->inner;
    if (step == 0)
        step = 1;
    for (size_t row = 0; row < shape->dim; row += step) {
        size_t count = shape->dim - row < step ? shape->dim - row : step;
        struct chunk chunk = {CHUNK_FIT, wide, item, .first_row = row, .row_count = count};
        if (!push_fit(chunks, chunk, err))
            return false;
    }
    for (size_t begin = 0; begin < item->elements; begin += CHUNK_ELEMENTS) {
        size_t end = begin + CHUNK_ELEMENTS;
        if (end > item->elements)
            end = (size_t)item->elements;
        struct chunk chunk = {CHUNK_ENCODE, wide, item, .begin = begin, .end = end};
        if (!push_work(chunks, chunk, err))
            return false;
    }
    return true;
}

/* ---- weights whose groups are short --------------------------------- */

/* The element that row `row` begins with: rows are channels or, with blocks,
 * (outer, block) pairs; the last block of each outer may be shorter. */
static size_t row_begin(const struct quant_shape *shape, size_t row)
{
    if (shape->block == 0)
        return row * shape->inner;
    size_t blocks = shape->dim / shape->block + (shape->dim % shape->block != 0);
    return (row / blocks * shape->dim + row % blocks * shape->block) * shape->inner;
}

static bool cut_rows(struct chunks *chunks, struct plan_item *item, struct error *err)
{
    const struct quant_shape *shape = &item->shape;
    size_t width = shape->block ? shape->inner : 1; /* groups of one row */
    size_t rows = quant_groups(shape) / width;
    for (size_t first = 0, next; first < rows; first = next) {
        size_t begin = row_begin(shape, first), end;
        /* Codes and zero points share bytes: both must begin with a whole one. */
        for (next = first + 1; next < rows; next++) {
            end = row_begin(shape, next);
            if (end - begin >= CHUNK_ELEMENTS && end % 2 == 0 && next * width % 2 == 0)
                break;
        }
        end = next < rows ? row_begin(shape, next) : (size_t)item->elements;
        struct chunk chunk = {CHUNK_BOTH, NULL, item, .first_row = first,
                              .row_count = next - first, .begin = begin, .end = end};
        if (!push_work(chunks, chunk, err))
            return false;
    }
    return true;
}

bool chunks_make(struct plan *plan, struct chunks *chunks, struct error *err)
{
    *chunks = (struct chunks){0};
    for (size_t i = 0; i < plan->count; i++) {
        struct plan_item *item = &plan->items[i];
        if (!item->quantize)
            continue;
        const struct quant_shape *shape = &item->shape;
        bool wide = shape->block == 0 && (shape->outer > 1 || shape->dim == 1);
        if (!(wide ? cut_wide : cut_rows)(chunks, item, err))
            return false;
    }
    return true;
}

void chunks_free(struct chunks *chunks)
{
    for (size_t i = 0; i < chunks->wide_count; i++) {
        free(chunks->wides[i]->scales);
        free(chunks->wides[i]->zeros);
        free(chunks->wides[i]);
    }
    free(chunks->wides);
    free(chunks->fits);
    free(chunks->works);
    *chunks = (struct chunks){0};
}
