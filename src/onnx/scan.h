/* The wire scan: one pass over a model's bytes that makes a skeleton, the same
 * message with every raw_data replaced by a pointer to a payload. Everything
 * that unpacking would trust is checked here: lengths, wire types, depth. */
#ifndef NIBBLE_ONNX_SCAN_H
#define NIBBLE_ONNX_SCAN_H

#include "onnx/payload.h"

struct skeleton {
    uint8_t *data; /* freed by the caller */
    size_t size;
};

/* raw_data in the skeleton is 8 bytes, a struct payload *; model_load turns
 * them into the form that payload.h tells. */
bool scan_model(const struct file *file, struct payloads *payloads,
                struct skeleton *skeleton, struct error *err);

#endif
