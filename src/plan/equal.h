/* Weights with equal values, which can be stored once. */
#ifndef NIBBLE_PLAN_EQUAL_H
#define NIBBLE_PLAN_EQUAL_H

#include "plan/plan.h"

/* Sets `same` of each quantized item that an earlier item can stand for. Reads a few
 * bytes of every weight, and all bytes of weights that seem to be equal. */
bool plan_find_equal(struct plan *plan, struct error *err);

#endif
