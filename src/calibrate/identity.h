/* Which model statistics belong to: a hash of its graph and of all its values. */
#ifndef NIBBLE_CALIBRATE_IDENTITY_H
#define NIBBLE_CALIBRATE_IDENTITY_H

#include "onnx/model.h"

/* The same for the same model, wherever its files lie; to be asked before it is changed.
 */
uint64_t model_identity(const struct model *model);

#endif
