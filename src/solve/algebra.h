/* Linear algebra on float64 matrices, by OpenBLAS. It is loaded when calibration first
 * needs it, so that programs which do not calibrate neither wait for it nor need it.
 *
 * Matrices are row-major. Weights and their errors are stored turned, [inputs][outputs]:
 * the work goes input by input, for many outputs at once. */
#ifndef NIBBLE_SOLVE_ALGEBRA_H
#define NIBBLE_SOLVE_ALGEBRA_H

#include "core/error.h"

#include <stddef.h>

struct algebra;

/* Loads the library and keeps it to one thread, so that results do not depend on their
 * number: the work is divided by weights instead. NULL with an error that says what to
 * install. */
struct algebra *algebra_open(struct error *err);
void algebra_close(struct algebra *algebra); /* NULL is fine */

/* As many threads as may call it at once: one where it was built without threads, since
 * it then shares its buffers without a lock; else `wanted`. */
int algebra_threads(const struct algebra *algebra, int wanted);

/* c[columns][outputs] += a[rows][columns]^T * b[rows][outputs]; lda: elements from one
 * row of a to the next. */
void algebra_multiply(const struct algebra *algebra, size_t rows, size_t columns,
                      size_t outputs, const double *a, size_t lda, const double *b,
                      double *c);

/* h += x[rows][n]^T * x, as a triangle (triangle.h). */
void algebra_gram(const struct algebra *algebra, size_t rows, size_t n, const double *x,
                  double *h);

/* The lower triangle of h[n][n] becomes L with L * L^T = h. False where h is not
 * positive definite; that triangle is lost then. */
bool algebra_factor(const struct algebra *algebra, size_t n, double *h);

/* b[n][outputs] becomes L^T * b: the sums of its squares are the diagonal of b^T h b. */
void algebra_triangle(const struct algebra *algebra, size_t n, size_t outputs,
                      const double *lower, double *b);

/* b[n][outputs] becomes h^-1 * b, with h = L * L^T. */
void algebra_solve(const struct algebra *algebra, size_t n, size_t outputs,
                   const double *lower, double *b);

#endif
