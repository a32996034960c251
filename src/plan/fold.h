/* Folding: weights that reach their operator through operators on constants become
 * plain initializers, so that the plan sees them. */
#ifndef NIBBLE_PLAN_FOLD_H
#define NIBBLE_PLAN_FOLD_H

#include "plan/plan.h"

/* Folds what serves the options. The index is stale where *changed is set. findings
 * learn which weights were chains; NULL: nobody asks. */
bool fold_constants(struct model *model, const struct graph_index *index,
                    const struct plan_options *options, struct plan_findings *findings,
                    bool *changed, struct error *err);

#endif
