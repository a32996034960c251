/* Operators that give the same elements another shape, or tell the shape. */
#include "constants/evaluate_operators.h"
#include "onnx/node.h"

#include <stdlib.h>
#include <string.h>

bool evaluate_identity(struct node_call *c, struct constant *out)
{
    return call_input(c, 0, out);
}

/* Gives the same elements other dims. False if their number is another. */
static bool set_dims(struct node_call *c, struct constant *out, const uint64_t *dims,
                     size_t rank)
{
    struct constant shaped;
    if (!constant_shape(&shaped, out->data_type, dims, rank, c->e->limit) ||
        constant_elements(&shaped) != constant_elements(out) ||
        !constant_pack(out, c->e->stores, c->e->err))
        return false;
    memcpy(out->dims, shaped.dims, sizeof out->dims);
    out->rank = rank;
    constant_set_strides(out);
    return true;
}

/* The dims that Reshape is asked for: 0 stands for the input's own, -1 for the rest. */
static bool reshape_to(struct node_call *c, struct constant *out, const int64_t *wanted,
                       size_t rank, bool zero)
{
    uint64_t dims[CONSTANT_RANK_MAX], known = 1, elements = constant_elements(out);
    size_t rest = rank;
    for (size_t i = 0; i < rank; i++) {
        bool own = wanted[i] == 0 && !zero;
        if (wanted[i] < -1 || (own && i >= out->rank) || (wanted[i] == -1 && rest < rank))
            return false;
        dims[i] = own ? out->dims[i] : (uint64_t)wanted[i];
        if (wanted[i] == -1)
            rest = i;
        else if (__builtin_mul_overflow(known, dims[i], &known))
            return false;
    }
    if (rest < rank)
        dims[rest] = known ? elements / known : 0;
    return set_dims(c, out, dims, rank);
}

bool evaluate_reshape(struct node_call *c, struct constant *out)
{
    size_t rank = 0;
    bool ok = call_input(c, 0, out);
    int64_t *wanted = ok ? call_ints(c, "shape", 1, &rank) : NULL;
    ok = wanted && rank <= CONSTANT_RANK_MAX &&
         reshape_to(c, out, wanted, rank, node_int(c->node, "allowzero", 0) != 0);
    free(wanted);
    return ok;
}

bool evaluate_flatten(struct node_call *c, struct constant *out)
{
    uint64_t dims[2] = {1, 1};
    int64_t axis = node_int(c->node, "axis", 1);
    if (!call_input(c, 0, out))
        return false;
    if (axis < 0)
        axis += (int64_t)out->rank;
    if (axis < 0 || axis > (int64_t)out->rank)
        return false;
    for (size_t i = 0; i < out->rank; i++)
        dims[(int64_t)i >= axis] *= out->dims[i];
    return set_dims(c, out, dims, 2);
}

/* ---- axes of length 1 ------------------------------------------------- */

/* Marks the axes that Squeeze removes or Unsqueeze adds. False if the list is wrong. */
static bool mark_axes(const int64_t *axes, size_t count, size_t rank, bool *marked)
{
    memset(marked, 0, CONSTANT_RANK_MAX * sizeof *marked);
    for (size_t i = 0; i < count; i++) {
        size_t axis;
        if (!call_axis(axes[i], rank, &axis) || marked[axis])
            return false;
        marked[axis] = true;
    }
    return true;
}

bool evaluate_squeeze(struct node_call *c, struct constant *out)
{
    struct constant from;
    bool marked[CONSTANT_RANK_MAX];
    size_t count;
    if (!call_input(c, 0, out))
        return false;
    int64_t *axes = call_ints(c, "axes", 1, &count);
    bool listed = axes != NULL, unknown = !axes && (call_has(c, 1) || c->e->err->status);
    bool ok = !unknown && mark_axes(axes, count, out->rank, marked);
    free(axes);
    from = *out;
    out->rank = 0;
    for (size_t i = 0; ok && i < from.rank; i++) {
        if (listed ? marked[i] : from.dims[i] == 1) {
            ok = from.dims[i] == 1;
            continue;
        }
        out->dims[out->rank] = from.dims[i];
        out->strides[out->rank++] = from.strides[i];
    }
    return ok;
}

bool evaluate_unsqueeze(struct node_call *c, struct constant *out)
{
    struct constant from;
    bool marked[CONSTANT_RANK_MAX];
    size_t count;
    if (!call_input(c, 0, out))
        return false;
    int64_t *axes = call_ints(c, "axes", 1, &count);
    bool ok = axes && count <= CONSTANT_RANK_MAX - out->rank &&
              mark_axes(axes, count, out->rank + count, marked);
    free(axes);
    from = *out;
    out->rank = ok ? from.rank + count : from.rank;
    for (size_t i = 0, j = 0; ok && i < out->rank; i++) {
        out->dims[i] = marked[i] ? 1 : from.dims[j];
        out->strides[i] = marked[i] ? 0 : from.strides[j];
        j += !marked[i];
    }
    return ok;
}

/* ---- shapes ----------------------------------------------------------- */

/* The dims of input 0. Its values are not needed. */
static bool input_dims(struct node_call *c, struct constant *of)
{
    const struct value *value = input_value(c->scope, c->node, 0);
    if (value && value == c->e->rows) {
        *of = (struct constant){.rank = 1};
        of->dims[0] = c->e->row_count;
        return true;
    }
    return value && evaluate_shape_of(c->e, value, of);
}

static bool give_ints(struct node_call *c, struct constant *out, const uint64_t *values,
                      size_t count, size_t rank)
{
    uint64_t dims[1] = {count};
    if (!call_make(c, out, DATA_INT64, dims, rank))
        return false;
    if (!c->e->dry && count > 0)
        memcpy(call_bytes(out), values, count * sizeof *values);
    return true;
}

bool evaluate_shape(struct node_call *c, struct constant *out)
{
    struct constant of;
    if (!input_dims(c, &of))
        return false;
    int64_t rank = (int64_t)of.rank, start = node_int(c->node, "start", 0);
    int64_t end = node_int(c->node, "end", rank);
    start += start < 0 ? rank : 0;
    end += end < 0 ? rank : 0;
    start = start < 0 ? 0 : start > rank ? rank : start;
    end = end < start ? start : end > rank ? rank : end;
    return give_ints(c, out, of.dims + start, (size_t)(end - start), 1);
}

bool evaluate_size(struct node_call *c, struct constant *out)
{
    struct constant of;
    if (!input_dims(c, &of))
        return false;
    uint64_t elements = constant_elements(&of);
    return give_ints(c, out, &elements, 1, 0);
}
