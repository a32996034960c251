/* Computing in float16: a model of float32 becomes one of float16. Inputs and outputs
 * stay float32, and so do operators whose range or meaning float16 breaks. Casts stand
 * only where the two meet. What comes after sees an ordinary model of float16. */
#ifndef NIBBLE_COMPUTE_COMPUTE_H
#define NIBBLE_COMPUTE_COMPUTE_H

#include "onnx/model.h"

/* Nodes that compute on floats. */
struct compute_counts {
    size_t float16, float32;
};

/* Converts all graphs of the model, but no local functions. `io`: its inputs and outputs,
 * too. Constants that float16 can't hold stay float32, with the nodes that use them. */
bool compute_float16(struct model *model, bool io, struct compute_counts *counts,
                     struct error *err);

#endif
