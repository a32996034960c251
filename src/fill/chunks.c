/* Cutting weights into chunks. Touches no data. */
#include "fill/chunks.h"
#include "fill/strip.h"

#include <stdlib.h>

enum {
    CHUNK_ELEMENTS = 256 << 10, /* of a chunk, at least */
    CHUNK_ROWS = 4, /* of it, where they are short: what is next can be fetched ahead */
    SHORT_ROW = 256 << 10,
    FIT_ELEMENTS = 64 << 10,  /* floats stay in the second-level cache */
    RANGE_ELEMENTS = 1 << 20, /* many rows: joining costs as much as one */
    FIT_COLUMNS_MIN = 512,    /* columns of one fit: whole cache lines, long runs */
    TOUCH_BYTES = 64 << 10,   /* the system brings in so much around a page */
    PANEL_ROWS = 128,         /* they become a cache line of packed codes each */
    PANEL_BYTES = 8 << 20,    /* of a panel as it is stored, made in memory */
};

static bool push(struct chunk **list, size_t *count, size_t *room, struct chunk chunk,
                 struct error *err)
{
    if (*count == *room) {
        size_t bigger = *room ? *room * 2 : 64;
        struct chunk *grown = realloc(*list, bigger * sizeof **list);
        if (!grown)
            return error_memory(err);
        *list = grown;
        *room = bigger;
    }
    (*list)[(*count)++] = chunk;
    return true;
}

static bool push_fit(struct chunks *chunks, struct chunk chunk, struct error *err)
{
    return push(&chunks->fits, &chunks->fit_count, &chunks->fit_room, chunk, err);
}

static bool push_work(struct chunks *chunks, struct chunk chunk, struct error *err)
{
    return push(&chunks->works, &chunks->work_count, &chunks->work_room, chunk, err);
}

static size_t greatest(size_t a, size_t b)
{
    return a > b ? a : b;
}

void *buffer_grown(void *buffer, size_t *room, size_t size)
{
    if (size <= *room)
        return buffer;
    free(buffer);
    buffer = malloc(size);
    *room = buffer ? size : 0;
    return buffer;
}

/* ---- shapes --------------------------------------------------------- */

struct quant_source item_source(const struct plan_item *item)
{
    return (struct quant_source){item->source->data, data_type_real(item->data_type)};
}

void chunk_touch(const struct chunk *chunk, size_t begin, size_t count)
{
    const struct payload *source = chunk->item->source;
    uint64_t size = chunk->item->bytes / chunk->item->elements;
    if (begin >= chunk->end)
        return;
    count = chunk->end - begin < count ? chunk->end - begin : count;
    for (uint64_t at = 0; at < count * size; at += TOUCH_BYTES)
        (void)*(const volatile uint8_t *)(source->data + begin * size + at);
    (void)*(const volatile uint8_t *)(source->data + (begin + count) * size - 1);
}

void chunk_done_with(const struct chunk *chunk, size_t begin, size_t end)
{
    const struct payload *source = chunk->item->source;
    uint64_t size = chunk->item->bytes / chunk->item->elements;
    if (source->file)
        file_done_with(source->file, source->data + begin * size, (end - begin) * size);
}

size_t item_row_width(const struct plan_item *item)
{
    return item->shape.block ? item->shape.inner : 1;
}

size_t item_rows(const struct plan_item *item)
{
    return quant_groups(&item->shape) / item_row_width(item);
}

size_t packing_unit(const struct plan_item *item)
{
    static const size_t units[] = {[PACK_BYTES] = 1, [PACK_PAIRS] = 2};
    return item->packing == PACK_HALVES || item->row_bytes ? item->row
                                                           : units[item->packing];
}

/* Groups that a piece of stored zero points must be a multiple of. */
static size_t zeros_unit(const struct plan_item *item)
{
    if (!plan_has_zeros(item) || item->packing != PACK_PAIRS)
        return 1;
    return item->padded ? quant_groups(&item->shape) / item->shape.outer : 2;
}

size_t row_begin(const struct plan_item *item, size_t row)
{
    const struct quant_shape *shape = &item->shape;
    if (row >= item_rows(item))
        return (size_t)item->elements;
    if (shape->block == 0)
        return row * shape->inner;
    size_t blocks = shape->dim / shape->block + (shape->dim % shape->block != 0);
    return (row / blocks * shape->dim + row % blocks * shape->block) * shape->inner;
}

/* ---- weights that are fitted first ------------------------------------ */

/* The first element of what stays: the end of the weight, as much as the others that
 * are worked on together leave of the room. */
static size_t first_kept(const struct chunks *chunks, const struct plan_item *item)
{
    size_t size = (size_t)(item->bytes / item->elements), room = 0;
    if (chunks->wide_bytes < WIDE_KEPT)
        room = (size_t)(WIDE_KEPT - chunks->wide_bytes) / size;
    return item->elements > room ? (size_t)item->elements - room : 0;
}

/* Turns chunks [first, count) round. */
static void reverse(struct chunk *chunks, size_t first, size_t count)
{
    for (; first + 1 < count; first++, count--) {
        struct chunk swapped = chunks[first];
        chunks[first] = chunks[count - 1];
        chunks[count - 1] = swapped;
    }
}

static struct wide_item *wide_new(struct chunks *chunks, struct plan_item *item,
                                  struct error *err)
{
    size_t groups = quant_groups(&item->shape);
    struct wide_item *wide = calloc(1, sizeof *wide);
    if (!wide) {
        error_memory(err);
        return NULL;
    }
    wide->next = chunks->wides;
    wide->item = item;
    atomic_flag_clear(&wide->joining);
    chunks->wides = wide;
    wide->kept = first_kept(chunks, item);
    chunks->wide_bytes += item->bytes;
    wide->scales = malloc(groups * sizeof *wide->scales);
    wide->zeros = malloc(groups);
    bool pieces = item->scheme.method == QUANT_RTN;
    if (pieces)
        wide->ranges = calloc(groups, sizeof *wide->ranges);
    if (wide->scales && wide->zeros && (wide->ranges || !pieces))
        return wide;
    error_memory(err);
    return NULL;
}

/* Rows of one fit: about a chunk's elements, but long runs along columns. */
static size_t fit_step(const struct plan_item *item)
{
    const struct quant_shape *shape = &item->shape;
    size_t per_row = (size_t)item->elements / item_rows(item);
    size_t step = FIT_ELEMENTS / per_row;
    if (shape->block == 0 && step < FIT_COLUMNS_MIN / shape->inner)
        step = FIT_COLUMNS_MIN / shape->inner;
    return step ? step : 1;
}

static bool cut_fits(struct chunks *chunks, struct wide_item *wide,
                     struct plan_item *item, struct error *err)
{
    size_t rows = item_rows(item);
    size_t step = strip_wanted(item) ? strip_channels(item) : fit_step(item);
    for (size_t row = 0; row < rows; row += step) {
        struct chunk chunk = {CHUNK_FIT, .wide = wide, .item = item, .first_row = row,
                              .row_count = rows - row < step ? rows - row : step};
        if (!push_fit(chunks, chunk, err))
            return false;
    }
    return true;
}

/* Pieces of `step` elements each. */
static bool cut_elements(struct chunks *chunks, struct chunk chunk, size_t step,
                         struct error *err)
{
    size_t length = (size_t)chunk.item->elements;
    for (size_t begin = 0; begin < length; begin += step) {
        chunk.begin = begin;
        chunk.end = length - begin < step ? length : begin + step;
        if (!(chunk.work == CHUNK_RANGE ? push_fit : push_work)(chunks, chunk, err))
            return false;
    }
    return true;
}

static bool cut_wide(struct chunks *chunks, struct plan_item *item, struct error *err)
{
    struct wide_item *wide = wide_new(chunks, item, err);
    if (!wide)
        return false;
    struct chunk range = {CHUNK_RANGE, .wide = wide, .item = item};
    if (!(wide->ranges ? cut_elements(chunks, range, RANGE_ELEMENTS, err)
                       : cut_fits(chunks, wide, item, err)))
        return false;
    size_t unit = packing_unit(item);
    size_t step = unit > CHUNK_ELEMENTS ? unit : CHUNK_ELEMENTS / unit * unit;
    size_t first = chunks->work_count;
    if (!cut_elements(chunks, (struct chunk){CHUNK_ENCODE, .wide = wide, .item = item},
                      step, err))
        return false;
    if (wide->kept > 0) /* what was read last is there still */
        reverse(chunks->works, first, chunks->work_count);
    return true;
}

/* ---- weights whose groups are short ------------------------------------ */

size_t rows_upto(const struct plan_item *item, size_t first, size_t last, size_t elements,
                 size_t code_unit, size_t group_unit)
{
    const struct quant_shape *shape = &item->shape;
    size_t width = item_row_width(item), begin = row_begin(item, first);
    size_t longest = (shape->block ? shape->block : 1) * shape->inner;
    size_t next = first + greatest(elements / longest, 1);
    for (; next < last; next++) {
        size_t at = row_begin(item, next);
        if (at - begin >= elements && at % code_unit == 0 &&
            next * width % group_unit == 0)
            break;
    }
    return next < last ? next : last;
}

static bool cut_rows(struct chunks *chunks, struct plan_item *item, struct error *err)
{
    size_t rows = item_rows(item);
    /* Both codes and zero points must begin with a whole byte. */
    size_t code_unit = packing_unit(item), zero_unit = zeros_unit(item);
    size_t each = (size_t)item->elements / rows, least = CHUNK_ELEMENTS;
    if (each <= SHORT_ROW)
        least = greatest(least, each * CHUNK_ROWS);
    for (size_t first = 0, next; first < rows; first = next) {
        next = rows_upto(item, first, rows, least, code_unit, zero_unit);
        struct chunk chunk = {CHUNK_BOTH,
                              .item = item,
                              .first_row = first,
                              .row_count = next - first,
                              .begin = row_begin(item, first),
                              .end = row_begin(item, next)};
        if (!push_work(chunks, chunk, err))
            return false;
    }
    return true;
}

/* ---- weights that are stored transposed --------------------------------- */

/* Rows of quant_fit's counting in one panel: all of them if that is not too much, else
 * an even number, so that what they become in the stored rows are whole bytes. That
 * can't be where those have an odd number of elements: then one panel takes all. */
static size_t panel_step(const struct plan_item *item)
{
    size_t rows = (size_t)item->tensor->dims[0], columns = (size_t)item->tensor->dims[1];
    size_t fit_rows = item_rows(item);
    bool packed = item->packing == PACK_PAIRS;
    size_t source_rows = PANEL_BYTES / columns * (packed ? 2 : 1);
    bool along_rows = item->axis == 1 || item->shape.block == 0;
    if (source_rows >= rows || (packed && rows % 2 != 0))
        return fit_rows;
    source_rows = greatest(source_rows / PANEL_ROWS * PANEL_ROWS, PANEL_ROWS);
    if (along_rows)
        return source_rows * (fit_rows / rows);
    return greatest(source_rows / item->shape.block & ~(size_t)1, 2);
}

static bool cut_panels(struct chunks *chunks, struct plan_item *item, struct error *err)
{
    size_t rows = item_rows(item), step = panel_step(item);
    for (size_t first = 0; first < rows; first += step) {
        size_t count = rows - first < step ? rows - first : step;
        struct chunk chunk = {CHUNK_PANEL,
                              .item = item,
                              .first_row = first,
                              .row_count = count,
                              .begin = row_begin(item, first),
                              .end = row_begin(item, first + count)};
        if (!push_work(chunks, chunk, err))
            return false;
    }
    return true;
}

bool chunks_add(struct chunks *chunks, struct plan_item *item, struct error *err)
{
    const struct quant_shape *shape = &item->shape;
    bool wide = shape->block == 0 && (shape->outer > 1 || shape->dim == 1);
    if (item->transposed)
        return cut_panels(chunks, item, err);
    return (wide ? cut_wide : cut_rows)(chunks, item, err);
}

void chunks_clear(struct chunks *chunks)
{
    for (struct wide_item *wide = chunks->wides, *next; wide; wide = next) {
        next = wide->next;
        free(wide->scales);
        free(wide->zeros);
        free(wide->ranges);
        free(wide);
    }
    chunks->wides = NULL;
    chunks->wide_bytes = 0;
    chunks->fit_count = chunks->work_count = 0;
}

void chunks_free(struct chunks *chunks)
{
    chunks_clear(chunks);
    free(chunks->fits);
    free(chunks->works);
    *chunks = (struct chunks){0};
}
