/* The form `dequantize`: codes -> DequantizeLinear -> the weight's old name. */
#ifndef NIBBLE_EMIT_DEQUANTIZE_H
#define NIBBLE_EMIT_DEQUANTIZE_H

#include "emit/place.h"

bool emit_dequantize(struct place *place, struct plan_item *item);

#endif
