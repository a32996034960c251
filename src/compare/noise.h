/* The difference between two arrays, also if one of them is transposed. */
#ifndef NIBBLE_COMPARE_NOISE_H
#define NIBBLE_COMPARE_NOISE_H

#include "constants/array.h"

/* Stores the dims that are not 1, and returns their number. */
size_t array_squeezed(const struct array *array, uint64_t *dims);

/* The sum of squared differences. If the second array has the last two axes exchanged, it
 * is the lower sum of both readings. Infinity where the arrays don't fit. */
double noise_of(const struct array *a, const struct array *b);

/* The sum of squares of all finite elements. */
double signal_of(const struct array *a);

#endif
