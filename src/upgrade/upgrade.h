/* Raises the opset of a model node by node, and keeps its meaning. */
#ifndef NIBBLE_UPGRADE_UPGRADE_H
#define NIBBLE_UPGRADE_UPGRADE_H

#include "onnx/model.h"

enum {
    UPGRADE_SOURCE_MIN = 7,  /* the oldest opset that models are raised from */
    UPGRADE_TARGET_MIN = 21, /* the lowest opset that models can be raised to */
    UPGRADE_TARGET_MAX = 28, /* the highest one */
};

/* The highest opset that models can be raised to. */
int64_t upgrade_opset_max(void);

/* Raises the opset of the standard domain to `target` (21 to upgrade_opset_max()). This
 * includes the main graph, the bodies of its nodes, local functions and training graphs.
 * Raises ir_version to what that opset needs. Never lowers either. If nodes can't be
 * raised, one error names all of them; the model must not be used any more. */
bool model_upgrade(struct model *model, int64_t target, struct error *err);

/* Raises only ir_version, to at least `ir`. If it was below 4, initializers are removed
 * from the graph's inputs. */
bool model_raise_ir(struct model *model, int64_t ir, struct error *err);

#endif
