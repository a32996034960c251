/* Emission: changes the graph as the plan says. Codes, scales and zero points become
 * reserved tensors. Their sizes are known; their contents come later. */
#ifndef NIBBLE_EMIT_EMIT_H
#define NIBBLE_EMIT_EMIT_H

#include "plan/plan.h"

/* The tensors of one item: reserved payloads, and names for the operators of forms that
 * replace their consumers. zeros is NULL without zero points. These are NULL if the
 * item is stored with another one. */
struct item_tensors {
    struct payload *codes, *scales, *zeros;
    const char *codes_name, *scales_name, *zeros_name;

    /* The decoded value and its scope. NULL for forms that replace their consumers. */
    const char *decoded;
    const struct scope *place;
};

/* Emits every quantized item. *tensors has an entry for each item, in the plan's arena.
 * The index that the plan was made from is stale afterwards. */
bool emit_plan(struct model *model, const struct graph_index *index,
               const struct plan *plan, struct item_tensors **tensors, struct error *err);

#endif
