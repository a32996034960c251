/* Reading weights. Never looks at their values. */
#include "fill/read.h"
#include "core/sizes.h"
#include "fill/chunks.h"

#include <stdlib.h>

enum {
    /* A weight of no more bytes is read from the mapping, even if its channels are
     * columns. Larger ones are copied, which takes a third more time, but less memory. */
    MAPPED_BYTES = 32 << 20,
    COPIED_BYTES = 16 << 20,   /* most bytes of columns that are copied together ... */
    COPIED_COLUMNS_MIN = 64,   /* ... unless there are no more columns than these */
    MAPPED_COLUMNS_MIN = 512,  /* least columns fitted together: long runs of each row */
    MAPPED_ELEMENTS = 64 << 10 /* of other channels: floats stay in the cache */
};

void reader_free(struct reader *reader)
{
    pages_end(&reader->pages);
    free(reader->buffer);
    *reader = (struct reader){0};
}

static size_t element_size(const struct plan_item *item)
{
    return (size_t)(item->bytes / item->elements);
}

bool read_elements(struct reader *reader, const struct plan_item *item, size_t begin,
                   size_t end, struct quant_source *source, struct error *err)
{
    const struct payload *payload = item->source;
    size_t size = element_size(item);
    *source = (struct quant_source){payload->data, data_type_real(item->data_type)};
    if (!payload->file)
        return true;
    pages_read(&reader->pages, payload->file, payload->data + begin * size,
               (end - begin) * size);
    return !payload->file->is_truncated || file_check(payload->file, err);
}

void read_ahead(const struct plan_item *item, size_t begin, size_t count, size_t last)
{
    const struct payload *payload = item->source;
    size_t size = element_size(item);
    if (begin < last)
        pages_bring_in(payload->file, payload->data + begin * size,
                       size_min(count, last - begin) * size);
}

/* ---- channels -------------------------------------------------------- */

/* Whether channels are columns of a weight that is too large to stay in memory. */
static bool is_copied(const struct plan_item *item)
{
    return item->shape.outer > 1 && item->bytes > MAPPED_BYTES && item->source->file &&
           item->source->file->fd >= 0;
}

size_t read_channels_step(const struct plan_item *item)
{
    const struct quant_shape *shape = &item->shape;
    size_t each = (size_t)item->elements / shape->dim, step = MAPPED_ELEMENTS / each;
    if (is_copied(item))
        step = size_max(COPIED_BYTES / (each * element_size(item)),
                        COPIED_COLUMNS_MIN / shape->inner);
    else
        step = size_max(step, MAPPED_COLUMNS_MIN / shape->inner);
    return size_max(step, 1);
}

/* Copies the channels of each row, one row behind the other. */
static bool copy_channels(uint8_t *out, const struct plan_item *item, size_t first,
                          size_t count, struct error *err)
{
    const struct payload *payload = item->source;
    size_t each = item->shape.inner * element_size(item), row = item->shape.dim * each;
    uint64_t offset = (uint64_t)(payload->data - payload->file->data) + first * each;
    for (size_t r = 0; r < item->shape.outer; r++, out += count * each)
        if (!file_read(payload->file, offset + r * row, count * each, out, err))
            return false;
    return true;
}

bool read_channels(struct reader *reader, const struct plan_item *item, size_t first,
                   size_t count, struct channels_read *channels, struct error *err)
{
    *channels = (struct channels_read){.shape = item->shape, .offset = first};
    channels->source =
        (struct quant_source){item->source->data, data_type_real(item->data_type)};
    if (!is_copied(item))
        return true; /* encoding reads all of these pages again, and gives them back */
    channels->shape.dim = count;
    channels->offset = 0;
    size_t size = quant_elements(&channels->shape) * element_size(item);
    reader->buffer = buffer_grown(reader->buffer, &reader->room, size);
    if (!reader->buffer)
        return error_memory(err);
    channels->source.data = reader->buffer;
    return copy_channels(reader->buffer, item, first, count, err);
}
