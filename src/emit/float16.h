/* Constants that stay float32, but are stored as float16. */
#ifndef NIBBLE_EMIT_FLOAT16_H
#define NIBBLE_EMIT_FLOAT16_H

#include "emit/emitter.h"

/* Stores the emitter's item as float16, with a Cast behind it. */
bool emit_float16(struct emitter *e);

/* Does the same to a new tensor of the scope, whose values are known. The tensor becomes
 * the one of float16. Leaves it alone if float16 does not suit it. */
bool emit_float16_tensor(struct graph_edits *edits, const struct scope *scope,
                         Onnx__TensorProto *tensor, const float *values, size_t count);

#endif
