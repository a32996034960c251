/* Edits of graphs. A stage gathers them: tensors and nodes that come, nodes and values
 * that go. They are made all at once, in linear time. */
#ifndef NIBBLE_ONNX_GRAPH_EDIT_H
#define NIBBLE_ONNX_GRAPH_EDIT_H

#include "onnx/graph.h"
#include "onnx/tensor.h"

/* What a stage does to one value. */
struct value_edit {
    uint32_t moved_uses; /* how many of its uses take something else by now */
    bool is_replaced;    /* its initializer or graph input goes */
    bool is_gone;        /* nothing has its name any more */
};

/* All edits of one stage. */
struct graph_edits {
    struct model *model;
    struct error *err;
    struct graph_edit **scopes; /* by number; NULL: nothing changes there */
    size_t scope_count;
    struct value_edit *values; /* by number */
};

/* Begins without any edit; the index must stay. End it, whatever begin returned. */
bool edits_begin(struct graph_edits *edits, struct model *model,
                 const struct graph_index *index, struct error *err);
void edits_end(struct graph_edits *edits);

/* The edit of one scope; made when first asked for. NULL: out of memory. */
struct graph_edit *edit_of(struct graph_edits *edits, const struct scope *scope);

/* What the stage does to a value. */
struct value_edit *edit_of_value(struct graph_edits *edits, const struct value *value);

/* Notes that one more use of the value takes something else. True for the last one. */
bool edit_moves_last(struct graph_edits *edits, const struct value *value);

/* Takes away one use. With the last one go the value and what it alone is made of. */
bool edit_release(struct graph_edits *edits, struct value *value);

/* Removes the node that makes the value, unless another output is used. */
bool edit_drop_node(struct graph_edits *edits, const struct value *value);

/* Adds a constant: an initializer, or in a function a Constant node at its head. */
bool edit_add_tensor(struct graph_edit *edit, Onnx__TensorProto *tensor);

/* Adds a node before `anchor`, behind those added there before. NULL: at the head. */
bool edit_add_node(struct graph_edit *edit, const Onnx__NodeProto *anchor,
                   Onnx__NodeProto *node);

bool edit_remove_node(struct graph_edit *edit, Onnx__NodeProto *node);

/* Makes all edits. Also removes initializers and graph inputs of replaced values, and
 * the value_info of names that are gone. */
bool edits_apply(struct graph_edits *edits);

#endif
