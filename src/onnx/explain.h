/* Explains files that are not models: what they are, by their first bytes, and what to
 * do. Only asked about files that could not be read, so no model is refused for its first
 * bytes. */
#ifndef NIBBLE_ONNX_EXPLAIN_H
#define NIBBLE_ONNX_EXPLAIN_H

#include "core/file.h"

/* Replaces the error by what the file is, or adds that to it. */
void explain_model(const struct file *file, struct error *err);

/* For a file that is too short for external data. If its kind is known, replaces the
 * error and returns true. */
bool explain_data(const struct file *file, struct error *err);

/* The same, but only for Git LFS pointers, which may be long enough for small data. */
bool explain_pointer(const struct file *file, struct error *err);

#endif
