/* Transposes codes in tiles of 16 x 16 bytes, in four rounds of interleaving. Uses the
 * compiler's vectors, which work on any CPU. */
#include "quant/transpose.h"

#include <string.h>

enum { BYTE_TILE = 16 };

typedef uint8_t vector __attribute__((vector_size(BYTE_TILE)));

static inline vector interleave_low(vector a, vector b)
{
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22,
                                   7, 23);
}

static inline vector interleave_high(vector a, vector b)
{
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14,
                                   30, 15, 31);
}

/* One round. Write the position of a byte in the tile, row and column, as eight bits:
 * each round moves the highest bit to the lowest place. After four rounds, rows and
 * columns have changed places. */
static inline void interleave_rows(const vector *from, vector *to)
{
    for (int i = 0; i < BYTE_TILE / 2; i++) {
        to[2 * i] = interleave_low(from[i], from[i + BYTE_TILE / 2]);
        to[2 * i + 1] = interleave_high(from[i], from[i + BYTE_TILE / 2]);
    }
}

static inline void transpose_tile(const uint8_t *codes, size_t stride, uint8_t *out,
                                  size_t out_stride)
{
    vector a[BYTE_TILE], b[BYTE_TILE];
    for (size_t i = 0; i < BYTE_TILE; i++)
        memcpy(&a[i], codes + i * stride, BYTE_TILE);
    interleave_rows(a, b);
    interleave_rows(b, a);
    interleave_rows(a, b);
    interleave_rows(b, a);
    for (size_t i = 0; i < BYTE_TILE; i++)
        memcpy(out + i * out_stride, &a[i], BYTE_TILE);
}

void quant_transpose(const uint8_t *codes, size_t rows, size_t columns, size_t stride,
                     uint8_t *out, size_t out_stride)
{
    size_t whole_rows = rows - rows % BYTE_TILE,
           whole_columns = columns - columns % BYTE_TILE;
    for (size_t c = 0; c < whole_columns; c += BYTE_TILE)
        for (size_t r = 0; r < whole_rows; r += BYTE_TILE)
            transpose_tile(codes + r * stride + c, stride, out + c * out_stride + r,
                           out_stride);
    /* The last rows of all columns, and the last columns of the other rows. */
    for (size_t c = 0; c < columns; c++)
        for (size_t r = c < whole_columns ? whole_rows : 0; r < rows; r++)
            out[c * out_stride + r] = codes[r * stride + c];
}

void quant_pair_rows(const uint8_t *first, const uint8_t *second, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)((first[i] & 15) | (second ? second[i] << 4 : 0));
}
