/* Raises all nodes of the graphs or of a function, including bodies. */
#ifndef NIBBLE_UPGRADE_WALK_H
#define NIBBLE_UPGRADE_WALK_H

#include "upgrade/rewrite.h"

/* Raises the nodes of the main graph and the training graphs, or of a function, from
 * opset `source` to the upgrade's target. Notes nodes that can't be raised in
 * upgrade->refusals. Returns false if out of memory, or with an error. */
bool walk_graphs(struct upgrade *upgrade, int64_t source);
bool walk_function(struct upgrade *upgrade, Onnx__FunctionProto *function,
                   int64_t source);

/* Whether there is a node of the standard domain that does not call a local function. */
bool graphs_have_standard(struct upgrade *upgrade);
bool function_has_standard(struct upgrade *upgrade, Onnx__FunctionProto *function);

#endif
