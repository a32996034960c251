/* Shapes of weights become constants, so that nothing needs the weights for that. */
#ifndef NIBBLE_PLAN_FOLD_SHAPES_H
#define NIBBLE_PLAN_FOLD_SHAPES_H

#include "constants/evaluate.h"
#include "onnx/graph_edit.h"

/* Makes Shape and Size of float constants with so many elements Constant nodes. Such a
 * node has no inputs any more. Sets *changed if there were any. */
bool fold_shapes(struct graph_edits *edits, struct evaluator *e, uint64_t min_elements,
                 bool *changed);

#endif
