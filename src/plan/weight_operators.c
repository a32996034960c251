/* The table of operators that have weights. To add an operator, add a row. If a row can't
 * say everything, `adjust` does the rest. */
#include "plan/weight_operators.h"
#include "onnx/node.h"
#include "plan/banks.h"
#include "plan/bodies.h"
#include "plan/experts.h"

#include <string.h>

struct weight_operator {
    const char *domain, *op_type;
    size_t input; /* the input that may be a weight */
    size_t rank_min, rank_max;
    int channel, reduction; /* axes; negative numbers count from the end */
    enum consumer consumer;
    bool cut;
    const char *transposed; /* the attribute that swaps the two axes */
    /* Returns NULL, or why this weight stays float. */
    const char *(*adjust)(const struct use *use, const int64_t *dims, size_t rank,
                          struct layout *layout);
};

/* ---- what rows can't say -------------------------------------------- */

/* ONNX Runtime joins MatMul and Gemm with a Relu or Clip that follows. It does so before
 * it fuses codes, and then does not fuse them. */
static bool is_before_activation(const struct use *use)
{
    const struct value *value = scope_find(use->scope, node_output(use->node, 0));
    const struct use *only = value && value->use_count == 1 ? value->uses : NULL;
    const char *after;
    if (!only || !only->node ||
        !(node_is(only->node, "Relu") || node_is(only->node, "Clip")))
        return false;
    after = node_output(only->node, 0);
    value = *after ? scope_find(only->scope, after) : NULL;
    for (const struct use *next = value ? value->uses : NULL; next; next = next->next)
        if (!next->node)
            return false; /* an output of the graph is not joined */
    return true;
}

/* ONNX Runtime fuses weights of rank 2 only. */
static const char *adjust_matmul(const struct use *use, const int64_t *dims, size_t rank,
                                 struct layout *layout)
{
    (void)dims;
    layout->activated = is_before_activation(use);
    if (rank != 2)
        layout->consumer = CONSUMER_PLAIN;
    return NULL;
}

/* ONNX Runtime fuses a Gemm without bias, or with one constant number for each channel.
 * An input of a function may be constant once it is inlined, but its shape is not known
 * here. */
static bool has_plain_bias(const struct use *use, int64_t channels, struct layout *layout)
{
    const char *name = node_input(use->node, 2);
    const struct value *bias = *name ? scope_find(use->scope, name) : NULL;
    const Onnx__TensorProto *tensor = bias ? value_constant(bias) : NULL;
    if (!*name || (tensor && tensor->n_dims == 1 && tensor->dims[0] == channels))
        return true;
    layout->bias_unknown = bias && bias->kind == VALUE_INPUT && bias->scope->function;
    return layout->bias_unknown;
}

static const char *adjust_gemm(const struct use *use, const int64_t *dims, size_t rank,
                               struct layout *layout)
{
    const Onnx__NodeProto *node = use->node;
    (void)rank;
    bool scaled =
        node_float(node, "alpha", 1) != 1.0f || node_float(node, "beta", 1) != 1.0f;
    layout->activated = is_before_activation(use);
    if (scaled || node_int(node, "transA", 0) != 0 ||
        !has_plain_bias(use, dims[layout->channel], layout))
        layout->consumer = CONSUMER_PLAIN;
    return NULL;
}

/* In a depthwise ConvTranspose, [C, 1, ...], the channels are on axis 0. */
static const char *adjust_conv_transpose(const struct use *use, const int64_t *dims,
                                         size_t rank, struct layout *layout)
{
    (void)rank;
    if (node_int(use->node, "group", 1) == dims[0] && dims[0] > 1)
        *layout = (struct layout){.channel = 0, .reduction = 1};
    return NULL;
}

/* Rows of a matrix are looked up. A stack of matrices is a bank, of which whole matrices
 * are looked up. Otherwise the weight is decoded. */
static const char *adjust_gather(const struct use *use, const int64_t *dims, size_t rank,
                                 struct layout *layout)
{
    int64_t axis = node_int(use->node, "axis", 0);
    if (axis < 0)
        axis += (int64_t)rank;
    if (axis != 0)
        layout->consumer = CONSUMER_PLAIN;
    else if (rank > 2)
        bank_layout(use, dims, rank, layout);
    return NULL;
}

/* GatherND with one coordinate for each index is a Gather of axis 0. */
static const char *adjust_gather_nd(const struct use *use, const int64_t *dims,
                                    size_t rank, struct layout *layout)
{
    if (!bank_takes_rows(use))
        layout->consumer = CONSUMER_PLAIN;
    else if (rank > 2)
        bank_layout(use, dims, rank, layout);
    return NULL;
}

static const char *adjust_experts(const struct use *use, const int64_t *dims, size_t rank,
                                  struct layout *layout)
{
    (void)dims, (void)rank;
    experts_layout(use, layout);
    return NULL;
}

/* Whether all elements are along one axis. */
static bool is_vector(const int64_t *dims, size_t rank)
{
    size_t longer = 0;
    for (size_t i = 0; i < rank; i++)
        longer += dims[i] > 1;
    return longer < 2;
}

/* A learned table that is added to activations, or cut. Each of its rows has a scale. */
static const char *adjust_table(const struct use *use, const int64_t *dims, size_t rank,
                                struct layout *layout)
{
    (void)use;
    layout->no_weight = is_vector(dims, rank);
    if (layout->no_weight)
        return "biases and other vectors stay float";
    layout->span = true;
    layout->table = true;
    return NULL;
}

/* [directions, gates x hidden, input]: a channel is a row of one direction. */
static const char *adjust_recurrent(const struct use *use, const int64_t *dims,
                                    size_t rank, struct layout *layout)
{
    (void)use;
    (void)rank;
    layout->span = dims[0] > 1;
    return NULL;
}

/* Finds the axes by the letters of the operand. An axis that the output keeps is a
 * channel; an axis that it lacks is summed over. If the equation is unclear, the last two
 * axes stay. */
static const char *adjust_einsum(const struct use *use, const int64_t *dims, size_t rank,
                                 struct layout *layout)
{
    const Onnx__AttributeProto *equation = node_attribute(use->node, "equation");
    (void)dims;
    if (!equation || !equation->s.data || memchr(equation->s.data, '.', equation->s.len))
        return NULL;
    const char *at = (const char *)equation->s.data, *end = at + equation->s.len;
    const char *output = NULL;
    for (const char *p = at; p + 1 < end && !output; p++)
        if (p[0] == '-' && p[1] == '>')
            output = p + 2;
    if (!output)
        return NULL;
    size_t operand = 0, axis = 0;
    for (; at < output - 2 && operand <= use->input; at++) {
        operand += *at == ',';
        if (*at == ',' || *at == ' ' || operand != use->input)
            continue;
        bool kept = memchr(output, *at, (size_t)(end - output)) != NULL;
        if (axis < rank)
            *(kept ? &layout->channel : &layout->reduction) = axis;
        axis++;
    }
    if (layout->channel == layout->reduction)
        layout->reduction = layout->channel == 0 ? rank - 1 : 0;
    return NULL;
}

/* ---- the table ------------------------------------------------------ */

enum { RANK_ANY = 64 };
#define NCHWC "com.microsoft.nchwc"

static const struct weight_operator operators[] = {
    {STANDARD, "MatMul", 1, 2, RANK_ANY, -1, -2, CONSUMER_FUSED, true, NULL,
     adjust_matmul},
    {STANDARD, "MatMul", 0, 2, RANK_ANY, -2, -1, CONSUMER_PLAIN, true, NULL, NULL},
    {STANDARD, "Gemm", 1, 2, 2, 1, 0, CONSUMER_FUSED, true, "transB", adjust_gemm},
    {STANDARD, "Gemm", 0, 2, 2, 0, 1, CONSUMER_PLAIN, true, "transA", NULL},
    {STANDARD, "Conv", 1, 3, RANK_ANY, 0, 1, CONSUMER_PLAIN, false, NULL, NULL},
    {STANDARD, "ConvTranspose", 1, 3, RANK_ANY, 1, 0, CONSUMER_PLAIN, false, NULL,
     adjust_conv_transpose},
    {STANDARD, "DeformConv", 1, 3, RANK_ANY, 0, 1, CONSUMER_PLAIN, false, NULL, NULL},
    {STANDARD, "Gather", 0, 2, RANK_ANY, 0, -1, CONSUMER_LOOKUP, false, NULL,
     adjust_gather},
    {STANDARD, "GatherND", 0, 2, RANK_ANY, 0, -1, CONSUMER_LOOKUP, false, NULL,
     adjust_gather_nd},
    {STANDARD, "GatherElements", 0, 2, RANK_ANY, 0, -1, CONSUMER_PLAIN, false, NULL,
     adjust_table},
    {STANDARD, "Add", 0, 2, RANK_ANY, 0, -1, CONSUMER_PLAIN, false, NULL, adjust_table},
    {STANDARD, "Add", 1, 2, RANK_ANY, 0, -1, CONSUMER_PLAIN, false, NULL, adjust_table},
    {STANDARD, "Slice", 0, 2, RANK_ANY, 0, -1, CONSUMER_PLAIN, false, NULL, adjust_table},
    {STANDARD, "Expand", 0, 2, RANK_ANY, 0, -1, CONSUMER_PLAIN, false, NULL,
     adjust_table},
    {STANDARD, "LSTM", 1, 3, 3, 1, 2, CONSUMER_PLAIN, false, NULL, adjust_recurrent},
    {STANDARD, "LSTM", 2, 3, 3, 1, 2, CONSUMER_PLAIN, false, NULL, adjust_recurrent},
    {STANDARD, "GRU", 1, 3, 3, 1, 2, CONSUMER_PLAIN, false, NULL, adjust_recurrent},
    {STANDARD, "GRU", 2, 3, 3, 1, 2, CONSUMER_PLAIN, false, NULL, adjust_recurrent},
    {STANDARD, "RNN", 1, 3, 3, 1, 2, CONSUMER_PLAIN, false, NULL, adjust_recurrent},
    {STANDARD, "RNN", 2, 3, 3, 1, 2, CONSUMER_PLAIN, false, NULL, adjust_recurrent},
    {STANDARD, "Einsum", 0, 2, RANK_ANY, -1, -2, CONSUMER_PLAIN, false, NULL,
     adjust_einsum},
    {STANDARD, "Einsum", 1, 2, RANK_ANY, -1, -2, CONSUMER_PLAIN, false, NULL,
     adjust_einsum},
    {STANDARD, "Einsum", 2, 2, RANK_ANY, -1, -2, CONSUMER_PLAIN, false, NULL,
     adjust_einsum},
    {MICROSOFT, "FusedMatMul", 1, 2, RANK_ANY, -1, -2, CONSUMER_PLAIN, true, "transB",
     NULL},
    {MICROSOFT, "FusedMatMul", 0, 2, RANK_ANY, -2, -1, CONSUMER_PLAIN, true, "transA",
     NULL},
    {MICROSOFT, "FusedGemm", 1, 2, 2, 1, 0, CONSUMER_PLAIN, true, "transB", NULL},
    {MICROSOFT, "FusedConv", 1, 3, RANK_ANY, 0, 1, CONSUMER_PLAIN, false, NULL, NULL},
    {MICROSOFT, "NhwcConv", 1, 3, RANK_ANY, 0, -1, CONSUMER_PLAIN, false, NULL, NULL},
    {MICROSOFT, "NhwcFusedConv", 1, 3, RANK_ANY, 0, -1, CONSUMER_PLAIN, false, NULL,
     NULL},
    {NCHWC, "Conv", 1, 3, RANK_ANY, 0, 1, CONSUMER_PLAIN, false, NULL, NULL},
    {MICROSOFT, "Attention", 1, 2, 2, 1, 0, CONSUMER_PLAIN, true, NULL, NULL},
    {MICROSOFT, "MoE", 2, 3, 3, 1, 2, CONSUMER_EXPERTS, false, NULL, adjust_experts},
    {MICROSOFT, "MoE", 4, 3, 3, 1, 2, CONSUMER_EXPERTS, false, NULL, adjust_experts},
    {MICROSOFT, "MoE", 6, 3, 3, 1, 2, CONSUMER_EXPERTS, false, NULL, adjust_experts},
    {MICROSOFT, "EmbedLayerNormalization", 2, 2, 2, 0, 1, CONSUMER_PLAIN, false, NULL,
     NULL},
    {MICROSOFT, "EmbedLayerNormalization", 3, 2, 2, 0, 1, CONSUMER_PLAIN, false, NULL,
     NULL},
    {MICROSOFT, "EmbedLayerNormalization", 4, 2, 2, 0, 1, CONSUMER_PLAIN, false, NULL,
     NULL},
};

/* ---- look-up -------------------------------------------------------- */

static const struct weight_operator *find_operator(const struct use *use, bool *known)
{
    *known = false;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (!node_is_in(use->node, operators[i].domain, operators[i].op_type))
            continue;
        *known = true;
        if (operators[i].input == use->input)
            return &operators[i];
    }
    return NULL;
}

/* What large constants are that are no weights. */
static const char *other_role(const struct use *use)
{
    static const struct {
        const char *op_type, *domain;
        size_t first, last; /* inputs */
        const char *role;
    } roles[] = {
        {"LSTM", STANDARD, 3, 3, "biases of a recurrent layer stay float"},
        {"GRU", STANDARD, 3, 3, "biases of a recurrent layer stay float"},
        {"RNN", STANDARD, 3, 3, "biases of a recurrent layer stay float"},
        {"LSTM", STANDARD, 5, 6, "a state that a recurrent layer begins with"},
        {"GRU", STANDARD, 5, 5, "a state that a recurrent layer begins with"},
        {"RNN", STANDARD, 5, 5, "a state that a recurrent layer begins with"},
        {"MoE", MICROSOFT, 3, 7, "biases of experts stay float"},
        {"RotaryEmbedding", STANDARD, 1, 2, "sines or cosines of positions, not learned"},
        {"RotaryEmbedding", MICROSOFT, 2, 3,
         "sines or cosines of positions, not learned"},
        {"GroupQueryAttention", MICROSOFT, 7, 8,
         "sines or cosines of positions, not learned"},
    };
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (use->input >= roles[i].first && use->input <= roles[i].last &&
            node_is_in(use->node, roles[i].domain, roles[i].op_type))
            return roles[i].role;
    return NULL;
}

static size_t axis_of(int axis, size_t rank)
{
    return axis < 0 ? rank - (size_t)-axis : (size_t)axis;
}

static const char *say(const char *message)
{
    return message ? message : "out of memory";
}

/* A search for the operator that uses a weight in the end, through bodies. */
struct layout_search {
    struct arena *arena;
    const struct graph_index *index;
    unsigned depth; /* the number of bodies around it */
    unsigned left;  /* of uses that it may still look at */
};

enum { SEARCH_DEPTH = 32, SEARCH_USES = 10000 };

static const char *row_layout(struct layout_search *search,
                              const struct weight_operator *row, const struct use *use,
                              const int64_t *dims, size_t rank, struct layout *layout)
{
    if (rank < row->rank_min || rank > row->rank_max)
        return say(
            arena_printf(search->arena, "rank %zu does not suit %s", rank, row->op_type));
    *layout = (struct layout){.channel = axis_of(row->channel, rank),
                              .reduction = axis_of(row->reduction, rank),
                              .cut = row->cut,
                              .consumer = row->consumer};
    if (row->transposed && node_int(use->node, row->transposed, 0) != 0) {
        size_t channel = layout->channel;
        layout->channel = layout->reduction;
        layout->reduction = channel;
    }
    layout->integer = neighbours_integer(search->index, use, rank);
    return row->adjust ? row->adjust(use, dims, rank, layout) : NULL;
}

static const char *find_layout(struct layout_search *search, const struct use *use,
                               const int64_t *dims, size_t rank, struct layout *layout);

void layout_join(struct layout *layout, const struct layout *other)
{
    bool any = layout->integer || other->integer;
    if (layout->integer < other->integer)
        layout->integer = other->integer;
    if (any && layout->channel != other->channel)
        layout->integer = INTEGER_TENSOR;
}

/* All uses inside must allow quantizing. The first one gives the layout. */
static const char *inner_layout(struct layout_search *search, const struct use *inner,
                                const int64_t *dims, size_t rank, struct layout *layout)
{
    const char *reason = NULL;
    bool transposed = false;
    if (search->depth == SEARCH_DEPTH)
        return "it is handed on through too many functions and bodies";
    search->depth++;
    for (bool first = true; inner && !reason; inner = body_next(inner), first = false) {
        struct layout other = {0};
        reason = find_layout(search, inner, dims, rank, first ? layout : &other);
        transposed |= (first ? layout : &other)->transposed;
        if (!first)
            layout_join(layout, &other);
    }
    search->depth--;
    /* The weight is decoded outside of the body. */
    layout->consumer = CONSUMER_PLAIN;
    layout->transposed = transposed;
    return reason;
}

/* Finds the layout behind a Transpose inside a body, in the axes before the Transpose. */
static const char *transposed_layout(struct layout_search *search, const struct use *use,
                                     const int64_t *dims, size_t rank,
                                     struct layout *layout)
{
    const Onnx__AttributeProto *perm = node_attribute(use->node, "perm");
    const struct value *value = scope_find(use->scope, node_output(use->node, 0));
    int64_t transposed[RANK_ANY];
    size_t axes[RANK_ANY];
    if (rank > RANK_ANY || (perm && perm->n_ints != rank) || !value || !value->uses)
        return "a Transpose that makes no sense uses it";
    for (size_t i = 0; i < rank; i++) {
        int64_t axis = perm ? perm->ints[i] : (int64_t)(rank - 1 - i);
        if (axis < 0 || (uint64_t)axis >= rank)
            return "a Transpose that makes no sense uses it";
        axes[i] = (size_t)axis;
        transposed[i] = dims[axis];
    }
    const char *reason = inner_layout(search, value->uses, transposed, rank, layout);
    if (reason)
        return reason;
    layout->channel = axes[layout->channel];
    layout->reduction = axes[layout->reduction];
    layout->transposed = true;
    return NULL;
}

/* Whether a node does nothing but compute its outputs from its inputs. Bodies and
 * functions may do more with a weight. */
static bool only_computes(const Onnx__NodeProto *node)
{
    bool known = domain_is_standard(node->domain) ||
                 strcmp(or_empty(node->domain), MICROSOFT) == 0;
    return known && !node_is(node, "Loop") && !node_is(node, "Scan") &&
           !node_is(node, "SequenceMap");
}

static const char *find_layout(struct layout_search *search, const struct use *use,
                               const int64_t *dims, size_t rank, struct layout *layout)
{
    bool known;
    if (!use->node)
        return "it is an output of its graph";
    if (search->left-- == 0)
        return "it is handed to too many functions and bodies";
    const char *op_type = or_empty(use->node->op_type);
    const struct weight_operator *row = find_operator(use, &known);
    if (row)
        return row_layout(search, row, use, dims, rank, layout);
    const char *role = other_role(use);
    layout->no_weight = role != NULL;
    if (role)
        return role;
    if (known)
        return say(arena_printf(search->arena, "input %zu of %s is no weight", use->input,
                                op_type));
    if (search->depth > 0 && node_is(use->node, "Transpose"))
        return transposed_layout(search, use, dims, rank, layout);
    const struct use *inner = body_use(search->index, use);
    if (inner)
        return inner_layout(search, inner, dims, rank, layout);
    layout->foreign = search->depth == 0 && only_computes(use->node);
    return say(
        arena_printf(search->arena, "used by %s, which keeps float weights", op_type));
}

const char *operator_layout(struct arena *arena, const struct graph_index *index,
                            const struct use *use, const int64_t *dims, size_t rank,
                            struct layout *layout)
{
    struct layout_search search = {.arena = arena, .index = index, .left = SEARCH_USES};
    *layout = (struct layout){0};
    return find_layout(&search, use, dims, rank, layout);
}
