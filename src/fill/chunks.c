/* Cutting weights into chunks. Touches no data. */
#include "fill/chunks.h"
#include "core/sizes.h"
#include "fill/read.h"

#include <stdlib.h>

enum {
    CHUNK_ELEMENTS = 256 << 10, /* least elements of a chunk */
    CHUNK_ROWS = 4,        /* least rows, if they are short: the next one is prefetched */
    SHORT_ROW = 256 << 10, /* most elements of a short row */
    RANGE_ELEMENTS = 1 << 20, /* of a CHUNK_RANGE: joining it costs as much as a row */
    PANEL_ROWS = 128,         /* packed, they become one cache line of each stored row */
    PANEL_BYTES = 8 << 20,    /* most bytes of a panel as it is stored */
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

struct quant_error *chunk_error(const struct fill_options *options, struct chunk *chunk,
                                size_t begin)
{
    enum { PART = 8 }; /* one run in so many is measured */
    bool skipped = options->sample && begin / SAMPLE_RUN % PART != 0;
    return options->measure && !skipped ? &chunk->error : NULL;
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

/* The number of groups in a piece of stored zero points must be a multiple of this. */
static size_t zeros_unit(const struct plan_item *item)
{
    if (!plan_has_zeros(item) || item->zero_packing != PACK_PAIRS)
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

/* ---- weights in two passes: fitted first, then encoded ------------------- */

/* The first element that stays in memory until it is encoded. All behind it do, too. The
 * weights that were added before have taken their part of the memory. */
static size_t first_kept(const struct chunks *chunks, const struct plan_item *item)
{
    size_t size = (size_t)(item->bytes / item->elements), room = 0;
    if (chunks->two_pass_bytes < TWO_PASS_BYTES)
        room = (size_t)(TWO_PASS_BYTES - chunks->two_pass_bytes) / size;
    return item->elements > room ? (size_t)item->elements - room : 0;
}

static void reverse(struct chunk *chunks, size_t first, size_t end)
{
    for (; first + 1 < end; first++, end--) {
        struct chunk swapped = chunks[first];
        chunks[first] = chunks[end - 1];
        chunks[end - 1] = swapped;
    }
}

static struct two_pass_item *two_pass_new(struct chunks *chunks, struct chunk chunk,
                                          struct error *err)
{
    const struct plan_item *item = chunk.item;
    size_t groups = quant_groups(&item->shape);
    struct two_pass_item *whole = calloc(1, sizeof *whole);
    if (!whole) {
        error_memory(err);
        return NULL;
    }
    whole->next = chunks->two_pass_items;
    whole->item = item;
    whole->result = chunk.result;
    atomic_flag_clear(&whole->joining);
    chunks->two_pass_items = whole;
    whole->kept = first_kept(chunks, item);
    chunks->two_pass_bytes += item->bytes;
    whole->scales = malloc(groups * sizeof *whole->scales);
    whole->zeros = malloc(groups);
    bool pieces = item->scheme.method == QUANT_RTN && !item->solution;
    if (pieces)
        whole->ranges = calloc(groups, sizeof *whole->ranges);
    if (whole->scales && whole->zeros && (whole->ranges || !pieces))
        return whole;
    error_memory(err);
    return NULL;
}

static bool cut_fits(struct chunks *chunks, struct chunk chunk, struct error *err)
{
    size_t rows = item_rows(chunk.item), step = read_channels_step(chunk.item);
    chunk.work = CHUNK_FIT;
    for (size_t row = 0; row < rows; row += step) {
        chunk.first_row = row;
        chunk.row_count = rows - row < step ? rows - row : step;
        if (!push_fit(chunks, chunk, err))
            return false;
    }
    return true;
}

/* Adds copies of a chunk for pieces of `step` elements each. */
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

static bool cut_two_pass(struct chunks *chunks, struct chunk chunk, struct error *err)
{
    struct two_pass_item *whole = two_pass_new(chunks, chunk, err);
    if (!whole)
        return false;
    chunk.whole = whole;
    chunk.work = CHUNK_RANGE;
    if (!(whole->ranges ? cut_elements(chunks, chunk, RANGE_ELEMENTS, err)
                        : cut_fits(chunks, chunk, err)))
        return false;
    size_t unit = packing_unit(chunk.item);
    size_t step = unit > CHUNK_ELEMENTS ? unit : CHUNK_ELEMENTS / unit * unit;
    size_t first = chunks->work_count;
    chunk.work = CHUNK_ENCODE;
    if (!cut_elements(chunks, chunk, step, err))
        return false;
    if (whole->kept > 0) /* what was read last is encoded first */
        reverse(chunks->works, first, chunks->work_count);
    return true;
}

/* ---- weights in one pass: their groups are short -------------------------- */

size_t rows_upto(const struct plan_item *item, size_t first, size_t last, size_t elements,
                 size_t code_unit, size_t group_unit)
{
    const struct quant_shape *shape = &item->shape;
    size_t width = item_row_width(item), begin = row_begin(item, first);
    size_t block = size_min(shape->block, shape->dim);
    size_t longest = size_max(block, 1) * shape->inner;
    size_t next = first + size_max(elements / longest, 1);
    for (; next < last; next++) {
        size_t at = row_begin(item, next);
        if (at - begin >= elements && at % code_unit == 0 &&
            next * width % group_unit == 0)
            break;
    }
    return next < last ? next : last;
}

static bool cut_rows(struct chunks *chunks, struct chunk chunk, struct error *err)
{
    const struct plan_item *item = chunk.item;
    size_t rows = item_rows(item);
    /* Both codes and zero points must begin with a whole byte. */
    size_t code_unit = packing_unit(item), zero_unit = zeros_unit(item);
    size_t each = (size_t)item->elements / rows, least = CHUNK_ELEMENTS;
    chunk.work = CHUNK_BOTH;
    if (each <= SHORT_ROW)
        least = size_max(least, each * CHUNK_ROWS);
    for (size_t first = 0, next; first < rows; first = next) {
        next = rows_upto(item, first, rows, least, code_unit, zero_unit);
        chunk.first_row = first;
        chunk.row_count = next - first;
        chunk.begin = row_begin(item, first);
        chunk.end = row_begin(item, next);
        if (!push_work(chunks, chunk, err))
            return false;
    }
    return true;
}

/* ---- weights that are stored transposed --------------------------------- */

/* How many rows, as quant_fit counts them, one panel has. All of them if that is not too
 * much. Otherwise an even number: each stored row gets whole bytes from a panel. If
 * stored rows have an odd number of elements, that is impossible, and one panel has all
 * rows. */
static size_t panel_step(const struct plan_item *item)
{
    size_t rows = (size_t)item->tensor->dims[0], columns = (size_t)item->tensor->dims[1];
    size_t fit_rows = item_rows(item);
    bool packed = item->packing == PACK_PAIRS;
    size_t source_rows = PANEL_BYTES / columns * (packed ? 2 : 1);
    bool along_rows = item->axis == 1 || item->shape.block == 0;
    if (source_rows >= rows || (packed && rows % 2 != 0))
        return fit_rows;
    source_rows = size_max(source_rows / PANEL_ROWS * PANEL_ROWS, PANEL_ROWS);
    if (along_rows)
        return source_rows * (fit_rows / rows);
    return size_max(source_rows / item->shape.block & ~(size_t)1, 2);
}

static bool cut_panels(struct chunks *chunks, struct chunk chunk, struct error *err)
{
    const struct plan_item *item = chunk.item;
    size_t rows = item_rows(item), step = panel_step(item);
    chunk.work = CHUNK_PANEL;
    for (size_t first = 0; first < rows; first += step) {
        chunk.first_row = first;
        chunk.row_count = rows - first < step ? rows - first : step;
        chunk.begin = row_begin(item, first);
        chunk.end = row_begin(item, first + chunk.row_count);
        if (!push_work(chunks, chunk, err))
            return false;
    }
    return true;
}

bool chunks_add(struct chunks *chunks, const struct plan_item *item,
                const struct item_tensors *tensors, struct fill_result *result,
                struct error *err)
{
    const struct quant_shape *shape = &item->shape;
    const struct chunk chunk = {.item = item, .tensors = tensors, .result = result};
    bool two_pass = shape->block == 0 && (shape->outer > 1 || shape->dim == 1);
    if (item->transposed)
        return cut_panels(chunks, chunk, err);
    return (two_pass ? cut_two_pass : cut_rows)(chunks, chunk, err);
}

void chunks_clear(struct chunks *chunks)
{
    for (struct two_pass_item *whole = chunks->two_pass_items, *next; whole;
         whole = next) {
        next = whole->next;
        free(whole->scales);
        free(whole->zeros);
        free(whole->ranges);
        free(whole);
    }
    chunks->two_pass_items = NULL;
    chunks->two_pass_bytes = 0;
    chunks->fit_count = chunks->work_count = 0;
}

void chunks_free(struct chunks *chunks)
{
    chunks_clear(chunks);
    free(chunks->fits);
    free(chunks->works);
    *chunks = (struct chunks){0};
}
