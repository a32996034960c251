/* The wire scan: one pass over a model's bytes makes a skeleton. That is the same
 * message, but every raw_data is a pointer to a payload. Lengths, wire types and depth
 * are checked here, since unpacking trusts them. */
#ifndef NIBBLE_ONNX_SCAN_H
#define NIBBLE_ONNX_SCAN_H

#include "onnx/payload.h"

struct skeleton {
    uint8_t *data; /* the caller frees it */
    size_t size;
};

/* In the skeleton, raw_data has 8 bytes, which are a struct payload *. model_load makes
 * raw_data point to the payload, as payload.h says. */
bool scan_model(const struct file *file, struct payloads *payloads,
                struct skeleton *skeleton, struct error *err);

#endif
