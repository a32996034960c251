/* Corrections of biases, for weights whose codes were found with data. */
#ifndef NIBBLE_EMIT_BIAS_CORRECTION_H
#define NIBBLE_EMIT_BIAS_CORRECTION_H

#include "onnx/graph_edit.h"
#include "plan/plan.h"

/* Adds what the solutions of all items say to biases, before their operators change. */
bool emit_biases(struct graph_edits *edits, const struct plan *plan);

#endif
