/* What the inputs x of a layer were like, as sums over their rows. Where layers before it
 * are quantized already, x are the inputs that those give, and `target` those of the
 * float model. */
#ifndef NIBBLE_SOLVE_MOMENTS_H
#define NIBBLE_SOLVE_MOMENTS_H

#include <stddef.h>

struct moments {
    size_t inputs;
    double rows;
    const double *second; /* of x xT, a triangle (triangle.h) */
    const double *first;  /* of x */
    const double *cross;  /* NULL, or [inputs][inputs]: of target xT */
    const double *target; /* of target */
};

/* Sums depend on their order in the last bits. Codes should not, so the moments are
 * rounded to float32, as files hold them. */
double moments_mean(const struct moments *moments, size_t i);
double moments_target(const struct moments *moments, size_t i);

double moments_variance(const struct moments *moments, size_t i);

/* Row i of the covariance from the diagonal on: elements (i, i) to (i, inputs - 1). */
void moments_covariance(const struct moments *moments, size_t i, double *row);

/* Row i of E[target xT] - target_mean meanT, whole. */
void moments_cross(const struct moments *moments, size_t i, double *row);

#endif
