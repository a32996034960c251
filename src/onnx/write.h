/* Writing the skeleton: the message goes out as a stream in which payloads are
 * skipped and their places noted, so that all of the file's layout is known
 * before a single weight is quantized. */
#ifndef NIBBLE_ONNX_WRITE_H
#define NIBBLE_ONNX_WRITE_H

#include "core/output.h"
#include "onnx/model.h"

enum {
    EXTERNAL_MIN = 1 << 10,    /* smaller tensors stay in the model */
    EXTERNAL_ALIGNMENT = 4096, /* of offsets in the data file */
};

/* The size of the model as one file; more than INT32_MAX can't be one. */
uint64_t model_size(const struct model *model);

/* Moves tensors of EXTERNAL_MIN bytes and more into `data`, which readers find
 * as `location` beside the model. *size: of the data, 0 where there is none. */
bool model_externalize(struct model *model, struct output *data, const char *location,
                       uint64_t *size, struct error *err);

/* Writes everything but the payloads, and sets each payload's output and place. `size` is
 * what model_size says: large models take a while to measure. */
bool model_write(struct model *model, uint64_t size, struct output *output,
                 struct error *err);

/* Copies the payloads whose values lie in memory or in a mapped file. Reserved
 * ones are left to the caller. */
bool model_write_payloads(struct model *model, struct error *err);

#endif
