/* How small a weight must be to stay float, if no option says it. */
#ifndef NIBBLE_PLAN_THRESHOLD_H
#define NIBBLE_PLAN_THRESHOLD_H

#include "plan/plan.h"

/* Stands for no number of elements. */
#define MIN_ELEMENTS_DEFAULT SIZE_MAX

/* Sets how small a weight must be to stay float. If no number is asked for, it is the
 * largest one from 256 to 1,024 that keeps at most a hundredth of the values of all
 * weights float. If there is none, it is 256. Weights of 16 bits that are so small don't
 * count. Weights below 1,024 elements are then decoded when the model is loaded: their
 * floats take little memory. */
void plan_set_threshold(struct plan_options *options, const struct graph_index *index,
                        uint64_t asked);

#endif
