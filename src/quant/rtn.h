/* Round to nearest: a scale and a zero point from a group's range alone.
 * The formulas, and docs/numbers.md says why. Reads no weights. */
#ifndef NIBBLE_QUANT_RTN_H
#define NIBBLE_QUANT_RTN_H

#include "quant/quant.h"

/* Finds scales and zeros of n groups. top and bottom are the bits of the floats
 * max(0, max x) and max(0, -min x), as kernels/kernels.h's ranges leave them. */
enum quant_fit rtn_solve(const struct kernels *kernels, const struct quant_scheme *scheme,
                         size_t n, const int32_t *top, const int32_t *bottom,
                         float *scales, uint8_t *zeros);

#endif
