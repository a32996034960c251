/* Transposing codes, one a byte. */
#ifndef NIBBLE_QUANT_TRANSPOSE_H
#define NIBBLE_QUANT_TRANSPOSE_H

#include <stddef.h>
#include <stdint.h>

/* out[c * out_stride + r] = codes[r * stride + c] for r < rows, c < columns. */
void quant_transpose(const uint8_t *codes, size_t rows, size_t columns, size_t stride,
                     uint8_t *out, size_t out_stride);

#endif
