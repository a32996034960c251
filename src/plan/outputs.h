/* Outputs of the model that are constants. */
#ifndef NIBBLE_PLAN_OUTPUTS_H
#define NIBBLE_PLAN_OUTPUTS_H

#include "onnx/graph.h"

/* Finds the constants from which nodes make outputs of the model, together with nothing
 * but other constants. Such an output has the same exact value on every run. Sets
 * shown[value->number]. False if out of memory. */
bool outputs_mark(const struct graph_index *index, bool *shown, struct arena *arena);

#endif
