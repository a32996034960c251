/* Each node goes through all changes between its opset and the target, in ascending
 * order; so do the nodes that rewrites make. New lists of nodes are built once. Knows
 * nothing of opset imports. */
#include "upgrade/walk.h"
#include "onnx/traverse.h"
#include "upgrade/operator_versions.h"
#include "upgrade/opset_changes.h"

/* What is raised, and from which opset. */
struct walk {
    struct upgrade *upgrade;
    int64_t source;
};

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

static bool enter_place(void *context, struct region *region)
{
    const struct walk *walk = context;
    struct upgrade *upgrade = walk->upgrade;
    struct place *place = arena_alloc(upgrade->arena, sizeof *place);
    const struct place *outer = region->outer ? region->outer->data : NULL;
    if (!place)
        return error_memory(upgrade->err);
    *place = (struct place){.upgrade = upgrade,
                            .outer = outer,
                            .function = outer ? outer->function : region->function,
                            .is_graph = region->graph != NULL,
                            .source = walk->source,
                            .types.outer = outer ? &outer->types : NULL};
    region->data = place;
    bool known = region->graph
                     ? types_of_graph(&place->types, upgrade->arena, region->graph)
                     : types_of_function(&place->types, upgrade->arena, region->function);
    size_t count = region->graph ? region->graph->n_node : region->function->n_node;
    return (known && list_reserve(upgrade->model, &place->nodes, count)) ||
           error_memory(upgrade->err);
}

static bool raise_node(void *context, struct region *region, Onnx__NodeProto *node)
{
    const struct walk *walk = context;
    struct place *place = region->data;
    if (!is_standard(walk->upgrade, node))
        return append(place, node) || error_memory(walk->upgrade->err);
    return !is_known(place, node) || emit(place, node, walk->source);
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

static bool leave_place(void *context, struct region *region)
{
    (void)context;
    struct place *place = region->data;
    if (region->graph)
        return close_graph(place, region->graph);
    region->function->node = (Onnx__NodeProto **)place->nodes.items;
    region->function->n_node = place->nodes.count;
    return true;
}

static void release_place(void *context, struct region *region)
{
    (void)context;
    struct place *place = region->data;
    if (!place)
        return;
    types_free(&place->types);
    map_free(&place->constants);
}

/* A node is raised after its bodies, which do not see what it makes. */
static const struct visitor raising = {.enter = enter_place,
                                       .after = raise_node,
                                       .leave = leave_place,
                                       .release = release_place};

bool walk_graphs(struct upgrade *upgrade, int64_t source)
{
    struct walk walk = {upgrade, source};
    return traverse_graphs(upgrade->model->proto, &raising, &walk);
}

bool walk_function(struct upgrade *upgrade, Onnx__FunctionProto *function, int64_t source)
{
    struct walk walk = {upgrade, source};
    return traverse_function(function, &raising, &walk);
}

/* ---- looking only --------------------------------------------------- */

static bool is_other(void *upgrade, struct region *region, Onnx__NodeProto *node)
{
    (void)region;
    return !is_standard(upgrade, node);
}

static const struct visitor looking = {.node = is_other};

bool graphs_have_standard(struct upgrade *upgrade)
{
    return !traverse_graphs(upgrade->model->proto, &looking, upgrade);
}

bool function_has_standard(struct upgrade *upgrade, Onnx__FunctionProto *function)
{
    return !traverse_function(function, &looking, upgrade);
}
