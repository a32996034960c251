/* Gathering groups into tiles: columns are copied, runs transposed. Touches nothing
 * beyond the elements asked for. */
#include "quant/gather.h"

#include <string.h>

#include "quant/kernels/kernels.h"

enum { STRETCH = 64 }; /* elements of a run at a time */

const float_u *gather_floats(const struct fit *fit, size_t element, size_t n,
                             float *buffer)
{
    const void *data = fit_data(fit, element);

    if (fit->source.type == REAL_FLOAT32)
        return data;
    fit->kernels->widen[fit->source.type](data, n, buffer);
    return buffer;
}

/* Groups that are columns: a row of all tiles at a time. */
static void gather_columns(const struct fit *fit, const struct band *band, size_t group,
                           size_t count, size_t begin, size_t end, float *tiles,
                           size_t stride)
{
    size_t whole = count / TILE, rest = count % TILE;

    for (size_t r = begin; r < end; r++, tiles += TILE) {
        float buffer[TILES * TILE];
        const float_u *x =
            gather_floats(fit, band->element + r * band->columns + group, count, buffer);

        for (size_t t = 0; t < whole; t++)
            memcpy(tiles + t * stride, x + t * TILE, TILE * sizeof *x);
        if (rest != 0) {
            memset(tiles + whole * stride, 0, TILE * sizeof *tiles);
            memcpy(tiles + whole * stride, x + whole * TILE, rest * sizeof *x);
        }
    }
}

/* n <= STRETCH elements of a row of the band, from `at` on in each of `count` <= TILE
 * runs. The last run may end before: `columns` is where the row ends. */
static void gather_stretch(const struct fit *fit, const struct band *band, size_t row,
                           size_t group, size_t count, size_t at, size_t n, float *tile)
{
    static const float none[STRETCH];
    const float_u *rows[TILE];
    float buffer[TILE][STRETCH];

    for (size_t g = 0; g < TILE; g++) {
        size_t column = (group + g) * band->run + at;
        size_t there =
            g < count && column < band->columns ? size_min(n, band->columns - column) : 0;

        rows[g] = none;
        if (there == 0)
            continue;
        rows[g] = gather_floats(fit, band->element + row * band->columns + column, there,
                                buffer[g]);
        if (there < n) {
            memmove(buffer[g], rows[g], there * sizeof *buffer[g]);
            memset(buffer[g] + there, 0, (n - there) * sizeof *buffer[g]);
            rows[g] = buffer[g];
        }
    }
    fit->kernels->interleave(rows, n, tile);
}

static void gather_runs(const struct fit *fit, const struct band *band, size_t group,
                        size_t count, size_t begin, size_t end, float *tile)
{
    for (size_t at = begin, n; at < end; at += n, tile += n * TILE) {
        size_t row = at / band->run, column = at % band->run;

        n = size_min(size_min(STRETCH, band->run - column), end - at);
        gather_stretch(fit, band, row, group, count, column, n, tile);
    }
}

void gather(const struct fit *fit, const struct band *band, size_t group, size_t count,
            size_t begin, size_t end, float *tiles, size_t stride)
{
    size_t all = (count + TILE - 1) / TILE, n = end - begin;

    if (band->run == 1)
        gather_columns(fit, band, group, count, begin, end, tiles, stride);
    for (size_t t = 0; t < all; t++) {
        size_t first = t * TILE;

        if (band->run > 1)
            gather_runs(fit, band, group + first, size_min(TILE, count - first), begin,
                        end, tiles + t * stride);
        if (n % 2 != 0)
            memset(tiles + t * stride + n * TILE, 0, TILE * sizeof *tiles);
    }
}
