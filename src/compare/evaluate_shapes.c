/* Operators that give the same elements another shape. */
#include "compare/evaluate_operators.h"
#include "onnx/node.h"
#include "onnx/tensor.h"

#include <stdlib.h>
#include <string.h>

bool evaluate_identity(struct node_call *c, struct array *out)
{
    return call_input(c, 0, out);
}

/* The dims that Reshape is asked for: 0 stands for the input's own, -1 for the rest. */
static bool reshape_to(struct array *array, const int64_t *wanted, size_t rank, bool zero)
{
    uint64_t dims[ARRAY_RANK_MAX], known = 1;
    size_t rest = rank;
    for (size_t i = 0; i < rank; i++) {
        bool own = wanted[i] == 0 && !zero;
        if (wanted[i] < -1 || (own && i >= array->rank))
            return false;
        dims[i] = own ? array->dims[i] : (uint64_t)wanted[i];
        if (wanted[i] == -1)
            rest = i;
        else if (__builtin_mul_overflow(known, dims[i], &known))
            return false;
    }
    if (rest < rank)
        dims[rest] = known ? array->count / known : 0;
    return array_set_dims(array, dims, rank);
}

bool evaluate_reshape(struct node_call *c, struct array *out)
{
    size_t rank = 0;
    bool ok = call_input(c, 0, out);
    int64_t *wanted = ok ? call_ints(c, "shape", 1, &rank) : NULL;
    ok = wanted && rank <= ARRAY_RANK_MAX &&
         reshape_to(out, wanted, rank, node_int(c->node, "allowzero", 0) != 0);
    free(wanted);
    return ok;
}

bool evaluate_flatten(struct node_call *c, struct array *out)
{
    uint64_t dims[2] = {1, 1};
    int64_t axis = node_int(c->node, "axis", 1);
    if (!call_input(c, 0, out))
        return false;
    if (axis < 0)
        axis += (int64_t)out->rank;
    for (size_t i = 0; i < out->rank; i++)
        dims[(int64_t)i >= axis] *= out->dims[i];
    return array_set_dims(out, dims, 2);
}

static bool is_among(const int64_t *axes, size_t count, size_t axis, size_t rank)
{
    for (size_t i = 0; i < count; i++)
        if (axes[i] == (int64_t)axis || axes[i] + (int64_t)rank == (int64_t)axis)
            return true;
    return false;
}

bool evaluate_squeeze(struct node_call *c, struct array *out)
{
    uint64_t dims[ARRAY_RANK_MAX];
    size_t count = 0, rank = 0;
    if (!call_input(c, 0, out))
        return false;
    int64_t *axes = call_ints(c, "axes", 1, &count);
    for (size_t i = 0; i < out->rank; i++)
        if (axes ? !is_among(axes, count, i, out->rank) : out->dims[i] != 1)
            dims[rank++] = out->dims[i];
    free(axes);
    return array_set_dims(out, dims, rank);
}

bool evaluate_unsqueeze(struct node_call *c, struct array *out)
{
    uint64_t dims[ARRAY_RANK_MAX];
    size_t count = 0, next = 0;
    if (!call_input(c, 0, out))
        return false;
    int64_t *axes = call_ints(c, "axes", 1, &count);
    size_t rank = out->rank + count;
    bool ok = axes && count <= ARRAY_RANK_MAX && rank <= ARRAY_RANK_MAX;
    for (size_t i = 0; ok && i < rank; i++) {
        bool added = is_among(axes, count, i, rank);
        ok = added || next < out->rank;
        dims[i] = added || !ok ? 1 : out->dims[next++];
    }
    free(axes);
    return ok && array_set_dims(out, dims, rank);
}
