/* Operators on constants, as far as decoding a weight is made of them: by nibble and by
 * other tools. Each takes its inputs, and gives what onnx says it gives, in float32. Here
 * are their table and what they share. */
#include "compare/evaluate_operators.h"
#include "onnx/node.h"

#include <stdlib.h>
#include <string.h>

bool call_input(struct node_call *c, size_t index, struct array *out)
{
    return evaluate_input(c->e, c->scope, c->node, index, out);
}

bool call_has(const struct node_call *c, size_t index)
{
    return *node_input(c->node, index) != '\0';
}

bool call_make(struct node_call *c, struct array *out, const uint64_t *dims, size_t rank)
{
    return array_make(out, dims, rank, c->e->limit, c->e->err);
}

/* An axis, counted from the end where it is negative. */
bool call_axis(int64_t axis, size_t rank, size_t *out)
{
    if (axis < 0)
        axis += (int64_t)rank;
    *out = (size_t)axis;
    return axis >= 0 && (size_t)axis < rank;
}

/* Integers of an attribute, or of an input where newer opsets have them. */
int64_t *call_ints(struct node_call *c, const char *name, size_t input, size_t *count)
{
    const Onnx__AttributeProto *attribute = node_attribute(c->node, name);
    if (!attribute)
        return call_has(c, input) ? evaluate_ints(c, input, count) : NULL;
    int64_t *ints = malloc((attribute->n_ints + 1) * sizeof *ints);
    *count = attribute->n_ints;
    if (ints && *count > 0)
        memcpy(ints, attribute->ints, *count * sizeof *ints);
    return ints;
}

/* ---- the table -------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* com.microsoft's, TensorRT's TRT_INT4DequantizeLinear, Quark's Extended... */
bool evaluate_is_decoder(const Onnx__NodeProto *node)
{
    return ends_with(or_empty(node->op_type), "DequantizeLinear");
}

/* The same for QuantizeLinear. DynamicQuantizeLinear takes no scale. */
static bool is_encoder(const Onnx__NodeProto *node)
{
    return ends_with(or_empty(node->op_type), "QuantizeLinear") && *node_input(node, 1);
}

evaluate_fn *evaluate_operator(const Onnx__NodeProto *node)
{
    static const struct {
        const char *type;
        evaluate_fn *fn;
    } table[] = {
        {"Add", evaluate_add},
        {"Cast", evaluate_cast},
        {"Concat", evaluate_concat},
        {"Div", evaluate_divide},
        {"Expand", evaluate_expand},
        {"Flatten", evaluate_flatten},
        {"Floor", evaluate_round_down},
        {"Gather", evaluate_gather},
        {"Identity", evaluate_identity},
        {"Mul", evaluate_multiply},
        {"Pad", evaluate_pad},
        {"Reshape", evaluate_reshape},
        {"Shape", evaluate_shape},
        {"Slice", evaluate_slice},
        {"Squeeze", evaluate_squeeze},
        {"Sub", evaluate_subtract},
        {"Transpose", evaluate_transpose},
        {"Unsqueeze", evaluate_unsqueeze},
    };
    const char *type = or_empty(node->op_type);
    if (evaluate_is_decoder(node))
        return evaluate_dequantize_linear;
    if (is_encoder(node))
        return evaluate_quantize_linear;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(type, table[i].type) == 0 && domain_is_standard(node->domain))
            return table[i].fn;
    return NULL;
}
