/* Writing the skeleton. The message is written as a stream that skips the payloads and
 * notes their offsets. So the layout of the file is known before any weight is quantized.
 */
#ifndef NIBBLE_ONNX_WRITE_H
#define NIBBLE_ONNX_WRITE_H

#include "core/output.h"
#include "onnx/model.h"

enum {
    EXTERNAL_MIN = 1 << 10,    /* smaller tensors stay in the model */
    EXTERNAL_ALIGNMENT = 4096, /* of offsets in the data file */
};

/* The size of the model as one file. If it is more than INT32_MAX, it can't be one file.
 */
uint64_t model_size(const struct model *model);

/* Moves tensors of EXTERNAL_MIN bytes and more into `data`, which readers find as
 * `location` beside the model. All tensors share this string. Sets *size to the bytes of
 * the data; 0 if there are none. */
bool model_externalize(struct model *model, struct output *data, char *location,
                       uint64_t *size, struct error *err);

/* Writes everything but the payloads, and sets the output and offset of each payload.
 * `size` is what model_size says, which takes a while for large models. */
bool model_write(struct model *model, uint64_t size, struct output *output,
                 struct error *err);

/* Whether the file has the bytes that model_write writes: all but the payloads. */
bool model_is_written(struct model *model, const struct file *file);

/* Copies the payloads that have values. The caller fills reserved ones. */
bool model_write_payloads(struct model *model, struct error *err);

#endif
