/* Storing codes and parameters: packed as the item's form wants them, at the
 * places that the writer has reserved. */
#ifndef NIBBLE_FILL_PACK_H
#define NIBBLE_FILL_PACK_H

#include "plan/plan.h"

/* Packs codes of whole packing units in place; returns the bytes that it made. */
size_t codes_pack(const struct kernels *kernels, const struct plan_item *item,
                  uint8_t *codes, size_t count);

/* Writes the packed codes of element `begin` (of the stored order) and on. */
bool codes_write(const struct plan_item *item, size_t begin, const uint8_t *packed,
                 size_t size, struct error *err);

/* Writes scales and zero points of groups [first, first + count), in the order of
 * the source. `scratch`: count * 4 bytes. */
bool parameters_write(const struct kernels *kernels, const struct plan_item *item,
                      size_t first, size_t count, const float *scales,
                      const uint8_t *zeros, void *scratch, struct error *err);

/* Puts codes one behind the other into nibbles from `offset` on. Where that is odd,
 * the low nibble of the first byte stays; where the end is, the last high one is 0. */
void nibbles_put(const struct kernels *kernels, uint8_t *out, size_t offset,
                 uint8_t *codes, size_t count);

#endif
