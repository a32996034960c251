/* The difference between two arrays, also if one of them is transposed. */
#include "compare/noise.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

size_t array_squeezed(const struct array *array, uint64_t *dims)
{
    size_t rank = 0;
    for (size_t i = 0; i < array->rank; i++)
        if (array->dims[i] != 1)
            dims[rank++] = array->dims[i];
    return rank;
}

/* Whether the second is the first with its last two axes exchanged. */
static bool is_transposed(const struct array *a, const struct array *b, uint64_t *rows,
                          uint64_t *columns)
{
    uint64_t x[ARRAY_RANK_MAX], y[ARRAY_RANK_MAX];
    size_t rank = array_squeezed(a, x);
    if (rank < 2 || array_squeezed(b, y) != rank || x[rank - 1] != y[rank - 2] ||
        x[rank - 2] != y[rank - 1] || memcmp(x, y, (rank - 2) * sizeof *x) != 0)
        return false;
    *rows = x[rank - 2];
    *columns = x[rank - 1];
    return true;
}

static double difference(float a, float b)
{
    bool same = a == b || (isnan(a) && isnan(b));
    return same ? 0 : (double)a - (double)b;
}

static double noise_straight(const struct array *a, const struct array *b)
{
    double sum = 0;
    for (uint64_t i = 0; i < a->count; i++) {
        double d = difference(a->values[i], b->values[i]);
        sum += d * d;
    }
    return sum;
}

static double noise_transposed(const struct array *a, const struct array *b,
                               uint64_t rows, uint64_t columns)
{
    double sum = 0;
    uint64_t each = rows * columns;
    for (uint64_t start = 0; start < a->count; start += each)
        for (uint64_t i = 0; i < rows; i++)
            for (uint64_t j = 0; j < columns; j++) {
                double d = difference(a->values[start + i * columns + j],
                                      b->values[start + j * rows + i]);
                sum += d * d;
            }
    return sum;
}

double noise_of(const struct array *a, const struct array *b)
{
    uint64_t rows, columns;
    if (a->count != b->count)
        return (double)INFINITY;
    double noise = noise_straight(a, b);
    if (noise > 0 && is_transposed(a, b, &rows, &columns))
        noise = fmin(noise, noise_transposed(a, b, rows, columns));
    return isnan(noise) ? (double)INFINITY : noise;
}

double signal_of(const struct array *a)
{
    double sum = 0;
    for (uint64_t i = 0; i < a->count; i++)
        if (isfinite(a->values[i]))
            sum += (double)a->values[i] * (double)a->values[i];
    return sum;
}
