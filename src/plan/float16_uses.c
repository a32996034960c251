/* Which uses of a constant allow float16. Learned parameters survive it, and a table says
 * which inputs of which operators take such. Constants that nobody has trained must not
 * change at all: positions, phases and coordinates are often subtracted from each other,
 * or multiplied by large numbers. So this also follows the numbers behind operators that
 * add and multiply. */
#include "plan/float16_uses.h"
#include "onnx/node.h"
#include "onnx/tensor.h"

/* ---- what takes parameters ------------------------------------------------ */

enum { ALL = 0xff };

/* Inputs that take learned parameters, as a mask. `divides`: those where small values
 * matter as much as large ones. `mixes`: it adds or multiplies numbers of any kind, so
 * what comes after it must be looked at. */
static const struct parameter_operator {
    const char *op_type;
    unsigned inputs, divides;
    bool mixes;
} operators[] = {
    {"Add", ALL, 0, true},
    {"Sub", ALL, 0, true},
    {"Mul", ALL, 0, true},
    {"Div", ALL, 1 << 1, true},
    {"MatMul", ALL, 0, true},
    {"Einsum", ALL, 0, true},
    {"Where", 1 << 1 | 1 << 2, 0, true},
    {"Gemm", ALL, 0, false},
    {"Conv", ALL, 0, false},
    {"ConvTranspose", ALL, 0, false},
    {"DeformConv", 1 << 1 | 1 << 3, 0, false},
    {"Gather", 1 << 0, 0, true},
    {"GatherND", 1 << 0, 0, true},
    {"GatherElements", 1 << 0, 0, true},
    {"PRelu", 1 << 1, 0, false},
    {"LSTM", 1 << 1 | 1 << 2 | 1 << 3 | 1 << 7, 0, false},
    {"GRU", 1 << 1 | 1 << 2 | 1 << 3, 0, false},
    {"RNN", 1 << 1 | 1 << 2 | 1 << 3, 0, false},
    {"BatchNormalization", ALL, 0, false},
    {"InstanceNormalization", ALL, 0, false},
    {"GroupNormalization", ALL, 0, false},
    {"LayerNormalization", ALL, 0, false},
    {"RMSNormalization", ALL, 0, false},
    {"SimplifiedLayerNormalization", ALL, 0, false},
    {"SkipLayerNormalization", ALL, 0, false},
    {"SkipSimplifiedLayerNormalization", ALL, 0, false},
    {"EmbedLayerNormalization", ALL & ~3u, 0, false},
    {"Attention", 1 << 1 | 1 << 2, 0, false},
    {"MultiHeadAttention", 1 << 3, 0, false},
    {"BiasGelu", 1 << 1, 0, false},
    {"FastGelu", 1 << 1, 0, false},
    {"BiasAdd", 1 << 1, 0, false},
    {"BiasSplitGelu", 1 << 1, 0, false},
    {"FusedMatMul", ALL, 0, false},
    {"FusedGemm", ALL, 0, false},
    {"FusedConv", ALL, 0, false},
    {"NhwcConv", ALL, 0, false},
    {"NhwcFusedConv", ALL, 0, false},
    {"MatMulNBits", 1 << 5, 0, false},
};

static bool is_known_domain(const char *domain)
{
    return domain_is_standard(domain) || name_is(domain, "com.microsoft");
}

static const struct parameter_operator *find_operator(const Onnx__NodeProto *node)
{
    if (!is_known_domain(or_empty(node->domain)))
        return NULL;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (name_is(or_empty(node->op_type), operators[i].op_type))
            return &operators[i];
    return NULL;
}

static bool is_in_mask(unsigned mask, size_t input)
{
    return input < 8 && (mask >> input & 1);
}

/* Operators that only move values. Input 0 is the one that moves; Concat moves all. */
static bool only_moves(const struct use *use)
{
    static const char *const names[] = {"Identity", "Reshape",   "Flatten", "Squeeze",
                                        "Slice",    "Transpose", "Split",   "Unsqueeze",
                                        "Tile",     "Expand",    NULL};
    return node_is(use->node, "Concat") ||
           (use->input == 0 && node_is_one_of(use->node, names));
}

/* ---- phases and places ------------------------------------------------------ */

enum {
    NODES_MAX = 128, /* the most nodes that are looked at for one constant */
    DEPTH_MAX = 10   /* and how far behind it */
};

/* One constant that is looked at. */
struct search {
    struct arena *arena; /* for reasons */
    int left;            /* nodes that may still be looked at */
    bool divides;        /* something divides by it */
};

/* Whether the node makes angles, indices or places of its input. A small relative error
 * of large numbers ruins those. */
static bool is_delicate(const struct use *use)
{
    static const char *const names[] = {
        "Sin",  "Cos",    "Tan",        "Floor",    "Ceil",   "Round",
        "Mod",  "Range",  "GridSample", "RoiAlign", "Resize", "NonMaxSuppression",
        "TopK", "OneHot", "CumSum",     NULL};
    if (node_is(use->node, "Cast"))
        return !data_type_is_float((int)node_int(use->node, "to", DATA_FLOAT));
    if (node_is(use->node, "Gather"))
        return use->input > 0;
    return node_is_one_of(use->node, names);
}

/* Whether numbers go through the node as they would through a formula. A product with
 * learned weights begins a new layer. */
static bool is_formula(const struct use *use)
{
    static const char *const names[] = {"Neg", "Cast", "Add", "Sub", "Mul", "Div", NULL};
    if (only_moves(use) || node_is_one_of(use->node, names))
        return true;
    if (!node_is(use->node, "MatMul") && !node_is(use->node, "Einsum"))
        return false;
    const struct value *other = input_value(use->scope, use->node, 1 - use->input);
    return other && !value_constant(other);
}

static bool leads_to_delicate(struct search *s, const struct value *value, int depth)
{
    for (const struct use *use = value ? value->uses : NULL; use; use = use->next) {
        if (!use->node || depth == 0 || s->left-- <= 0)
            continue;
        if (is_delicate(use))
            return true;
        if (is_formula(use) &&
            leads_to_delicate(s, output_value(use->scope, use->node, 0), depth - 1))
            return true;
    }
    return false;
}

/* ---- the answer ------------------------------------------------------------- */

static const char *reason_of_uses(struct search *s, const struct value *value);

static const char *reason_of_use(struct search *s, const struct use *use)
{
    const struct parameter_operator *row = find_operator(use->node);
    if (only_moves(use)) {
        for (size_t i = 0; i < use->node->n_output; i++) {
            const struct value *output = output_value(use->scope, use->node, i);
            const char *reason = output ? reason_of_uses(s, output) : NULL;
            if (reason)
                return reason;
        }
        return NULL;
    }
    if (!row || !is_in_mask(row->inputs, use->input))
        return arena_printf(s->arena, "%s may not take it from a Cast",
                            or_empty(use->node->op_type));
    s->divides |= is_in_mask(row->divides, use->input);
    if (row->mixes &&
        leads_to_delicate(s, output_value(use->scope, use->node, 0), DEPTH_MAX))
        return "positions or phases are computed from it";
    return NULL;
}

static const char *reason_of_uses(struct search *s, const struct value *value)
{
    const char *reason = NULL;
    for (const struct use *use = value->uses; use && !reason; use = use->next) {
        if (s->left-- <= 0)
            return "too much is computed from it to look at";
        reason = use->node ? reason_of_use(s, use) : NULL;
    }
    return reason;
}

const char *float16_uses_reason(struct arena *arena, const struct value *value,
                                bool *divides)
{
    struct search search = {.arena = arena, .left = NODES_MAX};
    const char *reason = reason_of_uses(&search, value);
    *divides = search.divides;
    return reason;
}
