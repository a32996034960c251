/* The walk through all nodes of a graph or a function, and of their bodies. */
#ifndef NIBBLE_UPGRADE_WALK_H
#define NIBBLE_UPGRADE_WALK_H

#include "upgrade/rewrite.h"

/* Raises the nodes from opset `source` to the upgrade's target. False: out of memory,
 * or an error that is set. Nodes that can't be raised are noted in upgrade->refusals. */
bool walk_graph(struct upgrade *upgrade, Onnx__GraphProto *graph, int64_t source);
bool walk_function(struct upgrade *upgrade, Onnx__FunctionProto *function,
                   int64_t source);

/* True where a node of the standard domain, which is no call of a local function, is
 * in the list or in a body of one that is. */
bool walk_finds_standard(const struct upgrade *upgrade, Onnx__NodeProto *const *nodes,
                         size_t count);

#endif
