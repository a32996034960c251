/* Places: changes to graphs, tensors and nodes that come and go.
 * They are gathered for each scope and made at once, in linear time. */
#ifndef NIBBLE_ONNX_PLACE_H
#define NIBBLE_ONNX_PLACE_H

#include "onnx/graph.h"
#include "onnx/tensor.h"

/* All changes of one stage. */
struct places {
    struct model *model;
    struct place *first; /* of each scope that has any */
    struct error *err;
};

/* The changes of one scope; made when first asked for. */
struct place *place_of(struct places *places, struct scope *scope);

/* A constant: an initializer, or in a function a Constant node at its head. */
bool place_tensor(struct place *place, Onnx__TensorProto *tensor);

/* A node before `anchor`, behind those placed there before; NULL: at the head. */
bool place_node(struct place *place, const Onnx__NodeProto *anchor,
                Onnx__NodeProto *node);

/* Takes a node out. */
bool place_drop(struct place *place, Onnx__NodeProto *node);

/* Makes all changes; also removes initializers and graph inputs of replaced
 * values, and what value_info says of names that are gone. */
bool places_apply(struct places *places);

#endif
