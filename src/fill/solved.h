/* Codes and grids of an item: found here, or beforehand with data (item->solution). */
#ifndef NIBBLE_FILL_SOLVED_H
#define NIBBLE_FILL_SOLVED_H

#include "plan/plan.h"

/* As quant_fit. */
enum quant_fit item_fit(const struct kernels *kernels, const struct plan_item *item,
                        struct quant_source source, size_t first, size_t count,
                        float *scales, uint8_t *zeros);

/* As quant_encode, on what item_fit has found. */
void item_encode(const struct kernels *kernels, const struct plan_item *item,
                 struct quant_source source, size_t begin, size_t end, size_t first_group,
                 const float *scales, const uint8_t *zeros, uint8_t *codes,
                 struct quant_error *error);

#endif
