/* Strips of columns. Numbers are quant's. */
#include "fill/strip.h"

#include <stdlib.h>

enum {
    WHOLE_MAX = 32 << 20, /* smaller weights may stay: copying takes a third more time */
    STRIP_BYTES = 16 << 20,
    COLUMNS_MIN = 64, /* some cache lines of each row */
};

void strip_free(struct strip *strip)
{
    free(strip->data);
    *strip = (struct strip){0};
}

bool strip_wanted(const struct plan_item *item)
{
    return item->shape.block == 0 && item->shape.outer > 1 &&
           item->scheme.method != QUANT_RTN && item->bytes > WHOLE_MAX &&
           item->source->file;
}

size_t strip_channels(const struct plan_item *item)
{
    const struct quant_shape *shape = &item->shape;
    size_t each = (size_t)(item->bytes / shape->dim), least = COLUMNS_MIN / shape->inner;
    size_t most = STRIP_BYTES / each;
    return most > least ? most : least ? least : 1;
}

/* Rows of the strip, one behind the other. They are read, not mapped: each strip would
 * bring in all pages of the weight. */
static void gather(const struct chunk *chunk, struct strip *strip)
{
    const struct plan_item *item = chunk->item;
    const struct quant_shape *shape = &item->shape;
    size_t size = (size_t)(item->bytes / item->elements), row = shape->dim * shape->inner;
    size_t first = chunk->first_row * shape->inner, n = chunk->row_count * shape->inner;
    const uint8_t *from = item->source->data + first * size;
    for (size_t r = 0; r < shape->outer; r++)
        file_copy(item->source->file, from + r * row * size, n * size,
                  strip->data + r * n * size);
}

bool strip_fit(const struct kernels *kernels, struct chunk *chunk, struct strip *strip,
               struct error *err)
{
    const struct plan_item *item = chunk->item;
    struct quant_shape shape = item->shape;
    struct quant_source source = item_source(item);
    size_t first = chunk->first_row, count = chunk->row_count;
    shape.dim = count;
    strip->data = buffer_grown(strip->data, &strip->room,
                               quant_elements(&shape) * real_size(source.type));
    if (!strip->data)
        return error_memory(err);
    gather(chunk, strip);
    source.data = strip->data;
    chunk->fit = quant_fit(kernels, &item->scheme, source, &shape, 0, count,
                           chunk->wide->scales + first, chunk->wide->zeros + first);
    return true;
}
