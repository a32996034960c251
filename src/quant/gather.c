/* Gathers groups into tiles: columns are copied, runs are transposed. Never reads beyond
 * the requested elements. */
#include "quant/gather.h"
#include "quant/kernels/kernels.h"

#include <string.h>

enum { RUN_PIECE = 64 }; /* elements of a run transposed at once */

const float_u *gather_floats(const struct fit *fit, size_t element, size_t n,
                             float *buffer)
{
    const void *data = fit_data(fit, element);
    if (fit->source.type == REAL_FLOAT32)
        return data;
    fit->kernels->widen[fit->source.type](data, n, buffer);
    return buffer;
}

/* For groups that are columns: copies one row of all tiles after the other. */
static void gather_columns(const struct fit *fit, const struct matrix *matrix,
                           size_t group, size_t count, size_t begin, size_t end,
                           float *tiles, size_t stride)
{
    size_t whole = count / TILE_GROUPS, rest = count % TILE_GROUPS;
    for (size_t r = begin; r < end; r++, tiles += TILE_GROUPS) {
        float buffer[MAX_TILES * TILE_GROUPS];
        const float_u *x = gather_floats(
            fit, matrix->element + r * matrix->columns + group, count, buffer);
        for (size_t t = 0; t < whole; t++)
            memcpy(tiles + t * stride, x + t * TILE_GROUPS, TILE_GROUPS * sizeof *x);
        if (rest != 0) {
            memset(tiles + whole * stride, 0, TILE_GROUPS * sizeof *tiles);
            memcpy(tiles + whole * stride, x + whole * TILE_GROUPS, rest * sizeof *x);
        }
    }
}

/* Gathers n <= RUN_PIECE elements of `count` <= TILE_GROUPS runs of one row. They begin
 * at element `at` of each run. The last run may be shorter, because the row ends. */
static void gather_piece(const struct fit *fit, const struct matrix *matrix, size_t row,
                         size_t group, size_t count, size_t at, size_t n, float *tile)
{
    static const float none[RUN_PIECE];
    const float_u *rows[TILE_GROUPS];
    float buffer[TILE_GROUPS][RUN_PIECE];
    for (size_t g = 0; g < TILE_GROUPS; g++) {
        size_t column = (group + g) * matrix->run + at;
        size_t there = g < count && column < matrix->columns
                           ? size_min(n, matrix->columns - column)
                           : 0;
        rows[g] = none;
        if (there == 0)
            continue;
        rows[g] = gather_floats(fit, matrix->element + row * matrix->columns + column,
                                there, buffer[g]);
        if (there < n) {
            memmove(buffer[g], rows[g], there * sizeof *buffer[g]);
            memset(buffer[g] + there, 0, (n - there) * sizeof *buffer[g]);
            rows[g] = buffer[g];
        }
    }
    fit->kernels->interleave(rows, n, tile);
}

static void gather_runs(const struct fit *fit, const struct matrix *matrix, size_t group,
                        size_t count, size_t begin, size_t end, float *tile)
{
    for (size_t at = begin, n; at < end; at += n, tile += n * TILE_GROUPS) {
        size_t row = at / matrix->run, column = at % matrix->run;
        n = size_min(size_min(RUN_PIECE, matrix->run - column), end - at);
        gather_piece(fit, matrix, row, group, count, column, n, tile);
    }
}

void gather(const struct fit *fit, const struct matrix *matrix, size_t group,
            size_t count, size_t begin, size_t end, float *tiles, size_t stride)
{
    size_t all = size_ceil_div(count, TILE_GROUPS), n = end - begin;
    if (matrix->run == 1)
        gather_columns(fit, matrix, group, count, begin, end, tiles, stride);
    for (size_t t = 0; t < all; t++) {
        size_t first = t * TILE_GROUPS;
        if (matrix->run > 1)
            gather_runs(fit, matrix, group + first, size_min(TILE_GROUPS, count - first),
                        begin, end, tiles + t * stride);
        if (n % 2 != 0)
            memset(tiles + t * stride + n * TILE_GROUPS, 0, TILE_GROUPS * sizeof *tiles);
    }
}
