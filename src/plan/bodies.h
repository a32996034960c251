/* Weights that are handed into a body: as an input of Loop or Scan that the body passes
 * on unchanged, or as an input of a local function. */
#ifndef NIBBLE_PLAN_BODIES_H
#define NIBBLE_PLAN_BODIES_H

#include "onnx/graph.h"

/* The first use inside the body that takes the value. NULL if this use leads into no
 * body, or if the body changes the value. */
const struct use *body_use(const struct graph_index *index, const struct use *use);

/* The next such use. */
const struct use *body_next(const struct use *use);

#endif
