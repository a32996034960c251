/* Packing codes and parameters as the item's form stores them, and writing them to the
 * offsets that the writer has reserved. */
#ifndef NIBBLE_FILL_PACK_H
#define NIBBLE_FILL_PACK_H

#include "emit/emit.h"

/* Packs codes in place: whole packing units. Returns how many bytes they take. */
size_t codes_pack(const struct kernels *kernels, const struct plan_item *item,
                  uint8_t *codes, size_t count);

/* Writes packed codes. `begin`: their first element, in the order of the stored codes. */
bool codes_write(const struct plan_item *item, const struct item_tensors *tensors,
                 size_t begin, const uint8_t *packed, size_t size, struct error *err);

/* Writes scales and zero points of groups [first, first + count), in the order of
 * the source. `scratch`: count * 4 bytes. */
bool parameters_write(const struct kernels *kernels, const struct plan_item *item,
                      const struct item_tensors *tensors, size_t first, size_t count,
                      const float *scales, const uint8_t *zeros, void *scratch,
                      struct error *err);

/* The rows of groups in a matrix that is stored transposed. Each becomes a column. */
size_t transposed_group_rows(const struct plan_item *item);

/* Reads a group's scale and zero point out of what was written. `group`: in the order of
 * the source. zeros NULL: the item has none. */
float parameters_read(const struct plan_item *item, const uint8_t *scales,
                      const uint8_t *zeros, size_t group, int *zero);

/* Puts codes into nibbles, from nibble `offset` on. If that is odd, the low nibble of the
 * first byte stays as it is. If the end is odd, the high nibble of the last byte is 0. */
void nibbles_put(const struct kernels *kernels, uint8_t *out, size_t offset,
                 uint8_t *codes, size_t count);

#endif
