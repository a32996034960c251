/* Identity, Transpose, Reshape, Squeeze, Unsqueeze, Slice, Split, Concat and Cast of
 * constants, as any opset writes them: arguments are attributes or inputs. Nodes that
 * they don't understand stay as they are. */
#include "plan/constant_ops.h"
#include "onnx/node.h"

#include <string.h>

/* ---- arguments ------------------------------------------------------ */

struct ints {
    const int64_t *values;
    size_t count;
    bool present;
};

static struct value *input_value(const struct value *value, size_t index)
{
    const char *name = node_input(value->node, index);
    return *name ? scope_find(value->scope, name) : NULL;
}

static bool first_input(struct evaluation *evaluation, const struct value *value,
                        struct constant *constant)
{
    return constant_evaluate(evaluation, input_value(value, 0), constant);
}

static Onnx__TensorProto *constant_tensor(const struct value *value)
{
    if (!value || value->is_ambiguous || value->is_input)
        return NULL;
    return value_constant(value);
}

/* Reads a list of integers from the attribute of that name, or from a constant input.
 * False if it is there but not known. */
static bool get_ints(struct evaluation *evaluation, const struct value *value,
                     const char *name, size_t input, struct ints *ints)
{
    const Onnx__AttributeProto *attribute = node_attribute(value->node, name);
    *ints = (struct ints){0};
    if (attribute) {
        *ints = (struct ints){attribute->ints, attribute->n_ints, true};
        return attribute->ref_attr_name == NULL;
    }
    if (!*node_input(value->node, input))
        return true;
    Onnx__TensorProto *tensor = constant_tensor(input_value(value, input));
    uint64_t count;
    if (!tensor || (tensor->data_type != DATA_INT64 && tensor->data_type != DATA_INT32))
        return false;
    ints->values = tensor_ints(evaluation->model, tensor, &count, evaluation->err);
    ints->count = (size_t)count;
    ints->present = true;
    return ints->values != NULL;
}

static bool to_axis(int64_t axis, size_t rank, size_t *out)
{
    if (axis < 0)
        axis += (int64_t)rank;
    *out = (size_t)axis;
    return axis >= 0 && (size_t)axis < rank;
}

static size_t output_index(const struct value *value)
{
    size_t index = 0;
    while (strcmp(node_output(value->node, index), value->name) != 0)
        index++;
    return index;
}

/* ---- views ---------------------------------------------------------- */

static bool evaluate_transpose(struct evaluation *evaluation, struct value *value,
                               struct constant *constant)
{
    struct constant from;
    bool taken[CONSTANT_RANK_MAX] = {false};
    const Onnx__AttributeProto *perm = node_attribute(value->node, "perm");
    if (!first_input(evaluation, value, &from) || (perm && perm->n_ints != from.rank))
        return false;
    *constant = from;
    for (size_t i = 0; i < from.rank; i++) {
        size_t axis = from.rank - 1 - i;
        if (perm && (!to_axis(perm->ints[i], from.rank, &axis) || taken[axis]))
            return false;
        taken[axis] = true;
        constant->dims[i] = from.dims[axis];
        constant->strides[i] = from.strides[axis];
    }
    return true;
}

static bool evaluate_reshape(struct evaluation *evaluation, struct value *value,
                             struct constant *constant)
{
    struct ints shape;
    bool zero_is_zero = node_int(value->node, "allowzero", 0) != 0;
    if (!get_ints(evaluation, value, "shape", 1, &shape) || !shape.present ||
        shape.count > CONSTANT_RANK_MAX || !first_input(evaluation, value, constant) ||
        !constant_pack(evaluation, constant))
        return false;
    struct constant from = *constant;
    uint64_t elements = constant_elements(&from), known = 1;
    size_t open = SIZE_MAX;
    constant->rank = shape.count;
    for (size_t i = 0; i < shape.count; i++) {
        int64_t dim = shape.values[i];
        if (dim == 0 && !zero_is_zero && i < from.rank)
            dim = (int64_t)from.dims[i];
        if (dim == -1 && open == SIZE_MAX)
            open = i;
        else if (dim < 1 || (uint64_t)dim > elements || known > elements)
            return false;
        else
            known *= (uint64_t)dim;
        constant->dims[i] = dim < 0 ? 0 : (size_t)dim;
    }
    if (known == 0 || elements % known != 0 || (open == SIZE_MAX && known != elements))
        return false;
    if (open != SIZE_MAX)
        constant->dims[open] = (size_t)(elements / known);
    constant_set_strides(constant);
    return true;
}

/* Marks the axes of length 1 that Squeeze removes or Unsqueeze adds. False if the list is
 * wrong. */
static bool mark_axes(const struct ints *axes, size_t rank, bool *marked)
{
    memset(marked, 0, CONSTANT_RANK_MAX * sizeof *marked);
    for (size_t i = 0; i < axes->count; i++) {
        size_t axis;
        if (!to_axis(axes->values[i], rank, &axis) || marked[axis])
            return false;
        marked[axis] = true;
    }
    return true;
}

static bool evaluate_squeeze(struct evaluation *evaluation, struct value *value,
                             struct constant *constant)
{
    struct ints axes;
    struct constant from;
    bool marked[CONSTANT_RANK_MAX];
    if (!get_ints(evaluation, value, "axes", 1, &axes) ||
        !first_input(evaluation, value, &from) || !mark_axes(&axes, from.rank, marked))
        return false;
    *constant = from;
    constant->rank = 0;
    for (size_t i = 0; i < from.rank; i++) {
        if (axes.present ? marked[i] : from.dims[i] == 1) {
            if (from.dims[i] != 1)
                return false;
            continue;
        }
        constant->dims[constant->rank] = from.dims[i];
        constant->strides[constant->rank++] = from.strides[i];
    }
    return true;
}

static bool evaluate_unsqueeze(struct evaluation *evaluation, struct value *value,
                               struct constant *constant)
{
    struct ints axes;
    struct constant from;
    bool marked[CONSTANT_RANK_MAX];
    if (!get_ints(evaluation, value, "axes", 1, &axes) ||
        !first_input(evaluation, value, &from) ||
        axes.count > CONSTANT_RANK_MAX - from.rank ||
        !mark_axes(&axes, from.rank + axes.count, marked))
        return false;
    *constant = from;
    constant->rank = from.rank + axes.count;
    for (size_t i = 0, j = 0; i < constant->rank; i++) {
        constant->dims[i] = marked[i] ? 1 : from.dims[j];
        constant->strides[i] = marked[i] ? 0 : from.strides[j];
        j += !marked[i];
    }
    return true;
}

/* Takes a slice of one axis, with indices as numpy counts them. */
static bool slice_axis(struct constant *constant, size_t axis, int64_t start, int64_t end,
                       int64_t step)
{
    int64_t length = (int64_t)constant->dims[axis];
    if (step < 1) /* backwards: no model slices weights so */
        return false;
    step = step < length ? step : length; /* a longer step takes one element, too */
    start += start < 0 ? length : 0;
    end += end < 0 ? length : 0;
    start = start < 0 ? 0 : start > length ? length : start;
    end = end < start ? start : end > length ? length : end;
    constant->data += start * constant->strides[axis];
    constant->dims[axis] = (size_t)((end - start) / step + ((end - start) % step != 0));
    constant->strides[axis] *= step;
    return constant->dims[axis] > 0;
}

static bool evaluate_slice(struct evaluation *evaluation, struct value *value,
                           struct constant *constant)
{
    struct ints starts, ends, axes, steps;
    if (!get_ints(evaluation, value, "starts", 1, &starts) ||
        !get_ints(evaluation, value, "ends", 2, &ends) ||
        !get_ints(evaluation, value, "axes", 3, &axes) ||
        !get_ints(evaluation, value, "steps", 4, &steps) || starts.count != ends.count ||
        (axes.present && axes.count != starts.count) ||
        (steps.present && steps.count != starts.count) ||
        !first_input(evaluation, value, constant))
        return false;
    for (size_t i = 0; i < starts.count; i++) {
        size_t axis;
        if (!to_axis(axes.present ? axes.values[i] : (int64_t)i, constant->rank, &axis) ||
            starts.values[i] < INT64_MIN / 4 || ends.values[i] < INT64_MIN / 4 ||
            !slice_axis(constant, axis, starts.values[i], ends.values[i],
                        steps.present ? steps.values[i] : 1))
            return false;
    }
    return true;
}

static bool evaluate_split(struct evaluation *evaluation, struct value *value,
                           struct constant *constant)
{
    struct ints split;
    size_t axis, index = output_index(value), count = value->node->n_output;
    if (!get_ints(evaluation, value, "split", 1, &split) ||
        (split.present && split.count != count) ||
        !first_input(evaluation, value, constant) ||
        !to_axis(node_int(value->node, "axis", 0), constant->rank, &axis))
        return false;
    int64_t length = (int64_t)constant->dims[axis], sum = 0, start = 0, size;
    int64_t even = (length + (int64_t)count - 1) / (int64_t)count;
    for (size_t i = 0; split.present && i < count; i++) {
        if (split.values[i] < 0 || split.values[i] > length - sum)
            return false;
        start += i < index ? split.values[i] : 0;
        sum += split.values[i];
    }
    if (split.present && sum != length)
        return false;
    size = split.present ? split.values[index] : even;
    start = split.present ? start : even * (int64_t)index;
    return size > 0 && slice_axis(constant, axis, start, start + size, 1);
}

static bool evaluate_identity(struct evaluation *evaluation, struct value *value,
                              struct constant *constant)
{
    return first_input(evaluation, value, constant);
}

/* ---- operators that make values -------------------------------------- */

static bool join_dims(const struct constant *part, size_t axis, struct constant *whole)
{
    if (part->rank != whole->rank || part->data_type != whole->data_type)
        return false;
    for (size_t i = 0; i < part->rank; i++)
        if (i != axis && part->dims[i] != whole->dims[i])
            return false;
    whole->dims[axis] += part->dims[axis];
    return true;
}

static bool evaluate_concat(struct evaluation *evaluation, struct value *value,
                            struct constant *constant)
{
    size_t count = value->node->n_input, axis;
    struct constant *parts = arena_array(evaluation->model->arena, count, sizeof *parts);
    struct file *file;
    if (!parts)
        return error_memory(evaluation->err);
    for (size_t i = 0; i < count; i++)
        if (!constant_evaluate(evaluation, input_value(value, i), &parts[i]))
            return false;
    if (count == 0 || !to_axis(node_int(value->node, "axis", 0), parts[0].rank, &axis))
        return false;
    *constant = parts[0];
    for (size_t i = 1; i < count; i++)
        if (!join_dims(&parts[i], axis, constant))
            return false;
    constant_set_strides(constant);
    uint64_t size =
        constant_elements(constant) * (data_type_bits(constant->data_type) / 8);
    uint8_t *out = constant_room(evaluation, size, &file);
    if (!out)
        return false;
    constant->data = out;
    for (size_t i = 0; i < count; i++) {
        constant_copy(&parts[i], out, constant->strides, 0, parts[i].data);
        out += (ptrdiff_t)parts[i].dims[axis] * constant->strides[axis];
    }
    return true;
}

/* Only casts to float are folded. They lose nothing but what float can't hold. */
static bool evaluate_cast(struct evaluation *evaluation, struct value *value,
                          struct constant *constant)
{
    enum { LOADED = 4096 };
    struct file *file;
    if (node_int(value->node, "to", 0) != DATA_FLOAT ||
        !first_input(evaluation, value, constant) || !constant_pack(evaluation, constant))
        return false;
    if (constant->data_type == DATA_FLOAT)
        return true;
    enum real_type type = data_type_real(constant->data_type);
    uint64_t elements = constant_elements(constant);
    float *out = constant_room(evaluation, elements * sizeof *out, &file);
    if (!out)
        return false;
    for (uint64_t at = 0; at < elements; at += LOADED) {
        size_t n = elements - at < LOADED ? (size_t)(elements - at) : LOADED;
        real_load(type, constant->data + at * real_size(type), n, out + at);
    }
    constant->data = (const uint8_t *)out;
    constant->data_type = DATA_FLOAT;
    constant_set_strides(constant);
    return true;
}

/* ---- the table ------------------------------------------------------ */

static const struct constant_op constant_ops[] = {
    {"Identity", evaluate_identity},   {"Transpose", evaluate_transpose},
    {"Reshape", evaluate_reshape},     {"Squeeze", evaluate_squeeze},
    {"Unsqueeze", evaluate_unsqueeze}, {"Slice", evaluate_slice},
    {"Split", evaluate_split},         {"Concat", evaluate_concat},
    {"Cast", evaluate_cast},
};

const struct constant_op *constant_op_of(const Onnx__NodeProto *node)
{
    for (size_t i = 0; i < sizeof constant_ops / sizeof *constant_ops; i++)
        if (node_is(node, constant_ops[i].op_type))
            return &constant_ops[i];
    return NULL;
}
