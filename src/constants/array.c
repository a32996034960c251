/* Dense arrays of float32. */
#include "constants/array.h"

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
    if (count <= CONSTANT_MEMORY_MAX / sizeof *array->values) {
        array->values = count ? malloc(count * sizeof *array->values) : NULL;
        return array->values || count == 0 || error_memory(err);
    }
    array->file = file_scratch(count * sizeof *array->values, err);
    if (array->file)
        array->values = (float *)(uintptr_t)array->file->data;
    return array->file != NULL;
}

void array_free(struct array *array)
{
    if (array->file)
        file_close(array->file);
    else
        free(array->values);
    *array = (struct array){0};
}

bool array_take(struct array *array, struct constant *constant, struct error *err)
{
    enum { STEP = 512 };
    double values[STEP];
    bool ok = array_make(array, constant->dims, constant->rank, UINT64_MAX / 16, err);
    for (uint64_t at = 0; ok && constant->data && at < array->count; at += STEP) {
        size_t n = array->count - at < STEP ? (size_t)(array->count - at) : STEP;
        constant_load(constant, at, n, values);
        for (size_t i = 0; i < n; i++)
            array->values[at + i] = (float)values[i];
    }
    constant_free(constant);
    return ok;
}
