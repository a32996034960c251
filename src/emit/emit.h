/* Emission: changes the graph as the plan says. Codes, scales and zero points
 * become reserved tensors: their sizes are known, their contents come later. */
#ifndef NIBBLE_EMIT_EMIT_H
#define NIBBLE_EMIT_EMIT_H

#include "plan/plan.h"

/* Emits every quantized item. The index that the plan was made from is stale afterwards.
 */
bool emit_plan(struct model *model, const struct graph_index *index, struct plan *plan,
               struct error *err);

#endif
