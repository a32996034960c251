/* Types of values, node by node. A type that is not certain is unknown, and operators
 * that see one stay as they are. */
#include "compute/compute_graph.h"
#include "core/sizes.h"
#include "onnx/traverse.h"
#include "upgrade/operator_versions.h"

#include <string.h>

static int type_of_info(const Onnx__ValueInfoProto *info)
{
    const Onnx__TypeProto *type = info->type;
    return type && type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE
               ? type->tensor_type->elem_type
               : DATA_UNDEFINED;
}

/* ---- what a graph declares ------------------------------------------------------ */

static void declare(struct compute *c, const struct scope *scope,
                    Onnx__ValueInfoProto *const *infos, size_t count, bool inputs)
{
    for (size_t i = 0; i < count; i++) {
        const struct value *value = map_get(&scope->values, or_empty(infos[i]->name));
        if (!value || value->is_ambiguous)
            continue;
        struct value_state *state = state_of(c, value);
        state->declared = type_of_info(infos[i]);
        if (inputs && !value->tensor)
            state->element = state->declared;
    }
}

static bool enter_graph(void *context, struct region *region)
{
    struct compute *c = context;
    const Onnx__GraphProto *graph = region->graph;
    const struct scope *scope = c->scopes[c->entered++];
    region->data = (void *)(uintptr_t)scope;
    for (const struct value *value = c->index.values; c->entered == 1 && value;
         value = value->next)
        if (value->tensor && !value->is_ambiguous)
            state_of(c, value)->element = value->tensor->data_type;
    declare(c, scope, graph->output, graph->n_output, false);
    declare(c, scope, graph->value_info, graph->n_value_info, false);
    declare(c, scope, graph->input, graph->n_input, true);
    return true;
}

/* ---- what a node makes ------------------------------------------------------------ */

char compute_output_rule(const struct node_state *n, size_t index)
{
    const char *outputs = n->row ? n->row->outputs : NULL;
    const char *op_type = or_empty(n->node->op_type);
    if (!outputs && domain_is_standard(or_empty(n->node->domain))) {
        const struct operator_row *row = operator_find(op_type);
        row = row ? row : runtime_operator_find(op_type, INT64_MAX);
        outputs = row ? row->outputs : NULL;
    }
    if (!outputs)
        return '?';
    size_t last = strlen(outputs) - 1;
    return outputs[index < last ? index : last];
}

static int type_of_input(const struct compute *c, const struct node_state *n,
                         size_t index)
{
    const struct value *value = input_value(n->scope, n->node, index);
    return value ? state_of(c, value)->element : DATA_UNDEFINED;
}

/* The type that the body of If, Loop or Scan declares. */
static int type_of_body(const Onnx__NodeProto *node, size_t output)
{
    size_t index = output + (node_is(node, "Loop") ? 1 : 0);
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Onnx__GraphProto *body = node->attribute[i]->g;
        if (body)
            return index < body->n_output ? type_of_info(body->output[index])
                                          : DATA_UNDEFINED;
    }
    return DATA_UNDEFINED;
}

/* Operators whose type is in an attribute. `input`: what has the type if there is no such
 * attribute; NO_INPUT: it is float. */
enum { NO_INPUT = -1 };
static const struct attribute_row {
    const char *op_type, *attribute;
    int input;
} attribute_rows[] = {
    {"Cast", "to", NO_INPUT},
    {"EyeLike", "dtype", 0},
    {"Bernoulli", "dtype", 0},
    {"RandomNormal", "dtype", NO_INPUT},
    {"RandomNormalLike", "dtype", 0},
    {"RandomUniform", "dtype", NO_INPUT},
    {"RandomUniformLike", "dtype", 0},
    {"DequantizeLinear", "output_dtype", 1},
    {"HannWindow", "output_datatype", NO_INPUT},
    {"HammingWindow", "output_datatype", NO_INPUT},
    {"BlackmanWindow", "output_datatype", NO_INPUT},
    {"MelWeightMatrix", "output_datatype", NO_INPUT},
    {"LayerNormalization", "stash_type", NO_INPUT},
    {"SimplifiedLayerNormalization", "stash_type", NO_INPUT},
};

static int type_of_constant(const Onnx__NodeProto *node)
{
    const Onnx__AttributeProto *value = node_attribute(node, "value");
    if (value)
        return value->t ? value->t->data_type : DATA_UNDEFINED;
    if (node_is(node, "ConstantOfShape") || node_attribute(node, "value_float") ||
        node_attribute(node, "value_floats"))
        return DATA_FLOAT;
    return node_attribute(node, "value_int") || node_attribute(node, "value_ints")
               ? DATA_INT64
               : DATA_UNDEFINED;
}

static int type_of_other(const struct compute *c, const struct node_state *n,
                         size_t output)
{
    const Onnx__NodeProto *node = n->node;
    if (!domain_is_standard(or_empty(node->domain)))
        return DATA_UNDEFINED;
    if (node_is(node, "Constant") || node_is(node, "ConstantOfShape"))
        return type_of_constant(node);
    for (size_t i = 0; i < COUNT_OF(attribute_rows); i++) {
        const struct attribute_row *row = &attribute_rows[i];
        if (!node_is(node, row->op_type))
            continue;
        int absent =
            row->input == NO_INPUT ? DATA_FLOAT : type_of_input(c, n, (size_t)row->input);
        int stated = (int)node_int(node, row->attribute, 0);
        return stated ? stated : absent;
    }
    return type_of_body(node, output);
}

static int type_of_output(const struct compute *c, const struct node_state *n, size_t i)
{
    char rule = compute_output_rule(n, i);
    if (rule >= '0' && rule <= '9')
        return type_of_input(c, n, (size_t)(rule - '0'));
    return rule == 'L'   ? DATA_INT64
           : rule == 'B' ? DATA_BOOL
           : rule == 'F' ? DATA_FLOAT
                         : type_of_other(c, n, i);
}

static bool list_node(void *context, struct region *region, Onnx__NodeProto *node)
{
    struct compute *c = context;
    struct node_state *n = &c->nodes[c->node_count++];
    *n = (struct node_state){.node = node,
                             .scope = region->data,
                             .row = compute_operator_find(node, c->opset)};
    for (size_t i = 0; i < node->n_output; i++) {
        const struct value *value = output_value(n->scope, node, i);
        if (!value || value->node != node || value->is_ambiguous)
            continue;
        struct value_state *state = state_of(c, value);
        int type = type_of_output(c, n, i);
        state->element = type ? type : state->declared;
    }
    return true;
}

/* ---- all --------------------------------------------------------------------------- */

static bool count_node(void *context, struct region *region, Onnx__NodeProto *node)
{
    (void)region, (void)node;
    ++*(size_t *)context;
    return true;
}

bool compute_list(struct compute *c)
{
    const struct visitor counting = {.node = count_node};
    const struct visitor listing = {.enter = enter_graph, .after = list_node};
    struct arena *arena = c->index.arena;
    size_t count = 0;
    traverse_graph(c->model->proto->graph, &counting, &count);
    c->nodes = arena_array(arena, count + 1, sizeof *c->nodes);
    c->values = arena_array(arena, c->index.value_count + 1, sizeof *c->values);
    c->scopes = arena_array(arena, c->index.scope_count + 1, sizeof *c->scopes);
    if (!c->nodes || !c->values || !c->scopes)
        return error_memory(c->err);
    for (const struct scope *scope = c->index.scopes; scope; scope = scope->next)
        c->scopes[scope->number] = scope;
    return traverse_graph(c->model->proto->graph, &listing, c);
}
