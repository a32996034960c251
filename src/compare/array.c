/* Arrays and views of them. Transpose, Slice, Expand and broadcasting are views; only
 * array_fill moves values. */
#include "compare/array.h"

#include <stdlib.h>
#include <string.h>

bool array_make(struct array *array, const uint64_t *dims, size_t rank, uint64_t limit,
                struct error *err)
{
    uint64_t count = 1;
    *array = (struct array){.rank = rank};
    if (rank > ARRAY_RANK_MAX)
        return false;
    for (size_t i = 0; i < rank; i++)
        if (__builtin_mul_overflow(count, dims[i], &count) || count > limit)
            return false;
    if (rank > 0)
        memcpy(array->dims, dims, rank * sizeof *dims);
    array->count = count;
    array->values = count ? malloc(count * sizeof *array->values) : NULL;
    return array->values || count == 0 || error_memory(err);
}

void array_free(struct array *array)
{
    free(array->values);
    *array = (struct array){0};
}

bool array_set_dims(struct array *array, const uint64_t *dims, size_t rank)
{
    uint64_t count = 1;
    if (rank > ARRAY_RANK_MAX)
        return false;
    for (size_t i = 0; i < rank; i++)
        if (__builtin_mul_overflow(count, dims[i], &count))
            return false;
    if (count != array->count)
        return false;
    memcpy(array->dims, dims, rank * sizeof *dims);
    array->rank = rank;
    return true;
}

void array_strides(const struct array *array, struct array_view *view)
{
    int64_t stride = 1;
    *view = (struct array_view){0};
    for (size_t i = array->rank; i-- > 0;) {
        view->strides[i] = stride;
        stride *= (int64_t)array->dims[i];
    }
}

bool array_broadcast(const struct array *array, const uint64_t *dims, size_t rank,
                     struct array_view *view)
{
    struct array_view own;
    *view = (struct array_view){0};
    if (array->rank > rank)
        return false;
    array_strides(array, &own);
    size_t shift = rank - array->rank;
    for (size_t i = 0; i < array->rank; i++) {
        if (array->dims[i] != 1 && array->dims[i] != dims[i + shift])
            return false;
        view->strides[i + shift] = array->dims[i] == 1 ? 0 : own.strides[i];
    }
    return true;
}

static float *fill_axis(const struct array *out, float *to, const float *from,
                        const struct array_view *view, size_t axis)
{
    uint64_t length = out->dims[axis];
    int64_t stride = view->strides[axis];
    if (axis + 1 < out->rank) {
        for (uint64_t i = 0; i < length; i++)
            to = fill_axis(out, to, from + (int64_t)i * stride, view, axis + 1);
        return to;
    }
    if (stride == 1)
        memcpy(to, from, length * sizeof *to);
    else
        for (uint64_t i = 0; i < length; i++)
            to[i] = from[(int64_t)i * stride];
    return to + length;
}

void array_fill(struct array *out, const float *from, const struct array_view *view)
{
    if (out->count == 0)
        return;
    if (out->rank == 0)
        out->values[0] = from[view->start];
    else
        fill_axis(out, out->values, from + view->start, view, 0);
}
