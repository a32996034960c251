/* Building the graph index. In each scope, definitions come before uses, so the order of
 * nodes does not matter. Changes nothing. */
#include "onnx/graph.h"
#include "onnx/node.h"
#include "onnx/traverse.h"

#include <string.h>

struct index_builder {
    struct model *model;
    struct graph_index *index;
    struct map
        paths; /* all paths so far, with the last number that was added to each, or 1 */
    struct error *err;
};

struct value *scope_find(const struct scope *scope, const char *name)
{
    for (; scope; scope = scope->parent) {
        struct value *value = map_get(&scope->values, name);
        if (value)
            return value;
    }
    return NULL;
}

static struct value *find_given(const struct scope *scope, const char *name)
{
    return *name ? scope_find(scope, name) : NULL;
}

struct value *input_value(const struct scope *scope, const Onnx__NodeProto *node,
                          size_t index)
{
    return find_given(scope, node_input(node, index));
}

struct value *output_value(const struct scope *scope, const Onnx__NodeProto *node,
                           size_t index)
{
    return find_given(scope, node_output(node, index));
}

/* ---- definitions ---------------------------------------------------- */

static struct value *define(struct index_builder *b, struct scope *scope,
                            const char *name, enum value_kind kind)
{
    struct value *value = map_get(&scope->values, name);
    if (value) {
        value->is_ambiguous = true;
        return value;
    }
    value = arena_alloc(b->index->arena, sizeof *value);
    if (!value || !map_put(&scope->values, name, value)) {
        error_memory(b->err);
        return NULL;
    }
    *value = (struct value){.name = name,
                            .kind = kind,
                            .scope = scope,
                            .number = (uint32_t)b->index->value_count++};
    if (b->index->last)
        b->index->last->next = value;
    else
        b->index->values = value;
    b->index->last = value;
    return value;
}

static bool define_tensor(struct index_builder *b, struct scope *scope,
                          Onnx__TensorProto *tensor, enum value_kind kind)
{
    struct value *value = define(b, scope, or_empty(tensor->name), kind);
    if (!value)
        return false;
    value->tensor = tensor;
    return true;
}

static bool define_input(struct index_builder *b, struct scope *scope, const char *name)
{
    struct value *value = map_get(&scope->values, name);
    if (!value)
        value = define(b, scope, name, VALUE_INPUT);
    if (value)
        value->is_input = true;
    return value != NULL;
}

static bool define_outputs(struct index_builder *b, struct scope *scope,
                           Onnx__NodeProto *node)
{
    for (size_t i = 0; i < node->n_output; i++) {
        if (!*or_empty(node->output[i]))
            continue;
        struct value *value = define(b, scope, node->output[i], VALUE_NODE);
        if (!value)
            return false;
        value->node = node;
    }
    return true;
}

static bool define_nodes(struct index_builder *b, struct scope *scope,
                         Onnx__NodeProto *const *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!define_outputs(b, scope, nodes[i]))
            return false;
    return true;
}

/* ---- scopes --------------------------------------------------------- */

/* Paths must be unique, but names of nodes need not be. "If_12.then_branch#2" is the
 * second path of that name in the file. */
static const char *unique_path(struct index_builder *b, const char *stem)
{
    uintptr_t last = stem ? (uintptr_t)map_get(&b->paths, stem) : 0;
    const char *path = stem;
    if (!stem)
        return NULL;
    for (; path && map_get(&b->paths, path); last++)
        path = arena_printf(b->index->arena, "%s#%zu", stem, (size_t)last + 1);
    bool noted = path && map_put(&b->paths, path, (void *)(uintptr_t)1) &&
                 (path == stem || map_put(&b->paths, stem, (void *)last));
    return noted ? path : NULL;
}

static struct scope *scope_new(struct index_builder *b, struct scope *parent,
                               const char *path)
{
    struct scope *scope = arena_alloc(b->index->arena, sizeof *scope);
    path = unique_path(b, path);
    if (!scope || !path) {
        error_memory(b->err);
        return NULL;
    }
    *scope = (struct scope){.parent = parent,
                            .path = path,
                            .next = b->index->scopes,
                            .number = b->index->scope_count++};
    b->index->scopes = scope;
    return scope;
}

/* The path of a region, before a number makes it unique. */
static const char *path_stem(const struct index_builder *b, const struct region *region)
{
    struct arena *arena = b->index->arena;
    if (region->function)
        return arena_printf(arena, "function %s", or_empty(region->function->name));
    if (!region->outer)
        return "";
    const Onnx__NodeProto *node = region->owner;
    const struct scope *outer = region->outer->data;
    const char *label = *or_empty(node->name) ? node->name : node_output(node, 0);
    return arena_printf(arena, "%s%s%s.%s", outer->path, *outer->path ? "/" : "", label,
                        or_empty(region->attribute->name));
}

static bool define_graph(struct index_builder *b, struct scope *scope,
                         const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (!define_tensor(b, scope, graph->initializer[i], VALUE_INITIALIZER))
            return false;
    for (size_t i = 0; i < graph->n_sparse_initializer; i++) {
        Onnx__TensorProto *values = graph->sparse_initializer[i]->values;
        if (values && !define_tensor(b, scope, values, VALUE_SPARSE))
            return false;
    }
    for (size_t i = 0; i < graph->n_input; i++)
        if (!define_input(b, scope, or_empty(graph->input[i]->name)))
            return false;
    return define_nodes(b, scope, graph->node, graph->n_node);
}

static bool define_function(struct index_builder *b, struct scope *scope,
                            const Onnx__FunctionProto *function)
{
    for (size_t i = 0; i < function->n_input; i++)
        if (!define_input(b, scope, or_empty(function->input[i])))
            return false;
    return define_nodes(b, scope, function->node, function->n_node);
}

/* Defines everything of a scope first, since uses may come before definitions. */
static bool enter_scope(void *context, struct region *region)
{
    struct index_builder *b = context;
    struct scope *outer = region->outer ? region->outer->data : NULL;
    struct scope *scope = scope_new(b, outer, path_stem(b, region));
    if (!scope)
        return false;
    region->data = scope;
    scope->graph = region->graph;
    scope->function = region->function;
    if (!b->index->main)
        b->index->main = scope;
    return region->graph ? define_graph(b, scope, region->graph)
                         : define_function(b, scope, region->function);
}

/* ---- uses ----------------------------------------------------------- */

/* In any domain: both operators exist in ONNX's and in com.microsoft. */
static bool is_quantized(const struct value *value, const Onnx__NodeProto *node)
{
    const char *op_type = node ? or_empty(node->op_type) : "";
    return name_is(op_type, "QuantizeLinear") ||
           (name_is(op_type, "DequantizeLinear") && !value_constant(value));
}

static bool add_use(struct index_builder *b, struct scope *scope, const char *name,
                    Onnx__NodeProto *node, size_t input)
{
    struct value *value = *name ? scope_find(scope, name) : NULL;
    if (!value)
        return true;
    struct use *use = arena_alloc(b->index->arena, sizeof *use);
    if (!use)
        return error_memory(b->err);
    *use =
        (struct use){.next = value->uses, .node = node, .input = input, .scope = scope};
    value->uses = use;
    value->use_count++;
    b->index->quantizes |= input == 0 && is_quantized(value, node);
    return true;
}

/* Reverses the uses, since the last one was added at the front. */
static void order_uses(struct value *value)
{
    struct use *use = value->uses;
    value->uses = NULL;
    for (struct use *next; use; use = next) {
        next = use->next;
        use->next = value->uses;
        value->uses = use;
    }
}

static bool use_inputs(void *context, struct region *region, Onnx__NodeProto *node)
{
    for (size_t i = 0; i < node->n_input; i++)
        if (!add_use(context, region->data, or_empty(node->input[i]), node, i))
            return false;
    return true;
}

static bool use_outputs(void *context, struct region *region)
{
    const Onnx__GraphProto *graph = region->graph;
    const Onnx__FunctionProto *function = region->function;
    const size_t count = graph ? graph->n_output : function->n_output;
    for (size_t i = 0; i < count; i++) {
        const char *name = graph ? graph->output[i]->name : function->output[i];
        if (!add_use(context, region->data, or_empty(name), NULL, i))
            return false;
    }
    return true;
}

/* ---- training ------------------------------------------------------- */

static void mark_trained(const struct graph_index *index,
                         Onnx__StringStringEntryProto *const *bindings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct value *value = scope_find(index->main, or_empty(bindings[i]->key));
        if (value)
            value->is_trained = true;
    }
}

static bool index_scopes(struct index_builder *b)
{
    const struct visitor indexing = {
        .enter = enter_scope, .node = use_inputs, .leave = use_outputs};
    const Onnx__ModelProto *proto = b->model->proto;
    if (!traverse_graph(proto->graph, &indexing, b))
        return false;
    for (size_t i = 0; i < proto->n_functions; i++)
        if (!traverse_function(proto->functions[i], &indexing, b))
            return false;
    return true;
}

bool graph_index(struct model *model, struct graph_index *index, struct error *err)
{
    struct index_builder b = {.model = model, .index = index, .err = err};
    const Onnx__ModelProto *proto = model->proto;
    *index = (struct graph_index){.arena = arena_create(ARENA_NO_CAP)};
    if (!index->arena)
        return error_memory(err);
    index->function_count = proto->n_functions;
    bool ok = index_scopes(&b);
    map_free(&b.paths);
    if (!ok)
        return false;
    for (struct value *value = index->values; value; value = value->next)
        order_uses(value);
    for (size_t i = 0; i < proto->n_training_info; i++) {
        const Onnx__TrainingInfoProto *training = proto->training_info[i];
        mark_trained(index, training->initialization_binding,
                     training->n_initialization_binding);
        mark_trained(index, training->update_binding, training->n_update_binding);
    }
    return true;
}

Onnx__TensorProto *value_constant(const struct value *value)
{
    if (value->kind == VALUE_INITIALIZER)
        return value->tensor;
    if (value->kind != VALUE_NODE || !node_is(value->node, "Constant"))
        return NULL;
    const Onnx__AttributeProto *attribute = node_attribute(value->node, "value");
    return attribute ? attribute->t : NULL;
}

void graph_index_free(struct graph_index *index)
{
    for (struct scope *scope = index->scopes; scope; scope = scope->next)
        map_free(&scope->values);
    arena_destroy(index->arena);
    *index = (struct graph_index){0};
}
