/* Copies groups of a matrix into tiles: several groups side by side, one element of each
 * after the other. For the methods that read a group many times. */
#ifndef NIBBLE_QUANT_GATHER_H
#define NIBBLE_QUANT_GATHER_H

#include "quant/fit.h"
#include "quant/kernels/search_tile.h"

enum { MAX_TILES = 8 }; /* tiles gathered at once */

/* The number of elements of a group. The last group of a row may have fewer. */
static inline size_t gather_length(const struct matrix *matrix)
{
    return matrix->rows * matrix->run;
}

/* Returns n adjacent elements as float32. They are converted into the buffer if they have
 * another type; otherwise the source itself is returned. */
const float_u *gather_floats(const struct fit *fit, size_t element, size_t n,
                             float *buffer);

/* Gathers elements [begin, end) of `count` <= MAX_TILES * TILE_GROUPS groups as float32
 * [tile][element][TILE_GROUPS]. The first group is number `group` of the matrix. Tiles
 * lie `stride` floats apart. An odd number of elements is padded to an even one. Padding,
 * missing elements of short groups and missing groups of the last tile are 0. */
void gather(const struct fit *fit, const struct matrix *matrix, size_t group,
            size_t count, size_t begin, size_t end, float *tiles, size_t stride);

#endif
