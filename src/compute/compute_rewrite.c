/* The changed graph. A value is made in one type. Where a use wants the other one, a Cast
 * behind the maker gives it. Graph outputs keep their names, and so does what the maker
 * makes otherwise. */
#include "compute/compute_graph.h"
#include "onnx/names.h"
#include "onnx/node.h"

#include <string.h>

enum { GROWTH = 4096 }; /* bytes that a value or a node adds, without its name */

/* ---- what the uses want -------------------------------------------------------- */

static bool is_single(const struct compute *c, const struct value *value)
{
    return value && state_of(c, value)->element == DATA_FLOAT;
}

static bool wants_half(const struct node_state *n, size_t input)
{
    return n->converts && !compute_in_mask(n->row->stays, input);
}

static void note_uses(struct compute *c)
{
    for (size_t at = 0; at < c->node_count; at++) {
        const struct node_state *n = &c->nodes[at];
        for (size_t i = 0; i < n->node->n_input; i++) {
            const struct value *value = input_value(n->scope, n->node, i);
            if (!is_single(c, value) || compute_takes_any(n->node))
                continue;
            struct value_state *state = state_of(c, value);
            state->wants_half |= wants_half(n, i);
            state->wants_single |= !wants_half(n, i);
        }
    }
}

static void note_outputs(struct compute *c)
{
    for (size_t at = 0; at < c->entered; at++) {
        const Onnx__GraphProto *graph = c->scopes[at]->graph;
        for (size_t i = 0; i < graph->n_output; i++) {
            const struct value *value =
                scope_find(c->scopes[at], or_empty(graph->output[i]->name));
            if (!is_single(c, value))
                continue;
            bool half = c->io && at == 0;
            state_of(c, value)->gives_half |= half;
            state_of(c, value)->gives_single |= !half;
        }
    }
}

/* ---- names --------------------------------------------------------------------- */

static bool name_value(struct compute *c, const struct value *value)
{
    struct value_state *s = state_of(c, value);
    const struct scope *main = c->scopes[0];
    Onnx__TensorProto *tensor;
    if (!compute_constant(c, value, &tensor))
        return false;
    if (tensor)
        s->made_half = s->wants_half && !s->wants_single && !s->gives_single;
    else if (value->kind == VALUE_INPUT && value->scope == main)
        s->made_half = c->io;
    bool fixed = value->kind != VALUE_NODE; /* its name is what is made */
    bool named_half = s->made_half;
    if (!fixed && s->gives_single)
        named_half = false;
    else if (!fixed && s->gives_half)
        named_half = true;
    bool half = s->made_half || named_half || s->wants_half;
    bool single = !s->made_half || !named_half || s->wants_single;
    arena_extend(c->model->arena, GROWTH + 8 * strlen(value->name));
    s->half = !half        ? NULL
              : named_half ? value->name
                           : name_fresh(c->model, value->name, "float16");
    s->single = !single       ? NULL
                : !named_half ? value->name
                              : name_fresh(c->model, value->name, "float32");
    return ((s->half || !half) && (s->single || !single)) || error_memory(c->err);
}

static const char *made_name(const struct value_state *s)
{
    return s->made_half ? s->half : s->single;
}

/* ---- constants ------------------------------------------------------------------- */

static bool halve_tensor(struct compute *c, Onnx__TensorProto *tensor)
{
    const struct payload *payload = tensor_values(c->model, tensor, c->err);
    const struct payload *halved = payload ? compute_halve(c, payload) : NULL;
    if (!halved)
        return false;
    tensor->data_type = DATA_FLOAT16;
    tensor->n_float_data = 0;
    tensor->has_raw_data = true;
    tensor->raw_data.data = (uint8_t *)(uintptr_t)halved;
    tensor->raw_data.len = (size_t)halved->size;
    return true;
}

static bool halve_constant(struct compute *c, const struct value *value)
{
    Onnx__TensorProto *tensor;
    if (!compute_constant(c, value, &tensor))
        return false;
    return !tensor || !state_of(c, value)->made_half || halve_tensor(c, tensor);
}

/* ---- nodes --------------------------------------------------------------------- */

static void rename_inputs(struct compute *c, const struct node_state *n)
{
    for (size_t i = 0; i < n->node->n_input; i++) {
        const struct value *value = input_value(n->scope, n->node, i);
        if (!is_single(c, value))
            continue;
        const struct value_state *s = state_of(c, value);
        const char *name = compute_takes_any(n->node) ? made_name(s)
                           : wants_half(n, i)         ? s->half
                                                      : s->single;
        n->node->input[i] = (char *)(uintptr_t)name;
    }
}

static bool set_types(struct compute *c, Onnx__NodeProto *node)
{
    if (node_is(node, "Cast"))
        return node_set_int(c->model, node, "to", DATA_FLOAT16);
    if (node_is(node, "DequantizeLinear") && node_attribute(node, "output_dtype"))
        return node_set_int(c->model, node, "output_dtype", DATA_FLOAT16);
    if (!node_is(node, "ConstantOfShape"))
        return true;
    const Onnx__AttributeProto *value = node_attribute(node, "value");
    if (value)
        return !value->t || halve_tensor(c, value->t);
    const int64_t one = 1;
    Onnx__TensorProto *zero = tensor_new(c->model, "value", DATA_FLOAT16, &one, 1);
    return zero && tensor_set_values(c->model, zero, "\0", 2) &&
           node_set_tensor(c->model, node, "value", zero);
}

static Onnx__NodeProto *make_cast(struct compute *c, const struct value_state *s)
{
    const char *from = made_name(s), *to = s->made_half ? s->single : s->half;
    const char *name = name_fresh(c->model, to, "Cast");
    Onnx__NodeProto *node =
        name ? node_new(c->model, "Cast", name, &from, 1, &to, 1) : NULL;
    return node && node_set_int(c->model, node, "to",
                                s->made_half ? DATA_FLOAT : DATA_FLOAT16)
               ? node
               : NULL;
}

static bool needs_cast(const struct compute *c, const struct value *value)
{
    return is_single(c, value) && state_of(c, value)->half && state_of(c, value)->single;
}

/* A list of nodes that grows to a known length. */
struct node_list {
    Onnx__NodeProto **items;
    size_t count;
};

static bool add_cast(struct compute *c, struct node_list *list, const struct value *value)
{
    Onnx__NodeProto *cast = make_cast(c, state_of(c, value));
    list->items[list->count++] = cast;
    return cast || error_memory(c->err);
}

/* Adds the node and the Casts behind it. Its outputs get their new names. */
static bool add_node(struct compute *c, struct node_list *list, const struct scope *scope,
                     Onnx__NodeProto *node)
{
    list->items[list->count++] = node;
    for (size_t i = 0; i < node->n_output; i++) {
        const struct value *value = map_get(&scope->values, or_empty(node->output[i]));
        if (!is_single(c, value) || value->node != node)
            continue;
        node->output[i] = (char *)(uintptr_t)made_name(state_of(c, value));
        if (needs_cast(c, value) && !add_cast(c, list, value))
            return false;
    }
    return true;
}

/* ---- graphs ------------------------------------------------------------------------ */

static void retype(const struct compute *c, const struct scope *scope,
                   Onnx__ValueInfoProto *const *infos, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct value *value = scope_find(scope, or_empty(infos[i]->name));
        const struct value_state *s = is_single(c, value) ? state_of(c, value) : NULL;
        const Onnx__TypeProto *type = infos[i]->type;
        if (s && s->half == value->name && type &&
            type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
            type->tensor_type->elem_type = DATA_FLOAT16;
    }
}

/* `next` goes over all values, which lie in the order of scopes. */
static bool rewrite_graph(struct compute *c, const struct scope *scope, size_t casts,
                          const struct value **next)
{
    Onnx__GraphProto *graph = scope->graph;
    struct node_list list = {
        arena_array(c->model->arena, graph->n_node + casts, sizeof *list.items), 0};
    if (!list.items)
        return error_memory(c->err);
    retype(c, scope, graph->input, graph->n_input);
    retype(c, scope, graph->output, graph->n_output);
    retype(c, scope, graph->value_info, graph->n_value_info);
    for (; *next && (*next)->scope == scope; *next = (*next)->next)
        if ((*next)->kind != VALUE_NODE && needs_cast(c, *next) &&
            !add_cast(c, &list, *next))
            return false;
    for (size_t i = 0; i < graph->n_node; i++)
        if (!add_node(c, &list, scope, graph->node[i]))
            return false;
    graph->node = list.items;
    graph->n_node = list.count;
    return true;
}

static bool rewrite_values(struct compute *c, size_t *casts)
{
    for (const struct value *value = c->index.values; value; value = value->next) {
        if (!is_single(c, value))
            continue;
        if (!name_value(c, value))
            return false;
        casts[value->scope->number] += needs_cast(c, value);
    }
    return true;
}

bool compute_rewrite(struct compute *c)
{
    size_t *casts = arena_array(c->index.arena, c->index.scope_count + 1, sizeof *casts);
    if (!casts)
        return error_memory(c->err);
    note_uses(c);
    note_outputs(c);
    if (!rewrite_values(c, casts))
        return false;
    for (size_t i = 0; i < c->node_count; i++) {
        arena_extend(c->model->arena, GROWTH);
        rename_inputs(c, &c->nodes[i]);
        if (c->nodes[i].converts && !set_types(c, c->nodes[i].node))
            return c->err->status != STATUS_OK ? false : error_memory(c->err);
    }
    for (const struct value *value = c->index.values; value; value = value->next)
        if (is_single(c, value) && !halve_constant(c, value))
            return false;
    const struct value *next = c->index.values;
    for (size_t i = 0; i < c->entered; i++)
        if (!rewrite_graph(c, c->scopes[i], casts[i], &next))
            return false;
    return true;
}
