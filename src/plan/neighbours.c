/* Searching around an operator for QuantizeLinear and DequantizeLinear. ONNX Runtime
 * moves both past operators that only move values, and removes operators that do nothing.
 * One table for both directions says what they may pass. */
#include "plan/neighbours.h"
#include "onnx/node.h"
#include "onnx/tensor.h"

#include <string.h>

enum {
    NEIGHBOUR_STEPS = 64
}; /* the most nodes that are looked at for one operator; behind these there is doubt */

struct neighbour_search {
    const struct graph_index *index;
    unsigned left;
};

/* Operators that a quantized value may be moved past, by input 0, and operators that do
 * nothing in some models and are removed there. */
static const char *const moving_ops[] = {
    "Cast",    "Dropout", "Expand",  "Flatten",   "Identity",  "MaxPool", "Pad",
    "Reshape", "Slice",   "Squeeze", "Transpose", "Unsqueeze", NULL,
};

/* Operators that do nothing with certain constants, or add the bias of a MatMul. */
static const char *const arithmetic_ops[] = {"Add", "Div", "Mul", "Sub", NULL};

/* In any domain: com.microsoft has the same operators. */
static bool is_named(const Onnx__NodeProto *node, const char *op_type)
{
    return name_is(or_empty(node->op_type), op_type);
}

/* ONNX Runtime inlines functions before it joins anything. What is outside of the
 * function is not known here. */
static bool beyond(const struct neighbour_search *search, const struct scope *scope)
{
    return scope->function && search->index->quantizes;
}

/* The other input of arithmetic with a constant; NULL if neither input is constant. */
static struct value *beside_constant(const struct scope *scope,
                                     const Onnx__NodeProto *node)
{
    struct value *a = input_value(scope, node, 0), *b = input_value(scope, node, 1);
    if (b && value_constant(b))
        return a;
    return a && value_constant(a) ? b : NULL;
}

static bool comes_quantized(struct neighbour_search *search, const struct value *value)
{
    while (value && value->kind == VALUE_NODE && !value_constant(value)) {
        const struct scope *scope = value->scope;
        if (is_named(value->node, "DequantizeLinear") || search->left-- == 0)
            return true;
        if (node_is_one_of(value->node, moving_ops))
            value = input_value(scope, value->node, 0);
        else if (node_is_one_of(value->node, arithmetic_ops))
            value = beside_constant(scope, value->node);
        else
            return false;
    }
    if (!value)
        return false;
    if (value->kind == VALUE_INPUT)
        return beyond(search, value->scope);
    const Onnx__TensorProto *tensor = value_constant(value);
    return tensor && data_type_is_float(tensor->data_type); /* a second weight */
}

static bool goes_quantized(struct neighbour_search *search, const struct scope *scope,
                           const Onnx__NodeProto *node)
{
    const char *name = node_output(node, 0);
    const struct value *value = *name ? scope_find(scope, name) : NULL;
    for (const struct use *use = value ? value->uses : NULL; use; use = use->next) {
        if (search->left-- == 0)
            return true;
        if (!use->node) {
            if (beyond(search, use->scope))
                return true;
            continue;
        }
        if (is_named(use->node, "QuantizeLinear") && use->input == 0)
            return true;
        bool bias = node_is_one_of(use->node, arithmetic_ops) &&
                    beside_constant(use->scope, use->node);
        bool moved = use->input == 0 && node_is_one_of(use->node, moving_ops);
        bool clipped = node_is(use->node, "Relu") || node_is(use->node, "Clip");
        if ((bias || moved || clipped) && goes_quantized(search, use->scope, use->node))
            return true;
    }
    return false;
}

/* ---- activations in int8 --------------------------------------------- */

static bool is_int8(const struct value *value, const char *op_type)
{
    if (value->kind != VALUE_NODE || !node_is(value->node, op_type))
        return false;
    const struct value *zero = input_value(value->scope, value->node, 2);
    const Onnx__TensorProto *tensor = zero ? value_constant(zero) : NULL;
    return tensor && tensor->data_type == DATA_INT8;
}

/* Whether all uses of the node's first output are of one operator; or any of them is. */
static bool goes_to(const struct scope *scope, const Onnx__NodeProto *node,
                    const char *op_type, bool all)
{
    const char *name = node_output(node, 0);
    const struct value *value = *name ? scope_find(scope, name) : NULL;
    bool found = all && value && value->uses;
    for (const struct use *use = value ? value->uses : NULL; use; use = use->next) {
        bool is = use->node && node_is(use->node, op_type);
        found = all ? found && is : found || is;
    }
    return found;
}

/* ONNX Runtime puts a Reshape around MatMul and Add, and moves DequantizeLinear past. */
static bool is_moved_past(const struct use *use)
{
    if (!use->node || use->input != 0)
        return false;
    if (node_is(use->node, "MatMul"))
        return goes_to(use->scope, use->node, "Add", false);
    return node_is_one_of(use->node, moving_ops) &&
           !goes_to(use->scope, use->node, "QuantizeLinear", true);
}

static bool is_moved_before(const struct value *quantized)
{
    const struct value *from = input_value(quantized->scope, quantized->node, 0);
    if (!from || from->kind != VALUE_NODE)
        return false;
    const struct value *before = input_value(from->scope, from->node, 0);
    bool made = before && before->kind == VALUE_NODE;
    if (node_is(from->node, "Add"))
        return made && node_is(before->node, "MatMul");
    return node_is_one_of(from->node, moving_ops) &&
           !(made && node_is(before->node, "DequantizeLinear"));
}

bool neighbours_move_int8(const struct graph_index *index)
{
    if (!index->quantizes)
        return false;
    for (const struct value *value = index->values; value; value = value->next) {
        if (is_int8(value, "QuantizeLinear") && is_moved_before(value))
            return true;
        bool codes = is_int8(value, "DequantizeLinear");
        for (const struct use *use = codes ? value->uses : NULL; use; use = use->next)
            if (is_moved_past(use))
                return true;
    }
    return false;
}

/* ---- weights ---------------------------------------------------------- */

/* The operators that ONNX Runtime has integer operators for: QLinearMatMul and
 * MatMulIntegerToFloat, QGemm, QLinearConv. It prepares ConvTranspose for one, too. */
static const struct joined {
    const char *op_type;
    size_t weight, other; /* inputs */
    enum integer integer;
} joined[] = {
    {"MatMul", 1, 0, INTEGER_CHANNELS}, {"MatMul", 0, 1, INTEGER_TENSOR},
    {"Gemm", 1, 0, INTEGER_CHANNELS},   {"Gemm", 0, 1, INTEGER_TENSOR},
    {"Conv", 1, 0, INTEGER_CENTRED},    {"ConvTranspose", 1, 0, INTEGER_CENTRED},
};

enum integer neighbours_integer(const struct graph_index *index, const struct use *use,
                                size_t rank)
{
    struct neighbour_search search = {.index = index, .left = NEIGHBOUR_STEPS};
    for (size_t i = 0; i < sizeof joined / sizeof *joined; i++) {
        const struct joined *row = &joined[i];
        if (row->weight != use->input || !node_is(use->node, row->op_type))
            continue;
        const struct value *other = input_value(use->scope, use->node, row->other);
        bool quantized =
            comes_quantized(&search, other) ||
            (index->quantizes && goes_quantized(&search, use->scope, use->node));
        if (!quantized)
            return INTEGER_NONE;
        bool stack = rank > 2 && node_is(use->node, "MatMul");
        return stack ? INTEGER_TENSOR : row->integer; /* each matrix has channels */
    }
    return INTEGER_NONE;
}
