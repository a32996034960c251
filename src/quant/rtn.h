/* Round to nearest: finds scale and zero point from the range of a group alone, without
 * reading weights. docs/developers/numbers.md explains the formulas. */
#ifndef NIBBLE_QUANT_RTN_H
#define NIBBLE_QUANT_RTN_H

#include "quant/quant.h"

/* Finds scales and zero points of n groups. top and bottom hold the bits of the floats
 * max(0, max x) and max(0, -min x), as the range kernels write them. */
enum quant_fit rtn_solve(const struct kernels *kernels, const struct quant_scheme *scheme,
                         size_t n, const int32_t *top, const int32_t *bottom,
                         float *scales, uint8_t *zeros);

#endif
