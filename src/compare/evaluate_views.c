/* Operators that put elements elsewhere, or leave some out. */
#include "compare/evaluate_operators.h"
#include "onnx/node.h"
#include "onnx/tensor.h"

#include <stdlib.h>
#include <string.h>

bool call_view(struct node_call *c, struct array *out, const uint64_t *dims, size_t rank,
               const struct array_view *view)
{
    struct array made;
    if (!call_make(c, &made, dims, rank))
        return false;
    array_fill(&made, out->values, view);
    array_free(out);
    *out = made;
    return true;
}

bool evaluate_transpose(struct node_call *c, struct array *out)
{
    const Onnx__AttributeProto *perm = node_attribute(c->node, "perm");
    struct array_view own, view = {0};
    uint64_t dims[ARRAY_RANK_MAX];
    if (!call_input(c, 0, out) || (perm && perm->n_ints != out->rank))
        return false;
    array_strides(out, &own);
    for (size_t i = 0; i < out->rank; i++) {
        int64_t from = perm ? perm->ints[i] : (int64_t)(out->rank - 1 - i);
        if (from < 0 || from >= (int64_t)out->rank)
            return false;
        dims[i] = out->dims[from];
        view.strides[i] = own.strides[from];
    }
    return call_view(c, out, dims, out->rank, &view);
}

static int64_t clip(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

static bool slice_axis(const struct array *array, int64_t start, int64_t end,
                       int64_t step, size_t axis, uint64_t *dims, struct array_view *view)
{
    int64_t length = (int64_t)array->dims[axis];
    if (step == 0 || step == INT64_MIN)
        return false;
    bool back = step < 0;
    start = clip(start < 0 ? start + length : start, 0, back ? length - 1 : length);
    end = clip(end < 0 ? end + length : end, back ? -1 : 0, length);
    int64_t span = back ? start - end : end - start, size = back ? -step : step;
    dims[axis] = span > 0 ? (uint64_t)((span - 1) / size + 1) : 0;
    view->start += dims[axis] ? (uint64_t)(start * view->strides[axis]) : 0;
    view->strides[axis] *= dims[axis] > 1 ? step : 1;
    return true;
}

bool evaluate_slice(struct node_call *c, struct array *out)
{
    size_t starts_n = 0, ends_n = 0, axes_n = 0, steps_n = 0, axis;
    uint64_t dims[ARRAY_RANK_MAX];
    struct array_view view;
    if (!call_input(c, 0, out))
        return false;
    int64_t *starts = call_ints(c, "starts", 1, &starts_n);
    int64_t *ends = call_ints(c, "ends", 2, &ends_n);
    int64_t *axes = call_ints(c, "axes", 3, &axes_n);
    int64_t *steps = call_has(c, 4) ? evaluate_ints(c, 4, &steps_n) : NULL;
    bool ok = starts && ends && starts_n == ends_n && (!axes || axes_n == starts_n) &&
              (!steps || steps_n == starts_n);
    memcpy(dims, out->dims, sizeof dims);
    array_strides(out, &view);
    for (size_t i = 0; ok && i < starts_n; i++)
        ok = call_axis(axes ? axes[i] : (int64_t)i, out->rank, &axis) &&
             slice_axis(out, starts[i], ends[i], steps ? steps[i] : 1, axis, dims, &view);
    free(starts), free(ends), free(axes), free(steps);
    return ok && call_view(c, out, dims, out->rank, &view);
}

bool evaluate_expand(struct node_call *c, struct array *out)
{
    uint64_t dims[ARRAY_RANK_MAX];
    struct array_view view;
    size_t count = 0;
    if (!call_input(c, 0, out))
        return false;
    int64_t *wanted = evaluate_ints(c, 1, &count);
    size_t rank = count > out->rank ? count : out->rank;
    bool ok = wanted && rank <= ARRAY_RANK_MAX;
    for (size_t i = 0; ok && i < rank; i++) {
        uint64_t own = i + out->rank >= rank ? out->dims[i + out->rank - rank] : 1;
        int64_t asked = i + count >= rank ? wanted[i + count - rank] : 1;
        ok = asked >= 0;
        dims[i] = own == 1 ? (uint64_t)asked : own;
    }
    free(wanted);
    return ok && array_broadcast(out, dims, rank, &view) &&
           call_view(c, out, dims, rank, &view);
}

/* Puts `from` into `out`, `offset` elements from its begin. */
static void put(struct array *out, const struct array *from, uint64_t offset)
{
    struct array_view own, target;
    uint64_t at[ARRAY_RANK_MAX] = {0};
    if (from->count == 0)
        return;
    array_strides(out, &target);
    array_strides(from, &own);
    uint64_t row = from->rank ? from->dims[from->rank - 1] : 1;
    for (uint64_t i = 0; i < from->count; i += row) {
        uint64_t to = offset;
        for (size_t d = 0; d + 1 < from->rank; d++)
            to += at[d] * (uint64_t)target.strides[d];
        memcpy(out->values + to, from->values + i, row * sizeof *out->values);
        for (size_t d = from->rank > 0 ? from->rank - 1 : 0; d-- > 0;) {
            if (++at[d] < from->dims[d])
                break;
            at[d] = 0;
        }
    }
}

static bool concat_dims(struct node_call *c, struct array *parts, size_t count,
                        uint64_t *dims, size_t *axis)
{
    for (size_t i = 0; i < count; i++) {
        if (!call_input(c, i, &parts[i]) || parts[i].rank != parts[0].rank)
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
        dims[*axis] += parts[i].dims[*axis];
    }
    return count > 0;
}

bool evaluate_concat(struct node_call *c, struct array *out)
{
    size_t count = c->node->n_input, axis = 0;
    uint64_t dims[ARRAY_RANK_MAX], offset = 0;
    struct array *parts = calloc(count + 1, sizeof *parts);
    struct array_view view;
    bool ok = parts && concat_dims(c, parts, count, dims, &axis) &&
              call_make(c, out, dims, parts[0].rank);
    if (ok)
        array_strides(out, &view);
    for (size_t i = 0; ok && i < count; i++) {
        put(out, &parts[i], offset);
        offset += parts[i].dims[axis] * (uint64_t)view.strides[axis];
    }
    for (size_t i = 0; parts && i < count; i++)
        array_free(&parts[i]);
    free(parts);
    return ok;
}

bool evaluate_pad(struct node_call *c, struct array *out)
{
    uint64_t dims[ARRAY_RANK_MAX], offset = 0;
    struct array made = {0};
    struct array_view view;
    size_t count = 0;
    if (!call_input(c, 0, out) || call_has(c, 2) || call_has(c, 3))
        return false; /* of others than 0, or along some axes: decoding needs none */
    int64_t *pads = call_ints(c, "pads", 1, &count);
    bool ok = pads && count == 2 * out->rank;
    for (size_t i = 0; ok && i < out->rank; i++) {
        ok = pads[i] >= 0 && pads[i + out->rank] >= 0;
        dims[i] = out->dims[i] + (uint64_t)pads[i] + (uint64_t)pads[i + out->rank];
    }
    ok = ok && call_make(c, &made, dims, out->rank);
    if (ok) {
        if (made.count > 0)
            memset(made.values, 0, made.count * sizeof *made.values);
        array_strides(&made, &view);
        for (size_t i = 0; i < out->rank; i++)
            offset += (uint64_t)pads[i] * (uint64_t)view.strides[i];
        put(&made, out, offset);
        array_free(out);
        *out = made;
    }
    free(pads);
    return ok;
}

bool evaluate_shape(struct node_call *c, struct array *out)
{
    const struct value *value = input_value(c->scope, c->node, 0);
    struct array of = {0};
    if (value && value == c->e->rows) {
        of.rank = 1;
        of.dims[0] = c->e->row_count;
    } else if (!call_input(c, 0, &of)) {
        return false;
    }
    uint64_t rank = of.rank;
    bool ok = call_make(c, out, &rank, 1);
    for (size_t i = 0; ok && i < rank; i++)
        out->values[i] = (float)of.dims[i];
    array_free(&of);
    return ok;
}

/* Rows by indices that are known, or all rows where they are not. */
bool evaluate_gather(struct node_call *c, struct array *out)
{
    size_t count = 0, axis;
    if (!call_input(c, 0, out))
        return false;
    if (input_value(c->scope, c->node, 1) == c->e->rows && c->e->rows) {
        c->e->row_count = out->rank > 0 ? out->dims[0] : 0;
        return out->rank > 0;
    }
    int64_t *indices = evaluate_ints(c, 1, &count);
    bool ok = indices && count == 1 &&
              call_axis(node_int(c->node, "axis", 0), out->rank, &axis);
    if (ok) { /* one index: a slice, whose axis goes where the index is a scalar */
        struct array_view view;
        struct array index = {0};
        uint64_t dims[ARRAY_RANK_MAX];
        memcpy(dims, out->dims, sizeof dims);
        array_strides(out, &view);
        int64_t at = indices[0] < 0 ? indices[0] + (int64_t)dims[axis] : indices[0];
        ok = at >= 0 && at < (int64_t)dims[axis] && call_input(c, 1, &index) &&
             index.rank < 2 && slice_axis(out, at, at + 1, 1, axis, dims, &view) &&
             call_view(c, out, dims, out->rank, &view);
        if (ok && index.rank == 0) {
            memmove(dims + axis, dims + axis + 1, (out->rank - axis - 1) * sizeof *dims);
            ok = array_set_dims(out, dims, out->rank - 1);
        }
        array_free(&index);
    }
    free(indices);
    return ok;
}
