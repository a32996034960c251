/* Looking around the Gather of a bank: what its indices are, and which operator
 * multiplies by the matrices. */
#include "plan/banks.h"
#include "onnx/node.h"
#include "onnx/tensor.h"

#include <string.h>

enum { BANK_STEPS = 8 }; /* the most nodes between Gather and MatMul */

/* ---- indices --------------------------------------------------------- */

/* The last of the integers of a tensor. False if there is none, or it is not known. */
static bool last_int(const Onnx__TensorProto *tensor, int64_t *last)
{
    if (!tensor || tensor->data_type != DATA_INT64 || tensor->n_dims > 1)
        return false;
    if (tensor->has_raw_data) {
        const struct payload *payload = tensor_payload(tensor);
        if (!payload->data || payload->size < sizeof *last)
            return false;
        memcpy(last, payload->data + payload->size - sizeof *last, sizeof *last);
        return true;
    }
    if (tensor->n_int64_data == 0)
        return false;
    *last = tensor->int64_data[tensor->n_int64_data - 1];
    return true;
}

/* Whether the node adds an axis of length 1 behind all others. */
static bool adds_last_axis(const struct value *value)
{
    const Onnx__AttributeProto *axes = node_attribute(value->node, "axes");
    const struct value *list = input_value(value->scope, value->node, 1);
    int64_t last;
    if (node_is(value->node, "Unsqueeze")) {
        if (axes)
            return axes->n_ints == 1 && axes->ints[0] == -1;
        return list && last_int(value_constant(list), &last) && last == -1;
    }
    return node_is(value->node, "Reshape") && list &&
           last_int(value_constant(list), &last) && last == 1;
}

bool bank_takes_rows(const struct use *use)
{
    const struct value *indices = input_value(use->scope, use->node, 1);
    const Onnx__TensorProto *tensor = indices ? value_constant(indices) : NULL;
    if (!indices || node_int(use->node, "batch_dims", 0) != 0)
        return false;
    if (tensor)
        return tensor->n_dims > 0 && tensor->dims[tensor->n_dims - 1] == 1;
    return indices->kind == VALUE_NODE && adds_last_axis(indices);
}

/* ---- matrices --------------------------------------------------------- */

/* Whether a Transpose swaps the last two axes, and keeps the others in their places. */
static bool swaps_last(const Onnx__NodeProto *node)
{
    const Onnx__AttributeProto *perm = node_attribute(node, "perm");
    size_t n = perm ? perm->n_ints : 0;
    return n >= 2 && perm->ints[n - 1] == (int64_t)n - 2 &&
           perm->ints[n - 2] == (int64_t)n - 1;
}

/* Whether Einsum sums over the last axis of its operand. If neither of the last two axes
 * is missing in the result, it counts as the last one. */
static bool einsum_sums_last(const struct use *use)
{
    const Onnx__AttributeProto *equation = node_attribute(use->node, "equation");
    const char *at = equation ? (const char *)equation->s.data : NULL, *end, *arrow;
    char letters[2] = {0};
    if (!at || !(arrow = memchr(at, '>', equation->s.len)))
        return true;
    end = at + equation->s.len;
    for (size_t operand = 0; at < arrow; at++) {
        operand += *at == ',';
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        if (operand == use->input && letter) {
            letters[0] = letters[1];
            letters[1] = *at;
        }
    }
    size_t length = (size_t)(end - arrow);
    return !letters[0] || memchr(arrow, letters[0], length) ||
           !memchr(arrow, letters[1], length);
}

/* Whether the operator behind the Gather sums over the last axis of the matrices. */
static bool sums_over_last(const struct use *use)
{
    bool swapped = false;
    for (int i = 0; i < BANK_STEPS && use && use->node; i++) {
        if (i > 0 && node_is(use->node, "MatMul"))
            return (use->input == 0) != swapped;
        if (node_is(use->node, "Einsum"))
            return einsum_sums_last(use) != swapped;
        if (i > 0 && node_is(use->node, "Transpose"))
            swapped ^= swaps_last(use->node);
        const struct value *value = output_value(use->scope, use->node, 0);
        use = value ? value->uses : NULL;
    }
    return true;
}

void bank_layout(const struct use *use, const int64_t *dims, size_t rank,
                 struct layout *layout)
{
    enum { DIVISOR = 32 }; /* blocks must be whole, since codes are gathered with them */
    bool last = sums_over_last(use);
    layout->reduction = last ? rank - 1 : rank - 2;
    layout->channel = last ? rank - 2 : rank - 1;
    layout->span = true;
    layout->cut = dims[layout->reduction] % DIVISOR == 0;
}
