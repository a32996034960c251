/* Transposing codes, one a byte or packed two a byte down the columns. */
#ifndef NIBBLE_QUANT_TRANSPOSE_H
#define NIBBLE_QUANT_TRANSPOSE_H

#include <stddef.h>
#include <stdint.h>

/* out[c * out_stride + r] = codes[r * stride + c] for r < rows, c < columns. */
void quant_transpose(const uint8_t *codes, size_t rows, size_t columns, size_t stride,
                     uint8_t *out, size_t out_stride);

/* out[i] = the low nibble of first[i], and that of second[i] above it; out may be
 * either. second is NULL where there is none: zeros. */
void quant_pair_rows(const uint8_t *first, const uint8_t *second, size_t n, uint8_t *out);

#endif
