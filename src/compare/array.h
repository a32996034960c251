/* Dense arrays of float32: what decoding a weight is computed on. */
#ifndef NIBBLE_COMPARE_ARRAY_H
#define NIBBLE_COMPARE_ARRAY_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

enum { ARRAY_RANK_MAX = 12 };

struct array {
    float *values; /* row-major; NULL only without elements */
    uint64_t count;
    size_t rank;
    uint64_t dims[ARRAY_RANK_MAX];
};

/* A view of an array's elements: where it begins, and the step along each axis. */
struct array_view {
    uint64_t start;
    int64_t strides[ARRAY_RANK_MAX];
};

/* Room for the dims; values are not set. False, with an error, when out of memory, and
 * without one where the dims have more than `limit` elements: such a value is no weight.
 */
bool array_make(struct array *array, const uint64_t *dims, size_t rank, uint64_t limit,
                struct error *err);
void array_free(struct array *array);

/* Gives the same elements other dims. False if their number is another. */
bool array_set_dims(struct array *array, const uint64_t *dims, size_t rank);

/* The steps of the array itself. */
void array_strides(const struct array *array, struct array_view *view);

/* Fills `out`, whose dims are set, with elements of `from` as the view has them. */
void array_fill(struct array *out, const float *from, const struct array_view *view);

/* Views `array` as an operand that broadcasts to the dims. False where it can't. */
bool array_broadcast(const struct array *array, const uint64_t *dims, size_t rank,
                     struct array_view *view);

#endif
