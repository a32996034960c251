/* Scheme, granularity and form of a weight, from how it lies in its consumers. */
#ifndef NIBBLE_PLAN_SHAPE_H
#define NIBBLE_PLAN_SHAPE_H

#include "plan/plan.h"
#include "plan/weight_operators.h"

/* Sets all that is `of one that is quantized` but the source. */
void choose_form(const struct plan_options *options, const struct layout *layout,
                 struct plan_item *item);

#endif
