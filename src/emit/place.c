/* Gathering additions to a scope. Knows graphs and functions, no forms. */
#include "emit/place.h"
#include "onnx/names.h"
#include "onnx/node.h"

bool place_begin(struct place *place, struct model *model, struct scope *scope, size_t items,
                 struct error *err)
{
    *place = (struct place){.model = model, .scope = scope, .err = err};
    size_t nodes = items * PLACE_NODES_PER_ITEM, tensors = items * PLACE_TENSORS_PER_ITEM;
    place->nodes = arena_array(model->arena, nodes, sizeof *place->nodes);
    place->tensors = arena_array(model->arena, tensors, sizeof *place->tensors);
    return (place->nodes && place->tensors) || error_memory(err);
}

bool place_node(struct place *place, Onnx__NodeProto *node)
{
    if (!node)
        return error_memory(place->err);
    place->nodes[place->node_count++] = node;
    return true;
}

bool place_tensor(struct place *place, Onnx__TensorProto *tensor)
{
    if (!tensor)
        return error_memory(place->err);
    if (place->scope->graph) {
        place->tensors[place->tensor_count++] = tensor;
        return true;
    }
    const char *output = tensor->name;
    const char *name = name_fresh(place->model, output, "Constant");
    Onnx__NodeProto *node =
        name ? node_new(place->model, "Constant", name, NULL, 0, &output, 1) : NULL;
    if (!node || !node_set_tensor(place->model, node, "value", tensor))
        return error_memory(place->err);
    return place_node(place, node);
}

static bool keep_input(void *context, const void *item)
{
    const struct scope *scope = context;
    const Onnx__ValueInfoProto *input = item;
    const struct value *value = map_get(&scope->values, text(input->name));
    return !value || !value->is_replaced;
}

bool place_end(struct place *place)
{
    Onnx__GraphProto *graph = place->scope->graph;
    Onnx__FunctionProto *function = place->scope->function;
    struct model *model = place->model;
    bool ok;
    if (graph) {
        ok = list_insert(model, &graph->initializer, &graph->n_initializer,
                         graph->n_initializer, place->tensors, place->tensor_count) &&
             list_insert(model, &graph->node, &graph->n_node, 0, place->nodes,
                         place->node_count);
        list_filter(&graph->input, &graph->n_input, keep_input, place->scope);
    } else {
        ok = list_insert(model, &function->node, &function->n_node, 0, place->nodes,
                         place->node_count);
    }
    return ok || error_memory(place->err);
}
