/* Opset imports: the domains and versions that a model or a local function uses. */
#ifndef NIBBLE_ONNX_IMPORTS_H
#define NIBBLE_ONNX_IMPORTS_H

#include "onnx/model.h"

/* The list of a model or of a function, as protobuf-c keeps it. */
struct imports {
    Onnx__OperatorSetIdProto ***list;
    size_t *count;
};

struct imports imports_of_model(const struct model *model);
struct imports imports_of_function(Onnx__FunctionProto *function);

/* The first import of a domain. NULL if there is none. "" and "ai.onnx" are the same. */
Onnx__OperatorSetIdProto *imports_find(struct imports imports, const char *domain);

/* Adds an import: the standard domain at the front, others at the end. False if out of
 * memory. */
bool imports_add(struct model *model, struct imports imports, const char *domain,
                 int64_t version);

/* The opset of the standard domain that the model imports. 0 if it imports none. */
int64_t model_opset(const struct model *model);

#endif
