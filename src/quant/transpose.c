/* Transposing codes in tiles of 16 x 16 bytes, by vectors that any CPU has, in four
 * rounds of interleaving. Moves bytes, so every way of doing it gives the same. */
#include "quant/transpose.h"

#include <string.h>

enum { BYTE_TILE = 16 };

typedef uint8_t vector __attribute__((vector_size(BYTE_TILE)));

static inline vector low_halves(vector a, vector b)
{
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22,
                                   7, 23);
}

static inline vector high_halves(vector a, vector b)
{
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14,
                                   30, 15, 31);
}

/* Of the index of an element, (row, column) in eight bits, each round moves the
 * highest to the lowest place. */
static inline void interleave(const vector *from, vector *to)
{
    for (int i = 0; i < BYTE_TILE / 2; i++) {
        to[2 * i] = low_halves(from[i], from[i + BYTE_TILE / 2]);
        to[2 * i + 1] = high_halves(from[i], from[i + BYTE_TILE / 2]);
    }
}

static inline void tile(const uint8_t *codes, size_t stride, uint8_t *out,
                        size_t out_stride)
{
    vector a[BYTE_TILE], b[BYTE_TILE];
    for (size_t i = 0; i < BYTE_TILE; i++)
        memcpy(&a[i], codes + i * stride, BYTE_TILE);
    interleave(a, b);
    interleave(b, a);
    interleave(a, b);
    interleave(b, a);
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
            tile(codes + r * stride + c, stride, out + c * out_stride + r, out_stride);
    /* What is left: the last rows of all columns, the last columns of other rows. */
    for (size_t c = 0; c < columns; c++)
        for (size_t r = c < whole_columns ? whole_rows : 0; r < rows; r++)
            out[c * out_stride + r] = codes[r * stride + c];
}

void quant_pair_rows(const uint8_t *first, const uint8_t *second, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)((first[i] & 15) | (second ? second[i] << 4 : 0));
}
