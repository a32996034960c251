/* Finds the name that a mistyped word probably means. */
#include "cli/settings.h"

#include <string.h>

enum { WORD_MAX = 31 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The number of letters to insert, delete, replace or swap with their neighbour to turn
 * one word into the other (optimal string alignment). */
static size_t distance(const char *a, const char *b)
{
    size_t rows = strlen(a), columns = strlen(b);
    size_t d[WORD_MAX + 1][WORD_MAX + 1];
    if (rows > WORD_MAX || columns > WORD_MAX)
        return WORD_MAX;
    for (size_t i = 0; i <= rows; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= columns; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= rows; i++) {
        for (size_t j = 1; j <= columns; j++) {
            size_t change = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            d[i][j] = least(change, 1 + least(d[i - 1][j], d[i][j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[rows][columns];
}

const char *nearest_name(const char *text, size_t count, name_fn *name,
                         const void *context)
{
    const char *best = NULL;
    size_t best_distance = 1 + least(strlen(text) / 2, 3);
    for (size_t i = 0; i < count; i++) {
        const char *candidate = name(i, context);
        size_t far = candidate ? distance(text, candidate) : WORD_MAX;
        if (far < best_distance) {
            best = candidate;
            best_distance = far;
        }
    }
    return best;
}
