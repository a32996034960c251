/* How deep a model is, counted in quantized weights. */
#ifndef NIBBLE_PLAN_DEPTH_H
#define NIBBLE_PLAN_DEPTH_H

#include "plan/plan.h"

/* The most quantized weights on a way to an output. An operator adds all of its weights,
 * and so does a call of a function. Nodes are expected in their order. False when out of
 * memory. */
bool plan_depth(const struct model *model, const struct graph_index *index,
                const struct plan *plan, size_t *depth, struct error *err);

#endif
