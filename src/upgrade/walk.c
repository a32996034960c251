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

static bool append(struct upgrade_scope *scope, Onnx__NodeProto *node)
{
    struct model *model = scope->upgrade->model;
    return list_append(model, &scope->nodes, node) &&
           (!is_standard(scope->upgrade, node) ||
            types_of_node(&scope->types, scope->upgrade->arena, node));
}

static bool emit(struct upgrade_scope *scope, Onnx__NodeProto *node, int64_t version);

static bool emit_all(struct upgrade_scope *scope, const struct list *nodes,
                     int64_t version)
{
    for (size_t i = 0; i < nodes->count; i++)
        if (!emit(scope, nodes->items[i], version))
            return false;
    return true;
}

/* Applies the next change and goes on with what comes out of it. */
static bool apply(struct upgrade_scope *scope, Onnx__NodeProto *node,
                  const struct change *change)
{
    struct rewrite r = {
        .scope = scope, .model = scope->upgrade->model, .version = change->version};
    if (!change->rewrite)
        refuse(&r, node, change->refusal);
    else if (!change->rewrite(&r, node) && !r.is_refused)
        return error_memory(scope->upgrade->err);
    if (r.is_refused)
        return true;
    return emit_all(scope, &r.before, r.version) && emit(scope, node, r.version) &&
           emit_all(scope, &r.after, r.version);
}

/* Raises a node that is in the form of `version`, and appends it. */
static bool emit(struct upgrade_scope *scope, Onnx__NodeProto *node, int64_t version)
{
    const struct change *change =
        change_next(or_empty(node->op_type), version, scope->upgrade->target);
    if (change)
        return apply(scope, node, change);
    return append(scope, node) || error_memory(scope->upgrade->err);
}

/* False, and refused, where the source opset doesn't have the operator. */
static bool is_known(const struct upgrade_scope *scope, const Onnx__NodeProto *node)
{
    const char *op_type = or_empty(node->op_type);
    const struct operator_row *row = operator_find(op_type);
    char *reason;
    if ((row && operator_exists(row, scope->source)) ||
        runtime_operator_find(op_type, scope->source))
        return true;
    struct arena *arena = scope->upgrade->model->arena;
    if (row && row->since > scope->source)
        reason = arena_printf(arena, "no operator of opset %lld: it came with %lld",
                              (long long)scope->source, (long long)row->since);
    else if (row)
        reason = arena_printf(arena, "no operator of opset %lld: it went with %lld",
                              (long long)scope->source, (long long)row->gone);
    else
        reason = arena_printf(arena, "no operator of the standard domain");
    refuse_node(scope, node, reason ? reason : "unknown operator");
    return false;
}

/* ---- graphs and functions ------------------------------------------- */

static bool enter_scope(void *context, struct region *region)
{
    const struct walk *walk = context;
    struct upgrade *upgrade = walk->upgrade;
    struct upgrade_scope *scope = arena_alloc(upgrade->arena, sizeof *scope);
    const struct upgrade_scope *outer = region->outer ? region->outer->data : NULL;
    if (!scope)
        return error_memory(upgrade->err);
    *scope =
        (struct upgrade_scope){.upgrade = upgrade,
                               .outer = outer,
                               .function = outer ? outer->function : region->function,
                               .is_graph = region->graph != NULL,
                               .source = walk->source,
                               .types.outer = outer ? &outer->types : NULL};
    region->data = scope;
    bool known = region->graph
                     ? types_of_graph(&scope->types, upgrade->arena, region->graph)
                     : types_of_function(&scope->types, upgrade->arena, region->function);
    size_t count = region->graph ? region->graph->n_node : region->function->n_node;
    return (known && list_reserve(upgrade->model, &scope->nodes, count)) ||
           error_memory(upgrade->err);
}

static bool raise_node(void *context, struct region *region, Onnx__NodeProto *node)
{
    const struct walk *walk = context;
    struct upgrade_scope *scope = region->data;
    if (!is_standard(walk->upgrade, node))
        return append(scope, node) || error_memory(walk->upgrade->err);
    return !is_known(scope, node) || emit(scope, node, walk->source);
}

/* Hands the new lists over to the graph. */
static bool close_graph(struct upgrade_scope *scope, Onnx__GraphProto *graph)
{
    arena_release(scope->upgrade->model->arena, graph->node);
    graph->node = (Onnx__NodeProto **)scope->nodes.items;
    graph->n_node = scope->nodes.count;
    return scope->initializers.count == 0 ||
           list_insert(scope->upgrade->model, &graph->initializer, &graph->n_initializer,
                       graph->n_initializer, scope->initializers.items,
                       scope->initializers.count) ||
           error_memory(scope->upgrade->err);
}

static bool leave_scope(void *context, struct region *region)
{
    (void)context;
    struct upgrade_scope *scope = region->data;
    if (region->graph)
        return close_graph(scope, region->graph);
    region->function->node = (Onnx__NodeProto **)scope->nodes.items;
    region->function->n_node = scope->nodes.count;
    return true;
}

static void release_place(void *context, struct region *region)
{
    (void)context;
    struct upgrade_scope *scope = region->data;
    if (!scope)
        return;
    types_free(&scope->types);
    map_free(&scope->constants);
}

/* A node is raised after its bodies, which do not see what it makes. */
static const struct visitor raising = {.enter = enter_scope,
                                       .after = raise_node,
                                       .leave = leave_scope,
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
