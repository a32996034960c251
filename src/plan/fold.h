/* Folding: weights that reach their operator through operators on constants become plain
 * initializers, which the plan sees. */
#ifndef NIBBLE_PLAN_FOLD_H
#define NIBBLE_PLAN_FOLD_H

#include "plan/plan.h"

/* Folds chains that end in weights. If *changed is set, the index is stale. Notes in
 * `findings`, which may be NULL, which weights were chains. */
bool fold_constants(struct model *model, const struct graph_index *index,
                    const struct plan_options *options, struct plan_findings *findings,
                    bool *changed, struct error *err);

/* Whether chains are folded through the operator, if all its inputs are constant. */
bool fold_can_pass(const Onnx__NodeProto *node);

#endif
