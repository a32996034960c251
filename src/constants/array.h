/* Dense arrays of float32: what codes are decoded with. */
#ifndef NIBBLE_CONSTANTS_ARRAY_H
#define NIBBLE_CONSTANTS_ARRAY_H

#include "constants/constant.h"

enum { ARRAY_RANK_MAX = CONSTANT_RANK_MAX };

struct array {
    float *values;     /* row-major; NULL only without elements */
    struct file *file; /* where the values are if they take much room; or NULL */
    uint64_t count;
    size_t rank;
    uint64_t dims[ARRAY_RANK_MAX];
};

/* Room for the dims; values are not set. False, with an error, when out of memory, and
 * without one where the dims have more than `limit` elements: such a value is no weight.
 */
bool array_make(struct array *array, const uint64_t *dims, size_t rank, uint64_t limit,
                struct error *err);
void array_free(struct array *array);

/* The values of a constant, which is freed. Rounded to float32 where they are wider. */
bool array_take(struct array *array, struct constant *constant, struct error *err);

#endif
