/* Fresh names. Names of values and nodes, in all scopes together, are kept apart. That is
 * more than the format asks for. A name that is taken without need only costs a number.
 */
#include "onnx/names.h"
#include "onnx/traverse.h"

static bool take(struct model *model, const char *name)
{
    return !name || !*name || set_add(&model->names, name);
}

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
           take_values(model, graph->value_info, graph->n_value_info);
}

static bool take_strings(struct model *model, char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!take(model, names[i]))
            return false;
    return true;
}

static bool take_region(void *model, struct region *region)
{
    const Onnx__FunctionProto *function = region->function;
    return function ? take_strings(model, function->input, function->n_input) &&
                          take_strings(model, function->output, function->n_output)
                    : take_graph(model, region->graph);
}

static bool take_node(void *model, struct region *region, Onnx__NodeProto *node)
{
    (void)region;
    return take(model, node->name) && take_strings(model, node->input, node->n_input) &&
           take_strings(model, node->output, node->n_output);
}

static bool take_all(struct model *model)
{
    const struct visitor taking = {.enter = take_region, .node = take_node};
    return traverse_model(model->proto, &taking, model);
}

/* Adds a number to a name. Begins with the number after the last one. */
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

/* ---- nodes with one name ---------------------------------------------- */

struct node_names {
    struct set seen, *shared;
};

static bool note_name(void *context, struct region *region, Onnx__NodeProto *node)
{
    struct node_names *names = context;
    (void)region;
    if (*or_empty(node->name) == '\0')
        return true;
    return set_has(&names->seen, node->name) ? set_add(names->shared, node->name)
                                             : set_add(&names->seen, node->name);
}

bool name_is_shared(struct model *model, const char *name)
{
    if (!model->shared_known) {
        struct node_names names = {.shared = &model->shared_names};
        const struct visitor noting = {.node = note_name};
        model->shared_known = traverse_model(model->proto, &noting, &names);
        set_free(&names.seen);
    }
    return !model->shared_known || set_has(&model->shared_names, name);
}

void names_forget(struct model *model)
{
    set_free(&model->names);
    set_free(&model->shared_names);
    model->shared_known = false;
    map_free(&model->numbers);
}
