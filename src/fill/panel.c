/* Panels. A panel's bytes are its own: panels of one weight may be written side by
 * side. Numbers are quant's. */
#include "fill/panel.h"
#include "fill/store.h"
#include "quant/transpose.h"

#include <stdlib.h>
#include <string.h>

enum { TURN_COLUMNS = 64 }; /* columns turned at a time: they stay in the cache */

/* ---- places and buffers ---------------------------------------------- */

static bool map_payload(const struct payload *payload, struct output_map *map,
                        struct error *err)
{
    return !payload ||
           output_map(payload->output, payload->place, payload->size, map, err);
}

bool panels_map(struct panel_item *panels, struct error *err)
{
    for (struct panel_item *panel = panels; panel; panel = panel->next)
        if (!map_payload(panel->item->codes, &panel->codes, err) ||
            !map_payload(panel->item->scales, &panel->scales, err) ||
            !map_payload(panel->item->zeros, &panel->zeros, err))
            return false;
    return true;
}

void panel_buffers_free(struct panel_buffers *buffers)
{
    free(buffers->codes);
    free(buffers->turned);
    free(buffers->scales);
    free(buffers->zeros);
    free(buffers->stored);
    *buffers = (struct panel_buffers){0};
}

static bool reserve(struct panel_buffers *buffers, size_t codes, size_t rows,
                    size_t groups, struct error *err)
{
    size_t turned = rows * TURN_COLUMNS;
    if (codes <= buffers->code_room && groups <= buffers->group_room)
        return true;
    codes = codes > buffers->code_room ? codes : buffers->code_room;
    groups = groups > buffers->group_room ? groups : buffers->group_room;
    panel_buffers_free(buffers);
    *buffers = (struct panel_buffers){
        .codes = malloc(codes),
        .turned = malloc(turned > codes ? turned : codes),
        .scales = malloc(groups * sizeof *buffers->scales),
        .zeros = malloc(groups),
        .stored = malloc(groups * sizeof *buffers->scales),
    };
    if (!buffers->codes || !buffers->turned || !buffers->scales || !buffers->zeros ||
        !buffers->stored)
        return error_memory(err);
    buffers->code_room = codes;
    buffers->group_room = groups;
    return true;
}

/* ---- one panel -------------------------------------------------------- */

/* Groups as a matrix, in the source: `rows` of it belong to the panel. */
struct group_matrix {
    size_t first, rows, all_rows, columns;
};

static struct group_matrix groups_of(const struct chunk *chunk)
{
    const struct plan_item *item = chunk->item;
    const struct quant_shape *shape = &item->shape;
    size_t groups = quant_groups(shape);
    /* Blocks down the columns: a row of groups for each block. Otherwise one for
     * each row of the weight: its blocks, or its one scale. */
    bool down = shape->block != 0 && item->axis == 0;
    size_t all = down ? groups / shape->inner : (size_t)item->tensor->dims[0];
    size_t per_row = item_rows(item) / all; /* fit rows of a row of groups */
    return (struct group_matrix){chunk->first_row / per_row, chunk->row_count / per_row,
                                 all, groups / all};
}

/* Row by row, while the floats are in the first-level cache. */
static bool quantize(const struct kernels *kernels, struct chunk *chunk,
                     const struct group_matrix *groups, struct panel_buffers *buffers)
{
    const struct plan_item *item = chunk->item;
    size_t fit_rows = chunk->row_count / groups->rows, begin = chunk->begin;
    size_t width = fit_rows * item_row_width(item);
    size_t step = (chunk->end - chunk->begin) / groups->rows; /* but for a last block */
    for (size_t i = 0; i < groups->rows && chunk->fit == QUANT_FIT_OK; i++) {
        size_t first = chunk->first_row + i * fit_rows;
        size_t end = begin + step;
        if (item->axis == 0 && item->shape.block) {
            end = begin + item->shape.block * item->shape.inner;
            end = end < item->elements ? end : (size_t)item->elements;
        }
        chunk->fit =
            quant_fit(kernels, &item->scheme, item_source(item), &item->shape, first,
                      fit_rows, buffers->scales + i * width, buffers->zeros + i * width);
        if (chunk->fit == QUANT_FIT_OK)
            quant_encode(kernels, &item->scheme, item_source(item), &item->shape, begin,
                         end, first * item_row_width(item), buffers->scales + i * width,
                         buffers->zeros + i * width,
                         buffers->codes + (begin - chunk->begin), &chunk->error);
        begin = end;
    }
    return chunk->fit == QUANT_FIT_OK;
}

/* Column c of the codes becomes part of the stored row c. */
static void put_codes(const struct kernels *kernels, const struct chunk *chunk,
                      struct panel_buffers *buffers)
{
    const struct plan_item *item = chunk->item;
    size_t all_rows = (size_t)item->tensor->dims[0],
           columns = (size_t)item->tensor->dims[1];
    size_t rows = (chunk->end - chunk->begin) / columns, first = chunk->begin / columns;
    uint8_t *out = chunk->panel->codes.data;
    for (size_t c = 0; c < columns; c += TURN_COLUMNS) {
        size_t n = columns - c < TURN_COLUMNS ? columns - c : TURN_COLUMNS;
        quant_transpose(buffers->codes + c, rows, n, columns, buffers->turned, rows);
        for (size_t i = 0; i < n; i++) {
            size_t at = (c + i) * all_rows + first;
            if (item->packing == PACK_PAIRS)
                nibbles_put(kernels, out, at, buffers->turned + i * rows, rows);
            else
                memcpy(out + at, buffers->turned + i * rows, rows);
        }
    }
}

static void put_scales(const struct chunk *chunk, const struct group_matrix *groups,
                       struct panel_buffers *buffers)
{
    enum real_type type = chunk->item->scheme.scale_type;
    size_t size = real_size(type);
    uint8_t *out = chunk->panel->scales.data;
    real_store(type, buffers->scales, groups->rows * groups->columns, buffers->stored);
    for (size_t c = 0; c < groups->columns; c++)
        for (size_t r = 0; r < groups->rows; r++)
            memcpy(out + (c * groups->all_rows + groups->first + r) * size,
                   buffers->stored + (r * groups->columns + c) * size, size);
}

static void put_zeros(const struct kernels *kernels, const struct chunk *chunk,
                      const struct group_matrix *groups, struct panel_buffers *buffers)
{
    const struct plan_item *item = chunk->item;
    bool packed = item->packing == PACK_PAIRS;
    size_t stride = groups->all_rows;
    if (packed && item->padded)
        stride += stride % 2;
    for (size_t c = 0; c < groups->columns; c++) {
        for (size_t r = 0; r < groups->rows; r++)
            buffers->stored[r] = buffers->zeros[r * groups->columns + c];
        size_t at = c * stride + groups->first;
        if (packed)
            nibbles_put(kernels, chunk->panel->zeros.data, at, buffers->stored,
                        groups->rows);
        else
            memcpy(chunk->panel->zeros.data + at, buffers->stored, groups->rows);
    }
}

bool panel_work(const struct kernels *kernels, struct chunk *chunk,
                struct panel_buffers *buffers, struct error *err)
{
    const struct group_matrix groups = groups_of(chunk);
    size_t codes = chunk->end - chunk->begin;
    if (!reserve(buffers, codes, codes / (size_t)chunk->item->tensor->dims[1],
                 groups.rows * groups.columns, err))
        return false;
    if (!quantize(kernels, chunk, &groups, buffers) || !chunk->item->codes)
        return true;
    put_codes(kernels, chunk, buffers);
    put_scales(chunk, &groups, buffers);
    if (chunk->item->zeros)
        put_zeros(kernels, chunk, &groups, buffers);
    return true;
}
