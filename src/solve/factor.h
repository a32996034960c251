/* The moments of a layer's inputs, made ready for its weights: shrunk, damped, ordered
 * and factored, once for all weights that share the inputs. */
#ifndef NIBBLE_SOLVE_FACTOR_H
#define NIBBLE_SOLVE_FACTOR_H

#include "solve/algebra.h"
#include "solve/moments.h"

#include <stdbool.h>
#include <stdint.h>

/* Of H, which is the covariance, or E[x xT] where nothing corrects what quantizing does
 * to the mean of the output. */
struct factor {
    const struct moments *moments;
    size_t inputs;
    bool centered;
    /* Inputs from the least important to the most important one; row and column k of
     * `lower` are those of input order[k]. Quantized from the last to the first. */
    uint32_t *order;
    uint32_t *place;    /* of each input in that order */
    double *lower;      /* L L^T = H, shrunk and damped; NULL where it has none */
    double *importance; /* the diagonal of that, input by input */
    double *raw;        /* the diagonal of H */
    double *mean;       /* of x, input by input */
    double *target;     /* of what outputs are to be made of: mean, or the target's */
    double *change;     /* E[target xT] - H in that order; NULL: there is no target */
    double shrink, damping;
};

/* False when out of memory, or on moments that are not finite (STATUS_MALFORMED). */
bool factor_make(const struct algebra *algebra, const struct moments *moments,
                 bool centered, struct factor *factor, struct error *err);
void factor_free(struct factor *factor); /* a zeroed one is fine */

#endif
