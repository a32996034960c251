/* Places in a graph: where an emitter puts the tensors and nodes that take a
 * weight's place. Additions are gathered for each scope and made at once. */
#ifndef NIBBLE_EMIT_PLACE_H
#define NIBBLE_EMIT_PLACE_H

#include "plan/plan.h"

/* What is to be added to one scope. */
struct place {
    struct model *model;
    struct scope *scope;
    struct error *err;
    void **nodes, **tensors; /* NodeProto *, TensorProto * */
    size_t node_count, tensor_count;
};

enum { PLACE_TENSORS_PER_ITEM = 3, PLACE_NODES_PER_ITEM = 5 };

/* Room for `items` weights of the scope. */
bool place_begin(struct place *place, struct model *model, struct scope *scope, size_t items,
                 struct error *err);

/* A constant: an initializer, or in a function a Constant node. */
bool place_tensor(struct place *place, Onnx__TensorProto *tensor);

/* A node at the head of the graph, behind those placed before. */
bool place_node(struct place *place, Onnx__NodeProto *node);

/* Makes the additions, and removes the graph inputs of replaced weights. */
bool place_end(struct place *place);

#endif
