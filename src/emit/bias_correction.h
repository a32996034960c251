/* Corrections of biases, for weights that were calibrated. */
#ifndef NIBBLE_EMIT_BIAS_CORRECTION_H
#define NIBBLE_EMIT_BIAS_CORRECTION_H

#include "onnx/graph_edit.h"
#include "plan/plan.h"

/* Adds the corrections of all items to biases. Must come before the operators change. */
bool emit_biases(struct graph_edits *edits, const struct plan *plan);

#endif
