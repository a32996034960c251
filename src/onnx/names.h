/* Names that collide with nothing, in any scope of the model. */
#ifndef NIBBLE_ONNX_NAMES_H
#define NIBBLE_ONNX_NAMES_H

#include "onnx/model.h"

/* "BASE_SUFFIX", with a number behind it where that is taken, in the arena. The
 * name then counts as taken. NULL when out of memory. */
const char *name_fresh(struct model *model, const char *base, const char *suffix);

/* Frees what is known of names; name_fresh would find it out again. */
void names_forget(struct model *model);

#endif
