/* Fresh names. Takes names of values and nodes alike, of all scopes together:
 * that is more than the format asks for, and never too little. */
#include "onnx/names.h"

/* The map's values are the last number tried behind a name, 1 to begin with. */
static bool set_last(struct model *model, const char *name, uintptr_t last)
{
    return map_put(&model->names, name, (void *)last);
}

static bool take(struct model *model, const char *name)
{
    return !name || !*name || map_get(&model->names, name) || set_last(model, name, 1);
}

static bool take_nodes(struct model *model, Onnx__NodeProto *const *nodes, size_t count);

static bool take_values(struct model *model, Onnx__ValueInfoProto *const *infos,
                        size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!take(model, infos[i]->name))
            return false;
    return true;
}

static bool take_graph(struct model *model, const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (!take(model, graph->initializer[i]->name))
            return false;
    for (size_t i = 0; i < graph->n_sparse_initializer; i++) {
        const Onnx__TensorProto *values = graph->sparse_initializer[i]->values;
        if (values && !take(model, values->name))
            return false;
    }
    return take_values(model, graph->input, graph->n_input) &&
           take_values(model, graph->output, graph->n_output) &&
           take_values(model, graph->value_info, graph->n_value_info) &&
           take_nodes(model, graph->node, graph->n_node);
}

static bool take_strings(struct model *model, char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!take(model, names[i]))
            return false;
    return true;
}

static bool take_nodes(struct model *model, Onnx__NodeProto *const *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const Onnx__NodeProto *node = nodes[i];
        if (!take(model, node->name) ||
            !take_strings(model, node->input, node->n_input) ||
            !take_strings(model, node->output, node->n_output))
            return false;
        for (size_t j = 0; j < node->n_attribute; j++) {
            const Onnx__AttributeProto *attribute = node->attribute[j];
            if (attribute->g && !take_graph(model, attribute->g))
                return false;
            for (size_t k = 0; k < attribute->n_graphs; k++)
                if (!take_graph(model, attribute->graphs[k]))
                    return false;
        }
    }
    return true;
}

static bool take_all(struct model *model)
{
    const Onnx__ModelProto *proto = model->proto;
    for (size_t i = 0; i < proto->n_functions; i++) {
        const Onnx__FunctionProto *function = proto->functions[i];
        if (!take_strings(model, function->input, function->n_input) ||
            !take_strings(model, function->output, function->n_output) ||
            !take_nodes(model, function->node, function->n_node))
            return false;
    }
    for (size_t i = 0; i < proto->n_training_info; i++) {
        const Onnx__TrainingInfoProto *training = proto->training_info[i];
        if ((training->initialization && !take_graph(model, training->initialization)) ||
            (training->algorithm && !take_graph(model, training->algorithm)))
            return false;
    }
    return take_graph(model, proto->graph);
}

const char *name_fresh(struct model *model, const char *base, const char *suffix)
{
    if (model->names.count == 0 && !take_all(model))
        return NULL;
    const char *name = arena_printf(model->arena, "%s_%s", base, suffix);
    uintptr_t last = name ? (uintptr_t)map_get(&model->names, name) : 0;
    if (last > 0) {
        const char *stem = name;
        do {
            name = arena_printf(model->arena, "%s_%zu", stem, (size_t)++last);
        } while (name && map_get(&model->names, name));
        if (!set_last(model, stem, last))
            return NULL;
    }
    return name && take(model, name) ? name : NULL;
}

void names_forget(struct model *model)
{
    map_free(&model->names);
}
