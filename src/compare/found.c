/* Listing weights: each value that is a constant, at each use that is none. Matches and
 * measures nothing. */
#include "compare/found.h"
#include "onnx/node.h"
#include "onnx/tensor.h"

#include <stdlib.h>
#include <string.h>

enum { SOURCE_STEPS = 64 };

/* Constants that are made of others count where they are used in the end: there alone. */
static bool goes_on(struct evaluator *e, const struct use *use)
{
    const struct value *output = scope_find(use->scope, node_output(use->node, 0));
    if (!output || output->kind != VALUE_NODE || output->node != use->node)
        return false;
    evaluator_reset(e);
    return evaluate_check(e, output);
}

/* Whether a constant is codes or other integers, which mean nothing without a scale. Only
 * some operators change that. */
static bool is_integer(const struct value *value)
{
    for (unsigned depth = 0; value && depth < SOURCE_STEPS; depth++) {
        const Onnx__TensorProto *tensor = value_constant(value);
        if (tensor)
            return !data_type_is_float(tensor->data_type);
        if (evaluate_is_decoder(value->node))
            return false;
        if (node_is(value->node, "QuantizeLinear") || node_is(value->node, "Shape"))
            return true;
        if (node_is(value->node, "Cast"))
            return !data_type_is_float((int)node_int(value->node, "to", DATA_FLOAT));
        value = input_value(value->scope, value->node, 0);
    }
    return false;
}

static struct found *add(struct found_weights *found, size_t *room, struct error *err)
{
    if (found->count == *room) {
        size_t larger = *room ? 2 * *room : 256;
        struct found *items = realloc(found->items, larger * sizeof *items);
        if (!items) {
            error_memory(err);
            return NULL;
        }
        found->items = items;
        *room = larger;
    }
    return &found->items[found->count++];
}

static struct found describe(const struct value *value, const struct use *use,
                             const struct coded_operator *coded, bool is_rows)
{
    struct found item = {.value = value, .use = use, .coded = coded};
    if (is_rows) { /* what the Gather has read, and what has become of it */
        item.op_type = "Gather";
        item.key = value->name;
        item.node = "";
        return item;
    }
    const Onnx__NodeProto *result = coded ? coded_result(use) : use->node;
    item.op_type = or_empty(use->node->op_type);
    item.key = node_output(result, 0);
    item.node = or_empty(use->node->name);
    return item;
}

static bool look_at(struct found_weights *found, const struct value *value,
                    const struct use *use, size_t *room, struct error *err)
{
    struct evaluator *e = &found->evaluator;
    const struct coded_operator *coded =
        use->node ? coded_operator(use->node, use->input) : NULL;
    if (use->node && !coded && (takes_codes(use->node) || goes_on(e, use)))
        return true;
    evaluator_reset(e);
    if (!evaluate_check(e, value))
        return true;
    bool is_rows = e->rows != NULL, is_made = *e->codes.name || *e->real.name;
    if (!is_made || (!use->node && !is_rows) || (!coded && is_integer(value)))
        return true;
    struct found *item = add(found, room, err);
    if (!item)
        return false;
    *item = describe(value, use, coded, is_rows);
    item->codes = e->codes;
    item->real = e->real;
    return true;
}

static bool list(struct found_weights *found, struct error *err)
{
    size_t room = 0;
    for (const struct value *v = found->index.values; v; v = v->next)
        for (const struct use *use = v->uses; use; use = use->next)
            if (!look_at(found, v, use, &room, err))
                return false;
    return true;
}

bool found_read(struct found_weights *found, const struct file *file, struct error *err)
{
    *found = (struct found_weights){.model = model_load(file, err)};
    if (!found->model || !graph_index(found->model, &found->index, err))
        return false;
    evaluator_init(&found->evaluator, found->model, &found->index, err);
    return list(found, err);
}

void found_free(struct found_weights *found)
{
    free(found->items);
    graph_index_free(&found->index);
    model_free(found->model);
    *found = (struct found_weights){0};
}

bool found_values(struct found_weights *found, const struct found *item,
                  struct array *out)
{
    struct evaluator *e = &found->evaluator;
    evaluator_reset(e);
    /* Tables are seen whole only once it is known which indices read them. */
    if (!evaluate_check(e, item->value))
        return false;
    const struct value *rows = e->rows;
    evaluator_reset(e);
    e->rows = rows;
    return item->coded ? coded_weight(e, item->use, item->coded, out)
                       : evaluate_array(e, item->value, out);
}
