/* Which nodes compute in float16. One pass backwards finds values that positions are made
 * from. One pass forwards follows values that may leave the range of float16, until an
 * operator bounds them. */
#include "compute/compute_graph.h"

/* What is to be seen at the inputs of a node. */
struct inputs {
    size_t single; /* inputs of float32 that may become float16 */
    bool blocked;  /* some type is unknown, or another float type */
    bool plain;    /* some is neither constant nor wide */
    bool wide, huge;
    bool coarse, noisy, beyond; /* constants */
};

static bool is_constant(const struct value *value)
{
    return value->kind == VALUE_INITIALIZER ||
           (value->kind == VALUE_NODE && node_is(value->node, "Constant"));
}

/* ---- backwards ----------------------------------------------------------------- */

static bool makes_place(const struct compute *c, const struct node_state *n)
{
    for (size_t i = 0; i < n->node->n_output; i++) {
        const struct value *value = output_value(n->scope, n->node, i);
        if (value && state_of(c, value)->place)
            return true;
    }
    return false;
}

static void find_places(struct compute *c)
{
    for (size_t at = c->node_count; at-- > 0;) {
        const struct node_state *n = &c->nodes[at];
        bool follows = n->row && n->row->kind == COMPUTE_FOLLOWS && makes_place(c, n);
        for (size_t i = 0; i < n->node->n_input; i++) {
            const struct value *value = input_value(n->scope, n->node, i);
            if (value && (follows || compute_is_place(n->node, i)))
                state_of(c, value)->place = true;
        }
    }
}

/* ---- forwards ---------------------------------------------------------------------- */

static bool look_at_constant(struct compute *c, const struct node_state *n, size_t i,
                             const struct value *value, struct inputs *in)
{
    enum range range;
    if (!compute_range(c, value, &range))
        return false;
    bool limit = range == RANGE_BEYOND && compute_in_mask(n->row->limits, i);
    in->coarse |= range == RANGE_COARSE;
    in->noisy |= range == RANGE_NOISY;
    in->beyond |= range == RANGE_BEYOND && !limit;
    return true;
}

static bool look_at_inputs(struct compute *c, const struct node_state *n,
                           struct inputs *in)
{
    for (size_t i = 0; i < n->node->n_input; i++) {
        if (!*node_input(n->node, i) || compute_in_mask(n->row->stays, i))
            continue;
        const struct value *value = input_value(n->scope, n->node, i);
        const struct value_state *state = value ? state_of(c, value) : NULL;
        if (!state || state->element != DATA_FLOAT) {
            in->blocked |= !state || state->element == DATA_UNDEFINED ||
                           data_type_is_float(state->element);
            continue;
        }
        in->single++;
        in->wide |= state->wide;
        in->huge |= state->huge;
        in->plain |= !state->wide && !is_constant(value);
        if (!look_at_constant(c, n, i, value, in))
            return false;
    }
    return true;
}

/* x * x has twice the exponent of x. */
static bool is_square(const struct node_state *n)
{
    return node_is(n->node, "Mul") &&
           name_is(node_input(n->node, 0), node_input(n->node, 1));
}

/* Whether the node brings wide values back into range: something is divided by its own
 * size, or multiplied by the reciprocal, or a small part is added. */
static bool normalizes(const struct compute *c, const struct node_state *n,
                       const struct inputs *in)
{
    const struct value *by = input_value(n->scope, n->node, 1);
    if (node_is(n->node, "Div"))
        return by && state_of(c, by)->wide;
    return in->wide && in->plain &&
           (node_is(n->node, "Mul") || node_is(n->node, "Add") ||
            node_is(n->node, "Sub"));
}

static void mark_outputs(struct compute *c, const struct node_state *n, bool wide,
                         bool huge)
{
    for (size_t i = 0; i < n->node->n_output; i++) {
        const struct value *value = output_value(n->scope, n->node, i);
        if (!value || value->node != n->node)
            continue;
        struct value_state *state = state_of(c, value);
        state->wide = wide || huge;
        state->huge = huge;
        state->made_half = n->converts && state->element == DATA_FLOAT &&
                           compute_output_rule(n, i) != 'F' &&
                           !(compute_output_rule(n, i) == '?' && i > 0);
    }
}

/* Cast from integers makes positions, counts and masks. Those of other float types were
 * put there to compute in float32. */
static void decide_cast(struct compute *c, struct node_state *n)
{
    const struct value *input = input_value(n->scope, n->node, 0);
    const struct value *output = output_value(n->scope, n->node, 0);
    int from = input ? state_of(c, input)->element : DATA_UNDEFINED;
    bool small = from == DATA_BOOL || (from && data_type_bits(from) <= 8);
    bool wide = input && state_of(c, input)->wide,
         huge = input && state_of(c, input)->huge;
    if (!output || state_of(c, output)->element != DATA_FLOAT)
        return;
    n->converts = (from == DATA_FLOAT || small) && !wide && !state_of(c, output)->place;
    mark_outputs(c, n, wide || !(from == DATA_FLOAT || small), huge);
}

static bool decide_constant_of_shape(struct compute *c, struct node_state *n)
{
    const struct value *output = output_value(n->scope, n->node, 0);
    enum range range;
    if (!output || state_of(c, output)->element != DATA_FLOAT)
        return true;
    if (!compute_range(c, output, &range))
        return false;
    n->converts = range == RANGE_FITS && !state_of(c, output)->place;
    mark_outputs(c, n, range != RANGE_FITS, range == RANGE_BEYOND);
    return true;
}

/* Nodes of the table that stay float32. Codes that are no constants belong to quantized
 * activations, which stay as they are. In bodies, ONNX Runtime reads float16 scales
 * wrongly (plan/forms.c). Scatter adds up like a sum. */
static bool is_exception(const struct node_state *n)
{
    const struct value *codes = input_value(n->scope, n->node, 0);
    if (node_is(n->node, "DequantizeLinear"))
        return n->scope->parent || !(codes && value_constant(codes));
    return (node_is(n->node, "ScatterElements") || node_is(n->node, "ScatterND")) &&
           !node_string_is(n->node, "reduction", "none", "none");
}

static bool decide(struct compute *c, struct node_state *n)
{
    struct inputs in = {0};
    if (node_is(n->node, "Cast")) {
        decide_cast(c, n);
        return true;
    }
    if (node_is(n->node, "ConstantOfShape"))
        return decide_constant_of_shape(c, n);
    if (!n->row)
        return true;
    if (!look_at_inputs(c, n, &in))
        return false;
    bool products = n->row->kind == COMPUTE_PRODUCTS;
    bool unfit = in.beyond || in.noisy || (in.coarse && !products);
    bool huge = in.huge || in.beyond, wide = in.wide || huge || unfit;
    n->converts = in.single > 0 && !in.blocked && !unfit && !in.wide && !is_exception(n);
    switch (n->row->kind) {
    case COMPUTE_WIDENS:
        n->converts = false;
        wide = true;
        break;
    case COMPUTE_FOLLOWS:
        n->converts = n->converts && !is_square(n) && !makes_place(c, n);
        wide = huge || ((wide || is_square(n)) && !normalizes(c, n, &in));
        break;
    case COMPUTE_BOUNDS:
        wide = huge = false;
        break;
    case COMPUTE_PRODUCTS:
        wide = huge;
        break;
    }
    mark_outputs(c, n, wide, huge);
    return true;
}

bool compute_choose(struct compute *c)
{
    find_places(c);
    for (size_t i = 0; i < c->node_count; i++)
        if (!decide(c, &c->nodes[i]))
            return false;
    return true;
}
