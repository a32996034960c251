/* Depth. The regions of a model are visited as the graph index visits them, so the
 * scopes come in the same order. */
#include "plan/depth.h"
#include "onnx/node.h"
#include "onnx/traverse.h"

#include <stdlib.h>

/* Counts are by the number of a value. */
struct depths {
    struct scope **scopes; /* by their number */
    size_t entered;
    uint32_t *own; /* what the node that makes the value adds */
    uint32_t *all;
};

static void raise_to(uint32_t *count, uint32_t least)
{
    *count = *count > least ? *count : least;
}

static uint32_t *count_of(uint32_t *counts, const struct scope *scope, const char *name)
{
    const struct value *value = *name ? scope_find(scope, name) : NULL;
    return value ? &counts[value->number] : NULL;
}

static void add_own(struct depths *d, const struct use *use)
{
    for (size_t i = 0; use->node && i < use->node->n_output; i++) {
        uint32_t *own = count_of(d->own, use->scope, node_output(use->node, i));
        if (own)
            ++*own;
    }
}

/* ---- the visit --------------------------------------------------------- */

static uint32_t inputs_depth(struct depths *d, const struct scope *scope,
                             const Onnx__NodeProto *node)
{
    uint32_t depth = 0;
    for (size_t i = 0; i < node->n_input; i++) {
        const uint32_t *input = count_of(d->all, scope, node_input(node, i));
        raise_to(&depth, input ? *input : 0);
    }
    return depth;
}

/* Inputs of a body are as deep as the deepest input of its node. */
static bool enter(void *context, struct region *region)
{
    struct depths *d = context;
    struct scope *scope = d->scopes[d->entered++];
    region->data = scope;
    if (!region->owner || !region->graph)
        return true;
    uint32_t depth = inputs_depth(d, region->outer->data, region->owner);
    for (size_t i = 0; i < region->graph->n_input; i++) {
        uint32_t *input =
            count_of(d->all, scope, or_empty(region->graph->input[i]->name));
        if (input)
            *input = depth;
    }
    return true;
}

static bool visit(void *context, struct region *region, Onnx__NodeProto *node)
{
    struct depths *d = context;
    const struct scope *scope = region->data;
    uint32_t depth = inputs_depth(d, scope, node);
    for (size_t i = 0; i < node->n_output; i++) {
        const char *name = node_output(node, i);
        uint32_t *output = count_of(d->all, scope, name);
        if (output)
            *output = depth + *count_of(d->own, scope, name);
    }
    return true;
}

/* The deepest output of a graph. */
static uint32_t outputs_depth(struct depths *d, const struct scope *scope)
{
    uint32_t depth = 0;
    for (size_t i = 0; i < scope->graph->n_output; i++) {
        const uint32_t *output =
            count_of(d->all, scope, or_empty(scope->graph->output[i]->name));
        raise_to(&depth, output ? *output : 0);
    }
    return depth;
}

/* Outputs of a node are as deep as the outputs of its bodies. */
static bool leave(void *context, struct region *region)
{
    struct depths *d = context;
    if (!region->owner || !region->graph)
        return true;
    uint32_t depth = outputs_depth(d, region->data);
    for (size_t i = 0; i < region->owner->n_output; i++) {
        uint32_t *output =
            count_of(d->all, region->outer->data, node_output(region->owner, i));
        if (output)
            raise_to(output, depth);
    }
    return true;
}

bool plan_depth(const struct model *model, const struct graph_index *index,
                const struct plan *plan, size_t *depth, struct error *err)
{
    const struct visitor visitor = {.enter = enter, .node = visit, .leave = leave};
    struct depths d = {.scopes = calloc(index->scope_count + 1, sizeof(void *)),
                       .own = calloc(index->value_count + 1, sizeof *d.own),
                       .all = calloc(index->value_count + 1, sizeof *d.all)};
    *depth = 0;
    bool ok = d.scopes && d.own && d.all;
    for (struct scope *scope = ok ? index->scopes : NULL; scope; scope = scope->next)
        d.scopes[scope->number] = scope;
    for (size_t i = 0; ok && i < plan->count; i++)
        for (const struct use *use = plan->items[i].use; use; use = use->next)
            if (plan->items[i].quantize)
                add_own(&d, use);
    if (ok) {
        traverse_graph(model->proto->graph, &visitor, &d);
        *depth = outputs_depth(&d, index->main);
    }
    free(d.scopes);
    free(d.own);
    free(d.all);
    return ok || error_memory(err);
}
