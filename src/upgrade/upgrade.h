/* Raising the opset of a model, node by node, with its meaning kept. */
#ifndef NIBBLE_UPGRADE_UPGRADE_H
#define NIBBLE_UPGRADE_UPGRADE_H

#include "onnx/model.h"

enum {
    UPGRADE_SOURCE_MIN = 7,  /* the oldest opset that models are raised from */
    UPGRADE_TARGET_MIN = 21, /* what models can be raised to: from here ... */
    UPGRADE_TARGET_MAX = 28, /* ... to here */
};

/* The highest opset that models can be raised to. */
int64_t upgrade_opset_max(void);

/* Raises the standard domain's opset to `target` (21 to upgrade_opset_max()) in
 * the main graph, in the bodies of its nodes, in local functions and in training
 * graphs, and ir_version to what that opset asks for. Never lowers either. Refuses
 * with one error that names every node that can't be raised; the model is then of
 * no more use. */
bool model_upgrade(struct model *model, int64_t target, struct error *err);

/* Raises ir_version alone, to at least `ir`; below 4, initializers stop being inputs. */
bool model_raise_ir(struct model *model, int64_t ir, struct error *err);

#endif
