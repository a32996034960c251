/* Names that collide with no other name, in any scope of the model. */
#ifndef NIBBLE_ONNX_NAMES_H
#define NIBBLE_ONNX_NAMES_H

#include "onnx/model.h"

/* Makes the name "BASE_SUFFIX" in the arena. If it is taken, adds a number. The name is
 * taken afterwards. NULL when out of memory. */
const char *name_fresh(struct model *model, const char *base, const char *suffix);

/* Whether several nodes of the model had this name when this was first asked. True when
 * out of memory. */
bool name_is_shared(struct model *model, const char *name);

/* Frees what is known about names. name_fresh finds it out again. */
void names_forget(struct model *model);

#endif
