/* Weights of equal values that can be stored once. */
#ifndef NIBBLE_PLAN_EQUAL_H
#define NIBBLE_PLAN_EQUAL_H

#include "plan/plan.h"

/* Sets `same` of each quantized item that an earlier one can stand for. Reads a few
 * bytes of every weight, and all of those that seem to be equal. */
bool plan_find_equal(struct plan *plan, struct error *err);

#endif
