/* Small arithmetic on sizes that several folders need. */
#ifndef NIBBLE_CORE_SIZES_H
#define NIBBLE_CORE_SIZES_H

#include <stddef.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static inline size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t size_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* a / b, rounded up. Can't overflow. */
static inline size_t size_ceil_div(size_t a, size_t b)
{
    return a / b + (a % b != 0);
}

#endif
