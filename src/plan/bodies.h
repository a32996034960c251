/* Weights handed into a body: as an input of Loop or Scan that the body passes on
 * unchanged, or as an input of a local function. */
#ifndef NIBBLE_PLAN_BODIES_H
#define NIBBLE_PLAN_BODIES_H

#include "onnx/graph.h"

/* The first real use inside the body that this use hands the value into; NULL
 * where there is none, or where the body changes the value. */
const struct use *body_use(const struct graph_index *index, const struct use *use);

/* The next one. */
const struct use *body_next(const struct use *use);

#endif
