/* The operators that carry weights, and how a weight lies in each of them. */
#ifndef NIBBLE_PLAN_OPERATORS_H
#define NIBBLE_PLAN_OPERATORS_H

#include "onnx/graph.h"

struct layout {
    size_t channel;   /* the axis of output channels */
    size_t reduction; /* the axis summed over: blocks run along it */
    bool cut;         /* channels are cut into blocks of 256 unless told otherwise */
};

/* How a weight of these dims lies in the operator that uses it. Returns NULL, or
 * in plain words why this use does not allow quantizing. */
const char *operator_layout(struct model *model, const struct use *use, const int64_t *dims,
                            size_t rank, struct layout *layout);

#endif
