/* Where the values of a constant go, if it is stored as float16. */
#ifndef NIBBLE_PLAN_FLOAT16_USES_H
#define NIBBLE_PLAN_FLOAT16_USES_H

#include "onnx/graph.h"

/* Says in plain words, in the arena or static, which use does not allow it. NULL if all
 * of them take learned parameters there. Sets *divides if something divides by it. */
const char *float16_uses_reason(struct arena *arena, const struct value *value,
                                bool *divides);

#endif
