/* Finding weights that are quantized already. The search begins at a constant and follows
 * operators that only move or convert values. It ends at an operator that takes codes,
 * scales or zero points, or at the Mul of codes and scales. */
#include "plan/already.h"
#include "onnx/node.h"
#include "onnx/tensor.h"
#include "plan/forms.h"

#include <string.h>

enum { ALREADY_STEPS = 256 }; /* the most nodes that are looked at for one constant */

/* Operators that take quantized tensors, in any domain. The masks say which inputs are
 * floats and which are codes. The other inputs are scales, zero points and biases. */
static const struct quantized_operator {
    const char *op_type;
    unsigned floats, codes;
} operators[] = {
    {"DequantizeLinear", 0, 1 << 0},
    {"QuantizeLinear", 1 << 0, 0},
    {"ConvInteger", 0, 1 << 0 | 1 << 1},
    {"DynamicQuantizeLSTM", 1 << 0 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7, 1 << 1 | 1 << 2},
    {"DynamicQuantizeMatMul", 1 << 0 | 1 << 4, 1 << 1},
    {"GatherBlockQuantized", 0, 1 << 0},
    {"MatMulBnb4", 1 << 0, 1 << 1},
    {"MatMulInteger", 0, 1 << 0 | 1 << 1},
    {"MatMulIntegerToFloat", 1 << 6, 1 << 0 | 1 << 1},
    {"MatMulNBits", 1 << 0 | 1 << 5, 1 << 1},
    {"QAttention", 1 << 2 | 1 << 5, 1 << 0 | 1 << 1},
    {"QEmbedLayerNormalization", 0, 1 << 2 | 1 << 3 | 1 << 4},
    {"QGemm", 0, 1 << 0 | 1 << 3},
    {"QLinearConv", 0, 1 << 0 | 1 << 3},
    {"QLinearMatMul", 0, 1 << 0 | 1 << 3},
    {"QMoE", 1 << 0 | 1 << 1, 1 << 2 | 1 << 5 | 1 << 8},
};

static const struct quantized_operator *find_operator(const Onnx__NodeProto *node)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (name_is(or_empty(node->op_type), operators[i].op_type))
            return &operators[i];
    return NULL;
}

static bool is_input_of(unsigned mask, size_t input)
{
    return input < 32 && (mask >> input & 1);
}

/* ---- moving on --------------------------------------------------------- */

/* Operators that pass input 0 on. Concat passes on all inputs. */
static bool passes_on(const Onnx__NodeProto *node, size_t input)
{
    static const char *const names[] = {
        "Cast",  "Expand", "Flatten", "Gather", "Identity",  "Pad",       "Reshape",
        "Slice", "Split",  "Squeeze", "Tile",   "Transpose", "Unsqueeze",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (node_is(node, names[i]))
            return input == 0;
    return node_is(node, "Concat");
}

/* The constant that a value comes from. Operators that only pass values on are looked
 * through, and so is Sub, which subtracts a zero point. *cast says whether a Cast was
 * among them. */
static const Onnx__TensorProto *origin(const struct value *value, bool *cast)
{
    *cast = false;
    for (int i = 0; value && i < ALREADY_STEPS; i++) {
        const Onnx__TensorProto *tensor = value_constant(value);
        if (tensor || value->kind != VALUE_NODE)
            return tensor;
        if (!passes_on(value->node, 0) && !node_is(value->node, "Sub"))
            return NULL;
        *cast |= node_is(value->node, "Cast");
        value = input_value(value->scope, value->node, 0);
    }
    return NULL;
}

static int code_bits(const Onnx__TensorProto *tensor)
{
    switch (tensor ? tensor->data_type : DATA_UNDEFINED) {
    case DATA_INT4:
    case DATA_UINT4:
        return 4;
    case DATA_INT8:
    case DATA_UINT8:
        return 8;
    default:
        return 0;
    }
}

/* ---- scales and zero points ----------------------------------------------- */

/* Whether the other operand is codes that have become floats. Then this operand is a zero
 * point of a Sub, or a scale of a Mul. */
static bool meets_codes(const struct use *use)
{
    bool cast;
    if (!node_is(use->node, "Mul") && !node_is(use->node, "Sub"))
        return false;
    return code_bits(origin(input_value(use->scope, use->node, 1 - use->input), &cast)) &&
           cast;
}

static bool leads_to_codes(const struct value *value, int *left)
{
    for (const struct use *use = value ? value->uses : NULL; use; use = use->next) {
        if (!use->node || (*left)-- <= 0)
            continue;
        const struct quantized_operator *row = find_operator(use->node);
        if (row && !is_input_of(row->floats | row->codes, use->input))
            return true;
        if (row)
            continue;
        if (use->input < 2 && meets_codes(use))
            return true;
        if (passes_on(use->node, use->input) &&
            leads_to_codes(output_value(use->scope, use->node, 0), left))
            return true;
    }
    return false;
}

bool already_is_parameter(const struct value *value)
{
    int left = ALREADY_STEPS;
    return leads_to_codes(value, &left);
}

/* ---- codes -------------------------------------------------------------- */

struct trail {
    int left;
    bool cast, gathered, halves; /* what the trail has met: a Cast, a Gather, a step that
                                    separates nibbles */
    const char *form;
    const Onnx__NodeProto *reader; /* the operator that takes the codes */
};

static bool goes_to(const struct value *value, const char *op_type)
{
    for (const struct use *use = value ? value->uses : NULL; use; use = use->next)
        if (use->node && node_is(use->node, op_type))
            return true;
    return false;
}

static bool follow_codes(const struct value *value, struct trail *trail);

/* Whether a Mul multiplies codes by scales. Otherwise it may be the first step that
 * separates nibbles. */
static bool ends_in_scales(const struct use *use, struct trail *trail)
{
    bool cast;
    const Onnx__TensorProto *scales =
        origin(input_value(use->scope, use->node, 1 - use->input), &cast);
    if (!scales || !data_type_is_float(scales->data_type))
        return false;
    if (!goes_to(output_value(use->scope, use->node, 0), "Floor"))
        return true;
    trail->halves = true;
    return false;
}

static bool follow_use(const struct use *use, struct trail *trail)
{
    const struct quantized_operator *row = find_operator(use->node);
    if (row) {
        trail->reader = use->node;
        return is_input_of(row->codes, use->input);
    }
    if (trail->cast && node_is(use->node, "Mul"))
        return use->input < 2 && ends_in_scales(use, trail);
    bool zeroed = trail->cast && node_is(use->node, "Sub") && use->input == 0;
    if (!zeroed && !passes_on(use->node, use->input))
        return false;
    trail->cast |= node_is(use->node, "Cast");
    trail->gathered |= node_is(use->node, "Gather");
    return follow_codes(output_value(use->scope, use->node, 0), trail);
}

static bool follow_codes(const struct value *value, struct trail *trail)
{
    bool found = false;
    for (const struct use *use = value ? value->uses : NULL; use && !found;
         use = use->next)
        if (use->node && trail->left-- > 0)
            found = follow_use(use, trail);
    return found;
}

bool already_is_codes(const struct value *value, int *bits, const char **form)
{
    struct trail trail = {.left = ALREADY_STEPS};
    const Onnx__TensorProto *tensor = value_constant(value);
    *bits = code_bits(tensor);
    if (*bits == 0 || tensor->n_dims < 2 || !follow_codes(value, &trail))
        return false;
    if (trail.reader) { /* some operators hold 4-bit codes in bytes, and an attribute says
                           so */
        bool experts = name_is(or_empty(trail.reader->op_type), "QMoE");
        *bits = (int)node_int(trail.reader, experts ? "expert_weight_bits" : "bits",
                              experts ? 4 : *bits);
        *form = trail.reader->op_type;
        return true;
    }
    *form = form_info(trail.gathered ? FORM_ROWS
                      : trail.halves ? FORM_PORTABLE
                                     : FORM_LOAD)
                ->name;
    *bits = trail.halves ? 4 : *bits;
    return true;
}
