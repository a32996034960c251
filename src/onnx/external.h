/* External data: values in files beside the model. */
#ifndef NIBBLE_ONNX_EXTERNAL_H
#define NIBBLE_ONNX_EXTERNAL_H

#include "onnx/model.h"

/* A file of external data that the model uses. */
struct external {
    struct external *next;
    struct file *file;
};

/* Maps the file that an EXTERNAL tensor names, and makes its values an ordinary payload.
 * The tensor is then like any other. */
bool external_attach(struct model *model, Onnx__TensorProto *tensor, struct error *err);

/* Makes the tensor EXTERNAL: says that its values are in `location`. Keeps the pointer,
 * so the string must live as long as the model. */
bool external_detach(struct model *model, Onnx__TensorProto *tensor, char *location,
                     uint64_t offset, struct error *err);

/* Gives a file to the model, which closes it in the end. Closes it if that fails. NULL is
 * fine. */
struct file *external_keep(struct model *model, struct file *file, struct error *err);

/* Makes a temporary file that lives as long as the model. */
struct file *external_scratch(struct model *model, uint64_t size, struct error *err);

void external_close(struct model *model);

#endif
