/* Raising all nodes of the graphs or of a function, bodies included. */
#ifndef NIBBLE_UPGRADE_WALK_H
#define NIBBLE_UPGRADE_WALK_H

#include "upgrade/rewrite.h"

/* Raises the nodes from opset `source` to the upgrade's target. False: out of memory,
 * or an error that is set. Nodes that can't be raised are noted in upgrade->refusals.
 * The graphs are the main one and those of training. */
bool walk_graphs(struct upgrade *upgrade, int64_t source);
bool walk_function(struct upgrade *upgrade, Onnx__FunctionProto *function,
                   int64_t source);

/* True if there is a node of the standard domain that calls no local function. */
bool graphs_have_standard(struct upgrade *upgrade);
bool function_has_standard(struct upgrade *upgrade, Onnx__FunctionProto *function);

#endif
