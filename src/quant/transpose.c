/* Transposing codes in tiles of 8 x 8 bytes, each a handful of 64-bit operations
 * that any CPU has. Moves bytes, so every way of doing it gives the same. */
#include "quant/transpose.h"

#include <string.h>

enum { TILE = 8 };

/* Swaps the blocks beside the diagonal: bits of `mask` in a with those `shift`
 * higher in b. */
static inline void swap_blocks(uint64_t *a, uint64_t *b, unsigned shift, uint64_t mask)
{
    uint64_t t = ((*a >> shift) ^ *b) & mask;
    *b ^= t;
    *a ^= t << shift;
}

static inline void tile(const uint8_t *codes, size_t stride, uint8_t *out,
                        size_t out_stride)
{
    uint64_t row[TILE];
    for (int i = 0; i < TILE; i++)
        memcpy(&row[i], codes + (size_t)i * stride, TILE);
    for (int i = 0; i < 4; i++)
        swap_blocks(&row[i], &row[i + 4], 32, 0x00000000ffffffffu);
    for (int i = 0; i < TILE; i += 4)
        for (int j = i; j < i + 2; j++)
            swap_blocks(&row[j], &row[j + 2], 16, 0x0000ffff0000ffffu);
    for (int i = 0; i < TILE; i += 2)
        swap_blocks(&row[i], &row[i + 1], 8, 0x00ff00ff00ff00ffu);
    for (int i = 0; i < TILE; i++)
        memcpy(out + (size_t)i * out_stride, &row[i], TILE);
}

void quant_transpose(const uint8_t *codes, size_t rows, size_t columns, size_t stride,
                     uint8_t *out, size_t out_stride)
{
    size_t whole_rows = rows - rows % TILE, whole_columns = columns - columns % TILE;
    for (size_t c = 0; c < whole_columns; c += TILE)
        for (size_t r = 0; r < whole_rows; r += TILE)
            tile(codes + r * stride + c, stride, out + c * out_stride + r, out_stride);
    /* What is left: the last rows of all columns, the last columns of other rows. */
    for (size_t c = 0; c < columns; c++)
        for (size_t r = c < whole_columns ? whole_rows : 0; r < rows; r++)
            out[c * out_stride + r] = codes[r * stride + c];
}
