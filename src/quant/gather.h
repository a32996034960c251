/* Gathering groups of a matrix, wherever they lie, into tiles: groups side by side, an
 * element of each after the other. For the methods that read a group many times. */
#ifndef NIBBLE_QUANT_GATHER_H
#define NIBBLE_QUANT_GATHER_H

#include "quant/fit.h"
#include "quant/kernels/search_tile.h"

enum { MAX_TILES = 8 }; /* at a time, at most */

/* Elements of a group; those at the end of a row may have fewer. */
static inline size_t gather_length(const struct matrix *matrix)
{
    return matrix->rows * matrix->run;
}

/* n adjacent elements as float32: where they lie, or in the buffer. */
const float_u *gather_floats(const struct fit *fit, size_t element, size_t n,
                             float *buffer);

/* Elements [begin, end) of `count` <= MAX_TILES * TILE_GROUPS groups from the matrix's
 * first + `group` on, as float32 [tile][element][TILE_GROUPS]; tiles lie `stride` floats
 * apart. An element beyond the end is added where their number is odd. Elements and
 * groups that are not there are 0. */
void gather(const struct fit *fit, const struct matrix *matrix, size_t group,
            size_t count, size_t begin, size_t end, float *tiles, size_t stride);

#endif
