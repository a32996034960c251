/* Solutions for the weights of a plan, from statistics. */
#ifndef NIBBLE_CALIBRATE_SOLUTIONS_H
#define NIBBLE_CALIBRATE_SOLUTIONS_H

#include "calibrate/statistics.h"
#include "solve/solve.h"

struct solutions {
    struct solution *list; /* of the items that have one */
    size_t count;
};

struct solutions_options {
    const struct algebra *algebra;
    const struct kernels *kernels;
    int threads;
    const volatile int *cancel;
};

/* Solves all items whose inputs were observed, and sets their `solution`. They must
 * outlive the plan's use. */
bool solutions_make(struct plan *plan, const struct statistics *statistics,
                    const struct solutions_options *options, struct solutions *solutions,
                    struct error *err);
void solutions_free(struct solutions *solutions); /* zeroed ones are fine */

#endif
