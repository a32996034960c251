/* Transposes codes, which are one a byte, and packs pairs of rows. */
#ifndef NIBBLE_QUANT_TRANSPOSE_H
#define NIBBLE_QUANT_TRANSPOSE_H

#include <stddef.h>
#include <stdint.h>

/* out[c * out_stride + r] = codes[r * stride + c] for r < rows, c < columns. */
void quant_transpose(const uint8_t *codes, size_t rows, size_t columns, size_t stride,
                     uint8_t *out, size_t out_stride);

/* Packs two codes into each byte of out: first[i] into the low nibble, second[i] into the
 * high one. `second` may be NULL: then high nibbles are 0. out may be either input. */
void quant_pair_rows(const uint8_t *first, const uint8_t *second, size_t n, uint8_t *out);

#endif
