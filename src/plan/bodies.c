/* Following a value into bodies of Loop and Scan and into local functions. This ends: the
 * scan bounds how deep bodies are nested, and functions may not call themselves. */
#include "plan/bodies.h"
#include "onnx/node.h"

#include <string.h>

/* The state variables of Loop begin at input 2. Those of Scan begin at input 0. Behind
 * them come the inputs that Scan cuts into slices. */
static bool state_index(const Onnx__NodeProto *node, const Onnx__GraphProto *body,
                        size_t input, size_t *index, size_t *output)
{
    if (node_is(node, "Loop")) {
        *index = input;
        *output = input - 1; /* behind the condition */
        return input >= 2;
    }
    int64_t scans = node_int(node, "num_scan_inputs", 0);
    *index = *output = input;
    return scans >= 0 && body->n_input >= (size_t)scans &&
           input < body->n_input - (size_t)scans;
}

static struct scope *scope_of(const struct graph_index *index,
                              const Onnx__GraphProto *graph)
{
    for (struct scope *scope = index->scopes; scope; scope = scope->next)
        if (scope->graph == graph)
            return scope;
    return NULL;
}

/* Whether the body gives its input back as the same state, by its own name or through
 * Identity. */
static bool passes_on(const struct scope *scope, const char *input, const char *output)
{
    enum { RING_MAX = 100 }; /* a damaged file may have a ring of them */
    const struct value *value = map_get(&scope->values, output);
    for (int i = 0; i < RING_MAX && value && strcmp(value->name, input) != 0 &&
                    value->kind == VALUE_NODE && node_is(value->node, "Identity");
         i++)
        value = map_get(&scope->values, node_input(value->node, 0));
    return value && strcmp(value->name, input) == 0;
}

/* Whether a use only passes the value on. It says nothing about the layout. */
static bool is_passing(const struct use *use)
{
    return !use->node || node_is(use->node, "Identity");
}

static const struct use *skip_passing(const struct use *use)
{
    while (use && is_passing(use))
        use = use->next;
    return use;
}

static const struct use *loop_use(const struct graph_index *index, const struct use *use)
{
    const Onnx__AttributeProto *attribute = node_attribute(use->node, "body");
    const Onnx__GraphProto *body = attribute ? attribute->g : NULL;
    size_t input, output;
    if (!body || !state_index(use->node, body, use->input, &input, &output) ||
        input >= body->n_input || output >= body->n_output)
        return NULL;
    struct scope *scope = scope_of(index, body);
    const char *name = or_empty(body->input[input]->name);
    if (!scope || !passes_on(scope, name, or_empty(body->output[output]->name)))
        return NULL;
    /* The node's output is the weight again. Nobody may use it. */
    const char *after =
        node_output(use->node, node_is(use->node, "Loop") ? use->input - 2 : use->input);
    const struct value *result = *after ? scope_find(use->scope, after) : NULL;
    const struct value *value = map_get(&scope->values, name);
    return value && (!result || !result->uses) ? skip_passing(value->uses) : NULL;
}

/* Functions may differ in their overload alone. */
static bool is_call_of(const Onnx__NodeProto *node, const Onnx__FunctionProto *function)
{
    return name_is(or_empty(function->name), or_empty(node->op_type)) &&
           domain_same(function->domain, node->domain) &&
           strcmp(or_empty(function->overload), or_empty(node->overload)) == 0;
}

static const struct use *function_use(const struct graph_index *index,
                                      const struct use *use)
{
    for (struct scope *scope = index->function_count ? index->scopes : NULL; scope;
         scope = scope->next) {
        const Onnx__FunctionProto *function = scope->function;
        if (!function || !is_call_of(use->node, function) ||
            use->input >= function->n_input)
            continue;
        const struct value *value =
            map_get(&scope->values, or_empty(function->input[use->input]));
        /* An output of the function would be the weight itself. */
        for (const struct use *inner = value ? value->uses : NULL; inner;
             inner = inner->next)
            if (!inner->node)
                return NULL;
        return value ? value->uses : NULL;
    }
    return NULL;
}

const struct use *body_use(const struct graph_index *index, const struct use *use)
{
    if (node_is(use->node, "Loop") || node_is(use->node, "Scan"))
        return loop_use(index, use);
    return function_use(index, use);
}

const struct use *body_next(const struct use *use)
{
    return skip_passing(use->next);
}
