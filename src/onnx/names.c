/* Fresh names. The set may hold one too many, which costs a number. Takes names of values
 * and nodes alike, of all scopes together: that is more than the format asks for, and
 * never too little. */
#include "onnx/names.h"

static bool take(struct model *model, const char *name)
{
    return !name || !*name || set_add(&model->names, name);
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

/* A name with a number behind it, beginning where the last one ended. */
static const char *name_numbered(struct model *model, const char *stem)
{
    uintptr_t last = (uintptr_t)map_get(&model->numbers, stem);
    const char *name;
    last = last ? last : 1;
    do {
        name = arena_printf(model->arena, "%s_%zu", stem, (size_t)++last);
    } while (name && set_has(&model->names, name));
    return map_put(&model->numbers, stem, (void *)last) ? name : NULL;
}

const char *name_fresh(struct model *model, const char *base, const char *suffix)
{
    if (model->names.count == 0 && !take_all(model))
        return NULL;
    const char *name = arena_printf(model->arena, "%s_%s", base, suffix);
    if (name && set_has(&model->names, name))
        name = name_numbered(model, name);
    return name && take(model, name) ? name : NULL;
}

void names_forget(struct model *model)
{
    set_free(&model->names);
    map_free(&model->numbers);
}
