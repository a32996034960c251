/* Files that are not what they should be: what they are, by their first bytes, and what
 * to do about it. Asked for files that could not be read, so that no model is refused
 * for how it begins. */
#ifndef NIBBLE_ONNX_EXPLAIN_H
#define NIBBLE_ONNX_EXPLAIN_H

#include "core/file.h"

/* Says what a file is in place of a model, in place of the error or behind it. */
void explain_model(const struct file *file, struct error *err);

/* Replaces the error where a file that is too short for external data is known for
 * something else: then true. */
bool explain_data(const struct file *file, struct error *err);

/* The same for Git LFS pointers only: one may be long enough for small data. */
bool explain_pointer(const struct file *file, struct error *err);

#endif
