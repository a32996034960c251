/* The upper triangle of a symmetric matrix [n][n], in panels of rows. A panel has the
 * columns from its first row on, so that products of matrices fill it without a copy. It
 * takes little more than half of the matrix. */
#ifndef NIBBLE_SOLVE_TRIANGLE_H
#define NIBBLE_SOLVE_TRIANGLE_H

#include <stddef.h>

enum { TRIANGLE_PANEL = 64 };

/* Elements before the panel that begins with row `first`. */
static inline size_t triangle_panel(size_t n, size_t first)
{
    return first * n - first * (first - TRIANGLE_PANEL) / 2;
}

/* Where element (i, 0) would be: element (i, j), j >= i, is j places further. */
static inline size_t triangle_row(size_t n, size_t i)
{
    size_t first = i / TRIANGLE_PANEL * TRIANGLE_PANEL;
    return triangle_panel(n, first) + (i - first) * (n - first) - first;
}

static inline size_t triangle_size(size_t n)
{
    return n ? triangle_row(n, n - 1) + n : 0;
}

#endif
