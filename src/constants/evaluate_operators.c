/* The table of operators on constants, and what they share. Each gives what ONNX says,
 * rounded once to the type of the result. */
#include "constants/evaluate_operators.h"
#include "core/sizes.h"
#include "onnx/node.h"

#include <stdlib.h>
#include <string.h>

bool call_has(const struct node_call *c, size_t index)
{
    return *node_input(c->node, index) != '\0';
}

bool call_input(struct node_call *c, size_t index, struct constant *out)
{
    const struct value *value = input_value(c->scope, c->node, index);
    *out = (struct constant){0};
    return value && evaluate(c->e, value, out);
}

bool call_array(struct node_call *c, size_t index, struct array *out)
{
    return evaluate_input(c->e, c->scope, c->node, index, out);
}

bool call_make(struct node_call *c, struct constant *out, int data_type,
               const uint64_t *dims, size_t rank)
{
    return constant_shape(out, data_type, dims, rank, c->e->limit) &&
           (c->e->dry || constant_make(out, c->e->stores, c->e->err));
}

bool call_give(struct node_call *c, struct constant *out, int data_type,
               struct array *array)
{
    double values[EVALUATE_STEP];
    bool ok = call_make(c, out, data_type, array->dims, array->rank);
    uint64_t count = ok && !c->e->dry ? array->count : 0;
    for (uint64_t at = 0; at < count; at += EVALUATE_STEP) {
        size_t n = count - at < EVALUATE_STEP ? (size_t)(count - at) : EVALUATE_STEP;
        for (size_t i = 0; i < n; i++)
            values[i] = (double)array->values[at + i];
        constant_store(data_type, values, n,
                       call_bytes(out) + at * constant_width(data_type));
    }
    array_free(array);
    return ok;
}

bool call_axis(int64_t axis, size_t rank, size_t *out)
{
    if (axis < 0)
        axis += (int64_t)rank;
    *out = (size_t)axis;
    return axis >= 0 && (size_t)axis < rank;
}

/* ---- integers ------------------------------------------------------- */

static int64_t *make_ints(size_t count, struct error *err)
{
    int64_t *ints = malloc((count + 1) * sizeof *ints);
    if (!ints)
        error_memory(err);
    return ints;
}

static int64_t *copy_ints(const int64_t *from, size_t count, struct error *err)
{
    int64_t *ints = make_ints(count, err);
    if (ints && count > 0)
        memcpy(ints, from, count * sizeof *ints);
    return ints;
}

/* Integers that the model computes. There are few of them. */
static int64_t *computed_ints(struct evaluator *e, const struct value *value,
                              size_t *count)
{
    enum { INTS_MAX = 1 << 20 };
    struct constant made;
    bool dry = e->dry;
    int64_t *ints = NULL;
    if (!evaluate_shape_of(e, value, &made) || constant_elements(&made) > INTS_MAX ||
        data_type_is_float(made.data_type))
        return NULL;
    e->dry = false;
    if (evaluate(e, value, &made)) {
        *count = (size_t)constant_elements(&made);
        ints = make_ints(*count, e->err);
        for (size_t i = 0; ints && i < *count; i++) {
            double one;
            constant_load(&made, i, 1, &one);
            constant_store(DATA_INT64, &one, 1, (uint8_t *)&ints[i]);
        }
        constant_free(&made);
    }
    e->dry = dry;
    return ints;
}

int64_t *call_input_ints(struct node_call *c, size_t input, size_t *count)
{
    struct value *value = input_value(c->scope, c->node, input);
    const Onnx__TensorProto *tensor =
        value && evaluate_is_fixed(c->e, value) ? value_constant(value) : NULL;
    uint64_t exact;
    *count = 0;
    /* A double holds no large integers. They are read as they are if that can be. */
    if (tensor && (tensor->data_type == DATA_INT64 || tensor->data_type == DATA_INT32)) {
        const int64_t *ints = tensor_ints(c->e->model, tensor, &exact, c->e->err);
        *count = ints ? (size_t)exact : 0;
        return ints ? copy_ints(ints, *count, c->e->err) : NULL;
    }
    return value ? computed_ints(c->e, value, count) : NULL;
}

int64_t *call_ints(struct node_call *c, const char *name, size_t input, size_t *count)
{
    const Onnx__AttributeProto *attribute = node_attribute(c->node, name);
    *count = 0;
    if (!attribute)
        return call_has(c, input) ? call_input_ints(c, input, count) : NULL;
    if (attribute->ref_attr_name)
        return NULL;
    *count = attribute->n_ints;
    return copy_ints(attribute->ints, *count, c->e->err);
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

struct evaluate_row {
    const char *type;
    evaluate_fn *fn;
};

static int by_type(const void *type, const void *row)
{
    return strcmp(type, ((const struct evaluate_row *)row)->type);
}

evaluate_fn *evaluate_operator(const Onnx__NodeProto *node)
{
    static const struct evaluate_row table[] = {
        /* in the order of strcmp */
        {"Abs", evaluate_unary},
        {"Add", evaluate_binary},
        {"Cast", evaluate_cast},
        {"CastLike", evaluate_cast_like},
        {"Ceil", evaluate_unary},
        {"Clip", evaluate_clip},
        {"Concat", evaluate_concat},
        {"Constant", evaluate_constant},
        {"ConstantOfShape", evaluate_constant_of_shape},
        {"Div", evaluate_binary},
        {"Exp", evaluate_unary},
        {"Expand", evaluate_expand},
        {"Flatten", evaluate_flatten},
        {"Floor", evaluate_unary},
        {"Gather", evaluate_gather},
        {"Gemm", evaluate_gemm},
        {"Identity", evaluate_identity},
        {"Log", evaluate_unary},
        {"LpNormalization", evaluate_lp_normalization},
        {"MatMul", evaluate_matmul},
        {"Max", evaluate_binary},
        {"Min", evaluate_binary},
        {"Mul", evaluate_binary},
        {"Neg", evaluate_unary},
        {"Pad", evaluate_pad},
        {"Pow", evaluate_binary},
        {"Reciprocal", evaluate_unary},
        {"ReduceL1", evaluate_reduce},
        {"ReduceL2", evaluate_reduce},
        {"ReduceMax", evaluate_reduce},
        {"ReduceMean", evaluate_reduce},
        {"ReduceMin", evaluate_reduce},
        {"ReduceProd", evaluate_reduce},
        {"ReduceSum", evaluate_reduce},
        {"ReduceSumSquare", evaluate_reduce},
        {"Relu", evaluate_unary},
        {"Reshape", evaluate_reshape},
        {"Round", evaluate_unary},
        {"Shape", evaluate_shape},
        {"Sigmoid", evaluate_unary},
        {"Sign", evaluate_unary},
        {"Size", evaluate_size},
        {"Slice", evaluate_slice},
        {"Softplus", evaluate_unary},
        {"Split", evaluate_split},
        {"Sqrt", evaluate_unary},
        {"Squeeze", evaluate_squeeze},
        {"Sub", evaluate_binary},
        {"Sum", evaluate_binary},
        {"Tanh", evaluate_unary},
        {"Tile", evaluate_tile},
        {"Transpose", evaluate_transpose},
        {"Unsqueeze", evaluate_unsqueeze},
        {"Where", evaluate_where},
    };
    const char *type = or_empty(node->op_type);
    if (evaluate_is_decoder(node))
        return evaluate_dequantize_linear;
    if (is_encoder(node))
        return evaluate_quantize_linear;
    if (!domain_is_standard(node->domain))
        return NULL;
    const struct evaluate_row *row =
        bsearch(type, table, COUNT_OF(table), sizeof *table, by_type);
    return row ? row->fn : NULL;
}
