/* Panels. Rows are fitted, encoded, packed and transposed band by band, while a band is
 * in the cache. A panel that is a whole weight is written with one call. Otherwise each
 * of its stored rows is a part of a row in the file, and is written by itself. No two
 * panels share a byte of the file, so several threads may write panels of one weight. */
#include "fill/panel.h"
#include "fill/grid_counts.h"
#include "fill/pack.h"
#include "fill/solved.h"
#include "quant/transpose.h"

#include <stdlib.h>
#include <string.h>

enum {
    SEARCH_ROWS = 8,   /* channels that are searched side by side */
    BAND_ROWS = 128,   /* packed, they become one cache line of each stored row */
    ODD_COLUMNS = 64,  /* columns transposed at a time, if the number of rows is odd */
    PACKED_MARGIN = 64 /* bytes between packed rows, which else share sets of the cache */
};

/* ---- buffers --------------------------------------------------------- */

void panel_buffers_free(struct panel_buffers *buffers)
{
    free(buffers->codes);
    free(buffers->packed);
    free(buffers->scales);
    free(buffers->zeros);
    free(buffers->transposed);
    free(buffers->stored_codes);
    free(buffers->stored_scales);
    free(buffers->stored_zeros);
    *buffers = (struct panel_buffers){0};
}

/* ---- shapes ------------------------------------------------------------ */

/* A panel: some rows of the weight, and of the matrix of its groups. Each column of
 * either becomes a stored row. */
struct panel {
    const struct plan_item *item;
    const struct item_tensors *tensors;
    size_t columns, first, rows;                   /* of the weight */
    size_t group_columns, group_first, group_rows; /* of its groups */
    size_t height;     /* rows of the weight that share groups */
    size_t fit_rows;   /* rows, as quant_fit counts them, in a row of groups */
    size_t slab;       /* rows of groups quantized at a time; an even number of rows */
    size_t band;       /* rows of groups transposed at a time */
    bool packed;       /* two codes a byte */
    bool zeros_packed; /* two zero points a byte */
    bool odd;          /* rows of what is stored begin within a byte */
    size_t code_row, scale_row; /* bytes of the panel in each stored row */
    size_t zero_row;            /* the same in zero points */
};

static struct panel panel_of(const struct chunk *chunk)
{
    const struct plan_item *item = chunk->item;
    const struct quant_shape *shape = &item->shape;
    size_t groups = quant_groups(shape), all_rows = (size_t)item->tensor->dims[0];
    /* Blocks down the columns: a row of groups for each block. Otherwise one for
     * each row of the weight: its blocks, or its one scale. */
    bool down = shape->block != 0 && item->axis == 0;
    size_t all = transposed_group_rows(item);
    struct panel p = {
        .item = item,
        .tensors = chunk->tensors,
        .columns = (size_t)item->tensor->dims[1],
        .group_columns = groups / all,
        .height = down ? shape->block : 1,
        .fit_rows = item_rows(item) / all,
        .packed = item->packing == PACK_PAIRS,
        .zeros_packed = item->zero_packing == PACK_PAIRS,
    };

    p.first = chunk->begin / p.columns;
    p.rows = (chunk->end - chunk->begin) / p.columns;
    p.group_first = chunk->first_row / p.fit_rows;
    p.group_rows = chunk->row_count / p.fit_rows;
    p.odd = p.packed && all_rows % 2 != 0;
    p.slab = p.odd ? p.group_rows : 1 + p.height % 2;
    if (!p.odd && p.group_columns < SEARCH_ROWS && item->scheme.method != QUANT_RTN)
        p.slab = SEARCH_ROWS;
    p.band = p.odd ? p.group_rows : (BAND_ROWS + p.height - 1) / p.height;
    p.band += p.slab - 1 - (p.band + p.slab - 1) % p.slab;
    p.code_row = p.packed ? (p.rows + (item->row_bytes != 0)) / 2 : p.rows;
    p.scale_row = p.group_rows * real_size(item->scheme.scale_type);
    p.zero_row = p.group_rows;
    if (p.zeros_packed && (item->padded || all % 2 == 0))
        p.zero_row += p.zero_row % 2;
    return p;
}

static bool reserve(struct panel_buffers *b, const struct panel *p, struct error *err)
{
    size_t rows = p->band * p->height < p->rows ? p->band * p->height : p->rows;
    size_t slab = p->slab * p->height < p->rows ? p->slab * p->height : p->rows;
    size_t groups = p->band * p->group_columns;
    size_t lines = p->packed ? (rows + 1) / 2 : rows;
    size_t codes = p->columns * p->rows, stored = p->packed ? (codes + 1) / 2 : codes;
    stored = p->item->row_bytes ? p->columns * p->code_row : stored;

    b->codes = buffer_grown(b->codes, &b->room[0], slab * p->columns);
    b->packed =
        buffer_grown(b->packed, &b->room[1], lines * (p->columns + PACKED_MARGIN));
    b->scales = buffer_grown(b->scales, &b->room[2], groups * sizeof *b->scales);
    b->zeros = buffer_grown(b->zeros, &b->room[3], groups);
    b->transposed =
        buffer_grown(b->transposed, &b->room[4],
                     p->band * sizeof *b->scales + (p->odd ? p->rows * ODD_COLUMNS : 0));
    b->stored_codes = buffer_grown(b->stored_codes, &b->room[5], stored);
    b->stored_scales =
        buffer_grown(b->stored_scales, &b->room[6], p->scale_row * p->group_columns);
    b->stored_zeros =
        buffer_grown(b->stored_zeros, &b->room[7], p->zero_row * p->group_columns + 1);
    return (b->codes && b->packed && b->scales && b->zeros && b->transposed &&
            b->stored_codes && b->stored_scales && b->stored_zeros) ||
           error_memory(err);
}

/* ---- one band ---------------------------------------------------------- */

/* Rows of groups [at, at + count) of a panel, and their rows of the weight, counted from
 * the panel's first one. */
struct band {
    size_t at, count;
    size_t row, rows;
};

/* Packs the codes of `rows` rows of the band, from `row` on: two rows into one, because
 * the elements of a column lie one behind the other in a stored row. */
static void pack_rows(const struct panel *p, size_t row, size_t rows,
                      const struct panel_buffers *buffers)
{
    const size_t stride = p->columns + PACKED_MARGIN;
    const uint8_t *codes = buffers->codes;

    for (size_t r = 0; r < rows && !p->packed; r++)
        memcpy(buffers->packed + (row + r) * stride, codes + r * p->columns, p->columns);
    for (size_t r = 0; r < rows && p->packed; r += 2)
        quant_pair_rows(codes + r * p->columns, codes + (r + 1) * p->columns, p->columns,
                        buffers->packed + (row + r) / 2 * stride);
}

/* Quantizes a few rows at a time. Their values and codes stay in the first-level cache.
 */
static bool quantize(const struct fill_options *options, struct chunk *chunk,
                     const struct panel *p, const struct band *band,
                     struct quant_source source, struct panel_buffers *buffers)
{
    const struct plan_item *item = p->item;
    size_t row_width = item_row_width(item), width = p->fit_rows * row_width;
    size_t begin = chunk->begin + band->row * p->columns;
    size_t end = begin + band->rows * p->columns, row = 0;

    for (size_t i = 0, n; i < band->count; i += n, begin += n * p->height * p->columns) {
        size_t first = chunk->first_row + (band->at + i) * p->fit_rows;
        float *scales = buffers->scales + i * width;
        uint8_t *zeros = buffers->zeros + i * width;
        size_t stop;

        n = band->count - i < p->slab ? band->count - i : p->slab;
        stop = begin + n * p->height * p->columns;
        stop = stop < end ? stop : end;
        chunk->fit = item_fit(options->kernels, item, source, first, n * p->fit_rows,
                              scales, zeros);
        if (chunk->fit != QUANT_FIT_OK || cancel_wanted(options->cancel))
            return false;
        read_ahead(item, stop, stop - begin, chunk->end);
        item_encode(options->kernels, item, source, begin, stop, first * row_width,
                    scales, zeros, buffers->codes, chunk_error(options, chunk, begin));
        if (chunk->result->counts)
            grid_count(item, source, begin, stop, first * row_width, scales, zeros,
                       chunk->result->counts);
        if (!p->odd)
            pack_rows(p, row, (stop - begin) / p->columns, buffers);
        row += (stop - begin) / p->columns;
    }
    return true;
}

/* Column c of the codes becomes a part of stored row c. */
static void transpose_codes(const struct panel *p, const struct band *band,
                            struct panel_buffers *buffers)
{
    size_t each = p->packed ? 2 : 1;

    quant_transpose(buffers->packed, band->rows / each, p->columns,
                    p->columns + PACKED_MARGIN, buffers->stored_codes + band->row / each,
                    p->code_row);
}

/* The same if stored rows may begin within a byte. Then the band has all rows. */
static void transpose_odd(const struct kernels *kernels, const struct panel *p,
                          struct panel_buffers *buffers)
{
    size_t stride = p->item->row_bytes ? 2 * p->code_row : p->rows;

    for (size_t c = 0, n; c < p->columns; c += n) {
        n = p->columns - c < ODD_COLUMNS ? p->columns - c : ODD_COLUMNS;
        quant_transpose(buffers->codes + c, p->rows, n, p->columns, buffers->transposed,
                        p->rows);
        for (size_t i = 0; i < n; i++)
            nibbles_put(kernels, buffers->stored_codes, (c + i) * stride,
                        buffers->transposed + i * p->rows, p->rows);
    }
}

static void transpose_scales(const struct kernels *kernels, const struct panel *p,
                             const struct band *band, struct panel_buffers *buffers)
{
    enum real_type type = p->item->scheme.scale_type;
    uint8_t *out = buffers->stored_scales + band->at * real_size(type);
    float *column = (float *)(void *)buffers->transposed;

    for (size_t c = 0; c < p->group_columns; c++, out += p->scale_row) {
        for (size_t r = 0; r < band->count; r++)
            column[r] = buffers->scales[r * p->group_columns + c];
        quant_store(kernels, type, column, band->count, out);
    }
}

static void transpose_zeros(const struct kernels *kernels, const struct panel *p,
                            const struct band *band, struct panel_buffers *buffers)
{
    uint8_t *column = buffers->transposed;

    for (size_t c = 0; c < p->group_columns; c++) {
        size_t at = c * p->zero_row + band->at;

        for (size_t r = 0; r < band->count; r++)
            column[r] = buffers->zeros[r * p->group_columns + c];
        if (p->zeros_packed)
            nibbles_put(kernels, buffers->stored_zeros, at, column, band->count);
        else
            memcpy(buffers->stored_zeros + at, column, band->count);
    }
}

static void transpose(const struct kernels *kernels, const struct panel *p,
                      const struct band *band, struct panel_buffers *buffers)
{
    if (p->odd)
        transpose_odd(kernels, p, buffers);
    else
        transpose_codes(p, band, buffers);
    transpose_scales(kernels, p, band, buffers);
    if (p->tensors->zeros)
        transpose_zeros(kernels, p, band, buffers);
}

/* ---- the panel --------------------------------------------------------- */

/* The panel's part of `count` stored rows: `row` bytes of each. In the file the rows lie
 * `stride` bytes apart, and the part begins `first` bytes behind the begin of a row. */
struct stored {
    const struct payload *payload;
    const uint8_t *made;
    size_t count, row, first, stride;
};

/* Writes with one call if the panel is the whole weight, otherwise row by row. That is as
 * fast as mapping the output, but leaves no pages in memory. */
static bool store(const struct stored *s, bool whole, struct error *err)
{
    const struct payload *payload = s->payload;
    uint64_t offset = payload ? payload->offset + s->first : 0;

    if (!payload)
        return true;
    if (whole)
        return output_write(payload->output, offset, s->made, payload->size, err);
    for (size_t c = 0; c < s->count; c++)
        if (!output_write(payload->output, offset + c * s->stride, s->made + c * s->row,
                          s->row, err))
            return false;
    return true;
}

static bool store_all(const struct panel *p, const struct panel_buffers *buffers,
                      struct error *err)
{
    const struct plan_item *item = p->item;
    size_t each = p->packed ? 2 : 1, zeros_each = p->zeros_packed ? 2 : 1;
    size_t size = real_size(item->scheme.scale_type);
    size_t rows = (size_t)item->tensor->dims[0];
    size_t groups = quant_groups(&item->shape) / p->group_columns;
    const struct stored parts[] = {
        {p->tensors->codes, buffers->stored_codes, p->columns, p->code_row,
         p->first / each, item->row_bytes ? item->row_bytes : rows / each},
        {p->tensors->scales, buffers->stored_scales, p->group_columns, p->scale_row,
         p->group_first * size, groups * size},
        {p->tensors->zeros, buffers->stored_zeros, p->group_columns,
         p->zero_row / zeros_each, p->group_first / zeros_each,
         (groups + zeros_each - 1) / zeros_each},
    };

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!store(&parts[i], p->rows == rows && (i > 0 || !item->row_bytes), err))
            return false;
    return true;
}

bool panel_work(const struct fill_options *options, struct chunk *chunk,
                struct reader *reader, struct panel_buffers *buffers, struct error *err)
{
    const struct panel p = panel_of(chunk);
    struct band band = {0};
    struct quant_source source;

    if (!reserve(buffers, &p, err))
        return false;
    for (; band.at < p.group_rows; band.at += band.count, band.row += band.rows) {
        band.count = p.group_rows - band.at < p.band ? p.group_rows - band.at : p.band;
        band.rows = band.count * p.height;
        if (band.rows > p.rows - band.row) /* the last block is shorter */
            band.rows = p.rows - band.row;
        if (cancelled(options->cancel, err))
            return false;
        size_t begin = chunk->begin + band.row * p.columns;
        if (!read_elements(reader, p.item, begin, begin + band.rows * p.columns, &source,
                           err))
            return false;
        if (!quantize(options, chunk, &p, &band, source, buffers))
            return !cancelled(options->cancel, err);
        if (p.tensors->codes) /* otherwise the plan is only measured */
            transpose(options->kernels, &p, &band, buffers);
    }
    return store_all(&p, buffers, err);
}
