/* Shapes of weights. They are known without the weights' values. */
#include "plan/fold_shapes.h"
#include "onnx/node.h"

#include <string.h>

/* Whether the node only wants to know the shape of what may become a weight. */
static bool is_shape_of_weight(const struct evaluator *e, const struct value *value,
                               uint64_t min_elements)
{
    if (!node_is(value->node, "Shape") && !node_is(value->node, "Size"))
        return false;
    const struct value *of = input_value(value->scope, value->node, 0);
    const Onnx__TensorProto *tensor =
        of && evaluate_is_fixed(e, of) ? value_constant(of) : NULL;
    uint64_t elements;
    return tensor && data_type_is_float(tensor->data_type) && tensor->n_dims >= 2 &&
           tensor_elements(tensor, &elements) && elements >= min_elements;
}

/* Makes a Shape a Constant, so that it does not need the weight. */
static bool fold_shape(struct graph_edits *edits, struct evaluator *e,
                       struct value *value)
{
    struct constant shape;
    Onnx__NodeProto *node = value->node;
    struct value *of = input_value(value->scope, node, 0);
    evaluator_reset(e);
    if (!evaluate(e, value, &shape))
        return e->err->status == STATUS_OK;
    int64_t *ints = arena_array(e->model->arena, CONSTANT_RANK_MAX + 1, sizeof *ints);
    int64_t count = (int64_t)constant_elements(&shape);
    Onnx__TensorProto *tensor =
        tensor_new(e->model, NULL, DATA_INT64, &count, shape.rank);
    if (ints && count > 0)
        memcpy(ints, shape.data, (size_t)count * sizeof *ints);
    constant_free(&shape);
    node_remove(node, "start");
    node_remove(node, "end");
    if (!ints || !tensor ||
        !tensor_set_values(e->model, tensor, ints, (size_t)count * sizeof *ints) ||
        !(node->op_type = arena_string(e->model->arena, "Constant")) ||
        !node_set_tensor(e->model, node, "value", tensor))
        return error_memory(e->err);
    node->n_input = 0;
    return edit_release(edits, of);
}

bool fold_shapes(struct graph_edits *edits, struct evaluator *e, uint64_t min_elements,
                 bool *changed)
{
    for (struct value *value = e->index->values; value; value = value->next) {
        if (value->kind != VALUE_NODE || value->is_ambiguous ||
            !is_shape_of_weight(e, value, min_elements))
            continue;
        if (!fold_shape(edits, e, value))
            return false;
        *changed |= value->node->n_input == 0;
    }
    return true;
}
