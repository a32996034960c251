/* Scheme, granularity and form of a weight, from its layout in its consumers. */
#ifndef NIBBLE_PLAN_SHAPE_H
#define NIBBLE_PLAN_SHAPE_H

#include "plan/plan.h"
#include "plan/weight_operators.h"

/* Sets the fields of an item that is quantized, except the source. */
void choose_form(const struct plan_options *options, const struct layout *layout,
                 struct plan_item *item);

#endif
