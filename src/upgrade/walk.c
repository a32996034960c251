/* Each node goes through all changes between its opset and the target, in ascending
 * order; so do the nodes that rewrites make. New lists of nodes are built once. Knows
 * nothing of opset imports. */
#include "upgrade/walk.h"
#include "upgrade/operators.h"
#include "upgrade/table.h"

static bool is_standard(const struct upgrade *upgrade, const Onnx__NodeProto *node)
{
    return domain_is_standard(node->domain) && !survey_is_call(&upgrade->survey, node);
}

/* ---- one node ------------------------------------------------------- */

static bool append(struct place *place, Onnx__NodeProto *node)
{
    struct model *model = place->upgrade->model;
    return list_append(model, &place->nodes, node) &&
           (!is_standard(place->upgrade, node) ||
            types_of_node(&place->types, place->upgrade->arena, node));
}

static bool emit(struct place *place, Onnx__NodeProto *node, int64_t version);

static bool emit_all(struct place *place, const struct list *nodes, int64_t version)
{
    for (size_t i = 0; i < nodes->count; i++)
        if (!emit(place, nodes->items[i], version))
            return false;
    return true;
}

/* Applies the next change and goes on with what comes out of it. */
static bool apply(struct place *place, Onnx__NodeProto *node, const struct change *change)
{
    struct rewrite r = {
        .place = place, .model = place->upgrade->model, .version = change->version};
    if (!change->rewrite)
        refuse(&r, node, change->refusal);
    else if (!change->rewrite(&r, node) && !r.is_refused)
        return error_memory(place->upgrade->err);
    if (r.is_refused)
        return true;
    return emit_all(place, &r.before, r.version) && emit(place, node, r.version) &&
           emit_all(place, &r.after, r.version);
}

/* Raises a node that is in the form of `version`, and appends it. */
static bool emit(struct place *place, Onnx__NodeProto *node, int64_t version)
{
    const struct change *change =
        change_next(text(node->op_type), version, place->upgrade->target);
    if (change)
        return apply(place, node, change);
    return append(place, node) || error_memory(place->upgrade->err);
}

/* False, and refused, where the source opset doesn't have the operator. */
static bool is_known(const struct place *place, const Onnx__NodeProto *node)
{
    const struct operator_row *row = operator_find(text(node->op_type));
    char *reason;
    if (row && row->since <= place->source &&
        (row->gone == 0 || row->gone > place->source))
        return true;
    struct arena *arena = place->upgrade->model->arena;
    if (row && row->since > place->source)
        reason = arena_printf(arena, "no operator of opset %lld: it came with %lld",
                              (long long)place->source, (long long)row->since);
    else if (row)
        reason = arena_printf(arena, "no operator of opset %lld: it went with %lld",
                              (long long)place->source, (long long)row->gone);
    else
        reason = arena_printf(arena, "no operator of the standard domain");
    refuse_node(place, node, reason ? reason : "unknown operator");
    return false;
}

/* ---- graphs and functions ------------------------------------------- */

static bool walk_body(struct place *outer, Onnx__GraphProto *graph);

static bool walk_bodies(struct place *place, const Onnx__NodeProto *node)
{
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = node->attribute[i];
        if (attribute->g && !walk_body(place, attribute->g))
            return false;
        for (size_t j = 0; j < attribute->n_graphs; j++)
            if (!walk_body(place, attribute->graphs[j]))
                return false;
    }
    return true;
}

static bool walk_nodes(struct place *place, Onnx__NodeProto *const *nodes, size_t count)
{
    if (!list_reserve(place->upgrade->model, &place->nodes, count))
        return error_memory(place->upgrade->err);
    for (size_t i = 0; i < count; i++) {
        bool standard = is_standard(place->upgrade, nodes[i]);
        if (!walk_bodies(place, nodes[i]))
            return false;
        if (!standard && !append(place, nodes[i]))
            return error_memory(place->upgrade->err);
        if (standard && is_known(place, nodes[i]) &&
            !emit(place, nodes[i], place->source))
            return false;
    }
    return true;
}

/* Hands the new lists over to the graph. */
static bool close_graph(struct place *place, Onnx__GraphProto *graph)
{
    arena_release(place->upgrade->model->arena, graph->node);
    graph->node = (Onnx__NodeProto **)place->nodes.items;
    graph->n_node = place->nodes.count;
    return place->initializers.count == 0 ||
           list_insert(place->upgrade->model, &graph->initializer, &graph->n_initializer,
                       graph->n_initializer, place->initializers.items,
                       place->initializers.count) ||
           error_memory(place->upgrade->err);
}

static void place_free(struct place *place)
{
    types_free(&place->types);
    map_free(&place->constants);
}

static bool walk_in(struct place *place, Onnx__GraphProto *graph)
{
    struct upgrade *upgrade = place->upgrade;
    bool ok = (types_of_graph(&place->types, upgrade->arena, graph) ||
               error_memory(upgrade->err)) &&
              walk_nodes(place, graph->node, graph->n_node) && close_graph(place, graph);
    place_free(place);
    return ok;
}

static bool walk_body(struct place *outer, Onnx__GraphProto *graph)
{
    struct place place = {.upgrade = outer->upgrade,
                          .outer = outer,
                          .function = outer->function,
                          .is_graph = true,
                          .source = outer->source,
                          .types.outer = &outer->types};
    return walk_in(&place, graph);
}

bool walk_graph(struct upgrade *upgrade, Onnx__GraphProto *graph, int64_t source)
{
    struct place place = {.upgrade = upgrade, .is_graph = true, .source = source};
    return walk_in(&place, graph);
}

bool walk_function(struct upgrade *upgrade, Onnx__FunctionProto *function, int64_t source)
{
    struct place place = {.upgrade = upgrade, .function = function, .source = source};
    bool ok = (types_of_function(&place.types, upgrade->arena, function) ||
               error_memory(upgrade->err)) &&
              walk_nodes(&place, function->node, function->n_node);
    function->node = (Onnx__NodeProto **)place.nodes.items;
    function->n_node = place.nodes.count;
    place_free(&place);
    return ok;
}

/* ---- looking only --------------------------------------------------- */

static bool finds_in_bodies(const struct upgrade *upgrade, const Onnx__NodeProto *node)
{
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = node->attribute[i];
        const Onnx__GraphProto *body = attribute->g;
        if (body && walk_finds_standard(upgrade, body->node, body->n_node))
            return true;
        for (size_t j = 0; j < attribute->n_graphs; j++)
            if (walk_finds_standard(upgrade, attribute->graphs[j]->node,
                                    attribute->graphs[j]->n_node))
                return true;
    }
    return false;
}

bool walk_finds_standard(const struct upgrade *upgrade, Onnx__NodeProto *const *nodes,
                         size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_standard(upgrade, nodes[i]) || finds_in_bodies(upgrade, nodes[i]))
            return true;
    return false;
}
