/* Operators that put elements elsewhere, repeat them or leave some out. Most only change
 * dims and strides. */
#include "constants/evaluate_operators.h"
#include "onnx/node.h"

#include <stdlib.h>
#include <string.h>

bool evaluate_transpose(struct node_call *c, struct constant *out)
{
    const Onnx__AttributeProto *perm = node_attribute(c->node, "perm");
    bool taken[CONSTANT_RANK_MAX] = {false};
    if (!call_input(c, 0, out) || (perm && perm->n_ints != out->rank))
        return false;
    struct constant from = *out;
    for (size_t i = 0; i < from.rank; i++) {
        size_t axis = from.rank - 1 - i;
        if (perm && (!call_axis(perm->ints[i], from.rank, &axis) || taken[axis]))
            return false;
        taken[axis] = true;
        out->dims[i] = from.dims[axis];
        out->strides[i] = from.strides[axis];
    }
    return true;
}

/* ---- parts ------------------------------------------------------------ */

static int64_t clip(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* Takes a slice of one axis, with indices as numpy counts them. */
static bool slice_axis(struct constant *out, size_t axis, int64_t start, int64_t end,
                       int64_t step)
{
    int64_t length = (int64_t)out->dims[axis];
    if (step == 0 || step == INT64_MIN)
        return false;
    bool back = step < 0;
    start = clip(start < 0 ? start + length : start, 0, back ? length - 1 : length);
    end = clip(end < 0 ? end + length : end, back ? -1 : 0, length);
    int64_t span = back ? start - end : end - start, size = back ? -step : step;
    out->dims[axis] = span > 0 ? (uint64_t)((span - 1) / size + 1) : 0;
    if (out->data && span > 0)
        out->data += start * out->strides[axis];
    if (out->dims[axis] > 1) /* a longer step takes one element, too */
        out->strides[axis] *= step;
    return true;
}

bool evaluate_slice(struct node_call *c, struct constant *out)
{
    size_t starts_n, ends_n, axes_n, steps_n = 0, axis;
    if (!call_input(c, 0, out))
        return false;
    int64_t *starts = call_ints(c, "starts", 1, &starts_n);
    int64_t *ends = call_ints(c, "ends", 2, &ends_n);
    int64_t *axes = call_ints(c, "axes", 3, &axes_n);
    int64_t *steps = call_has(c, 4) ? call_input_ints(c, 4, &steps_n) : NULL;
    bool ok = starts && ends && starts_n == ends_n &&
              (axes ? axes_n == starts_n : !call_has(c, 3)) &&
              (steps ? steps_n == starts_n : !call_has(c, 4));
    for (size_t i = 0; ok && i < starts_n; i++)
        ok = call_axis(axes ? axes[i] : (int64_t)i, out->rank, &axis) &&
             slice_axis(out, axis, starts[i], ends[i], steps ? steps[i] : 1);
    free(starts), free(ends), free(axes), free(steps);
    return ok;
}

bool evaluate_split(struct node_call *c, struct constant *out)
{
    size_t axis, split_n, count = c->node->n_output;
    if (!call_input(c, 0, out) ||
        !call_axis(node_int(c->node, "axis", 0), out->rank, &axis))
        return false;
    int64_t *split = call_ints(c, "split", 1, &split_n);
    int64_t length = (int64_t)out->dims[axis], sum = 0, start = 0;
    int64_t even = (length + (int64_t)count - 1) / (int64_t)count, size = even;
    bool ok = split ? split_n == count : !call_has(c, 1);
    for (size_t i = 0; ok && split && i < count; i++) {
        ok = split[i] >= 0 && split[i] <= length - sum;
        start += i < c->output ? split[i] : 0;
        sum += split[i];
    }
    ok = ok && (!split || sum == length);
    if (ok && split)
        size = split[c->output];
    if (!split)
        start = even * (int64_t)c->output;
    free(split);
    return ok && slice_axis(out, axis, start, start + size, 1);
}

static void remove_axis(struct constant *out, size_t axis)
{
    out->rank--;
    for (size_t i = axis; i < out->rank; i++) {
        out->dims[i] = out->dims[i + 1];
        out->strides[i] = out->strides[i + 1];
    }
}

/* The dims of a Gather of several indices, in place of the axis. */
static bool make_gathered(struct node_call *c, const struct constant *table, size_t axis,
                          const struct constant *index, struct constant *out)
{
    uint64_t dims[2 * CONSTANT_RANK_MAX];
    size_t rank = 0;
    for (size_t i = 0; i < axis; i++)
        dims[rank++] = table->dims[i];
    for (size_t i = 0; i < index->rank; i++)
        dims[rank++] = index->dims[i];
    for (size_t i = axis + 1; i < table->rank; i++)
        dims[rank++] = table->dims[i];
    return call_make(c, out, table->data_type, dims, rank);
}

/* Copies the parts of the table to where the indices put them. */
static void copy_gathered(const struct constant *table, size_t axis,
                          const struct constant *index, const int64_t *indices,
                          struct constant *out)
{
    struct constant part = *table;
    ptrdiff_t strides[CONSTANT_RANK_MAX], step = 0;
    size_t rank = 0;
    remove_axis(&part, axis);
    for (size_t i = 0; i < out->rank; i++)
        if (i < axis || i >= axis + index->rank)
            strides[rank++] = out->strides[i];
    if (index->rank > 0)
        step = out->strides[axis + index->rank - 1];
    for (uint64_t i = 0, count = constant_elements(index); i < count; i++) {
        int64_t at = indices[i] + (indices[i] < 0 ? (int64_t)table->dims[axis] : 0);
        part.data = table->data + at * table->strides[axis];
        constant_copy(&part, call_bytes(out) + (ptrdiff_t)i * step, strides);
    }
}

static bool gather(struct node_call *c, struct constant *out, size_t axis,
                   const struct constant *index, const int64_t *indices)
{
    struct constant made;
    int64_t length = (int64_t)out->dims[axis];
    uint64_t count = constant_elements(index);
    for (uint64_t i = 0; i < count; i++)
        if (indices[i] < -length || indices[i] >= length)
            return false;
    if (count == 1 && index->rank < 2) { /* a view */
        int64_t at = indices[0] + (indices[0] < 0 ? length : 0);
        slice_axis(out, axis, at, at + 1, 1);
        if (index->rank == 0)
            remove_axis(out, axis);
        return true;
    }
    if (!make_gathered(c, out, axis, index, &made))
        return false;
    if (!c->e->dry && count > 0)
        copy_gathered(out, axis, index, indices, &made);
    constant_free(out);
    *out = made;
    return true;
}

/* Rows by indices that are known, or all rows if they are not. */
bool evaluate_gather(struct node_call *c, struct constant *out)
{
    const struct value *by = input_value(c->scope, c->node, 1);
    struct constant index;
    size_t axis, count;
    if (!call_input(c, 0, out))
        return false;
    if (by && by == c->e->rows) {
        c->e->row_count = out->rank > 0 ? out->dims[0] : 0;
        return out->rank > 0;
    }
    if (!by || !evaluate_shape_of(c->e, by, &index) ||
        !call_axis(node_int(c->node, "axis", 0), out->rank, &axis))
        return false;
    int64_t *indices = call_input_ints(c, 1, &count);
    bool ok = indices && count == constant_elements(&index) &&
              gather(c, out, axis, &index, indices);
    free(indices);
    return ok;
}

/* ---- repetition ------------------------------------------------------- */

bool evaluate_expand(struct node_call *c, struct constant *out)
{
    uint64_t dims[CONSTANT_RANK_MAX];
    struct constant shaped;
    size_t count;
    if (!call_input(c, 0, out))
        return false;
    int64_t *wanted = call_ints(c, "shape", 1, &count);
    size_t rank = count > out->rank ? count : out->rank;
    bool ok = wanted && rank <= CONSTANT_RANK_MAX;
    for (size_t i = 0; ok && i < rank; i++) {
        uint64_t own = i + out->rank >= rank ? out->dims[i + out->rank - rank] : 1;
        int64_t asked = i + count >= rank ? wanted[i + count - rank] : 1;
        ok = asked >= 0;
        dims[i] = own == 1 ? (uint64_t)asked : own;
    }
    free(wanted);
    return ok && constant_shape(&shaped, out->data_type, dims, rank, c->e->limit) &&
           constant_broadcast(out, dims, rank);
}

/* Sees [a, b] as [times a, a, times b, b], packs that, and joins the axes. */
bool evaluate_tile(struct node_call *c, struct constant *out)
{
    uint64_t dims[CONSTANT_RANK_MAX];
    struct constant shaped;
    size_t count;
    if (!call_input(c, 0, out))
        return false;
    int64_t *times = call_ints(c, "repeats", 1, &count);
    size_t rank = out->rank;
    bool ok = times && count == rank && 2 * rank <= CONSTANT_RANK_MAX;
    struct constant view = *out;
    view.rank = 2 * rank;
    for (size_t i = 0; ok && i < rank; i++) {
        ok = times[i] >= 0 &&
             !__builtin_mul_overflow(out->dims[i], (uint64_t)times[i], &dims[i]);
        view.dims[2 * i] = (uint64_t)times[i];
        view.strides[2 * i] = 0;
        view.dims[2 * i + 1] = out->dims[i];
        view.strides[2 * i + 1] = out->strides[i];
    }
    free(times);
    if (!ok || !constant_shape(&shaped, out->data_type, dims, rank, c->e->limit))
        return false;
    *out = view;
    if (!constant_pack(out, c->e->stores, c->e->err))
        return false;
    memcpy(out->dims, dims, sizeof dims);
    out->rank = rank;
    constant_set_strides(out);
    return true;
}

/* ---- putting together ------------------------------------------------- */

static bool concat_dims(struct node_call *c, struct constant *parts, uint64_t *dims,
                        size_t *axis)
{
    for (size_t i = 0; i < c->node->n_input; i++) {
        if (!call_input(c, i, &parts[i]) || parts[i].rank != parts[0].rank ||
            parts[i].data_type != parts[0].data_type)
            return false;
        if (i == 0) {
            if (!call_axis(node_int(c->node, "axis", 0), parts[0].rank, axis))
                return false;
            memcpy(dims, parts[0].dims, sizeof parts[0].dims);
            continue;
        }
        for (size_t d = 0; d < parts[0].rank; d++)
            if (d != *axis && parts[i].dims[d] != dims[d])
                return false;
        if (__builtin_add_overflow(dims[*axis], parts[i].dims[*axis], &dims[*axis]))
            return false;
    }
    return c->node->n_input > 0;
}

bool evaluate_concat(struct node_call *c, struct constant *out)
{
    size_t count = c->node->n_input, axis = 0;
    uint64_t dims[CONSTANT_RANK_MAX];
    struct constant *parts = calloc(count + 1, sizeof *parts);
    bool ok = (parts || error_memory(c->e->err)) && concat_dims(c, parts, dims, &axis) &&
              call_make(c, out, parts[0].data_type, dims, parts[0].rank);
    ptrdiff_t offset = 0;
    for (size_t i = 0; ok && !c->e->dry && i < count; i++) {
        constant_copy(&parts[i], call_bytes(out) + offset, out->strides);
        offset += (ptrdiff_t)parts[i].dims[axis] * out->strides[axis];
    }
    for (size_t i = 0; parts && i < count; i++)
        constant_free(&parts[i]);
    free(parts);
    return ok;
}

/* Pads with zeros. Others are not needed for weights. */
bool evaluate_pad(struct node_call *c, struct constant *out)
{
    uint64_t dims[CONSTANT_RANK_MAX];
    struct constant made;
    ptrdiff_t offset = 0;
    size_t count;
    if (!call_input(c, 0, out) || call_has(c, 2) || call_has(c, 3) ||
        !node_string_is(c->node, "mode", "constant", "constant"))
        return false;
    int64_t *pads = call_ints(c, "pads", 1, &count);
    bool ok = pads && count == 2 * out->rank;
    for (size_t i = 0; ok && i < out->rank; i++) {
        ok = pads[i] >= 0 && pads[i + out->rank] >= 0;
        dims[i] = out->dims[i] + (uint64_t)pads[i] + (uint64_t)pads[i + out->rank];
    }
    ok = ok && call_make(c, &made, out->data_type, dims, out->rank);
    for (size_t i = 0; ok && i < out->rank; i++)
        offset += (ptrdiff_t)pads[i] * made.strides[i];
    free(pads);
    if (!ok)
        return false;
    uint64_t size = constant_elements(&made) * constant_width(made.data_type);
    if (!c->e->dry && size > 0) {
        memset(call_bytes(&made), 0, (size_t)size);
        constant_copy(out, call_bytes(&made) + offset, made.strides);
    }
    constant_free(out);
    *out = made;
    return true;
}

/* ---- constants --------------------------------------------------------- */

static bool fill(struct node_call *c, struct constant *out, const uint64_t *dims,
                 size_t rank, const struct constant *with)
{
    if (!call_make(c, out, with->data_type, dims, rank))
        return false;
    size_t width = constant_width(with->data_type);
    uint64_t count = c->e->dry ? 0 : constant_elements(out);
    for (uint64_t i = 0; i < count; i++)
        memcpy(call_bytes(out) + i * width, with->data, width);
    return true;
}

bool evaluate_constant_of_shape(struct node_call *c, struct constant *out)
{
    static const float zero = 0;
    const Onnx__AttributeProto *value = node_attribute(c->node, "value");
    struct constant with = {.data = (const uint8_t *)&zero, .data_type = DATA_FLOAT};
    uint64_t dims[CONSTANT_RANK_MAX];
    size_t rank;
    int64_t *wanted = call_input_ints(c, 0, &rank);
    bool ok = wanted && rank <= CONSTANT_RANK_MAX;
    for (size_t i = 0; ok && i < rank; i++) {
        ok = wanted[i] >= 0;
        dims[i] = (uint64_t)wanted[i];
    }
    free(wanted);
    if (ok && value)
        ok = value->t && evaluate_tensor(c->e, c->node->output[0], value->t, &with) &&
             constant_elements(&with) == 1;
    ok = ok && fill(c, out, dims, rank, &with);
    constant_free(&with);
    return ok;
}

/* A Constant node whose value is a number or a list of numbers. */
bool evaluate_constant(struct node_call *c, struct constant *out)
{
    const Onnx__AttributeProto *one = c->node->n_attribute ? c->node->attribute[0] : NULL;
    const char *name = one ? or_empty(one->name) : "";
    bool floats = strncmp(name, "value_float", 11) == 0;
    bool list = strcmp(name, "value_floats") == 0 || strcmp(name, "value_ints") == 0;
    if (!list && strcmp(name, "value_float") != 0 && strcmp(name, "value_int") != 0)
        return false;
    uint64_t dims[1] = {floats ? one->n_floats : one->n_ints};
    const void *from = &one->i;
    if (floats)
        from = list ? (const void *)one->floats : &one->f;
    else if (list)
        from = one->ints;
    if (!call_make(c, out, floats ? DATA_FLOAT : DATA_INT64, dims, list))
        return false;
    uint64_t size = constant_elements(out) * constant_width(out->data_type);
    if (!c->e->dry && size > 0)
        memcpy(call_bytes(out), from, (size_t)size);
    return true;
}
