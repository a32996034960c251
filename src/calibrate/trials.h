/* Trials: the float model with its weights as inputs, so that a caller can run it with
 * other values of some of them. */
#ifndef NIBBLE_CALIBRATE_TRIALS_H
#define NIBBLE_CALIBRATE_TRIALS_H

#include "calibrate/observe.h"
#include "plan/bias_site.h"

/* A bias that trials change: those of both weights of a recurrent operator are one. */
struct trial_bias {
    const char *name;
    int64_t dims[2];
    size_t rank, count;
    float *values; /* with what was kept */
};

struct trial {
    size_t item;      /* of the plan */
    const char *name; /* of the input for its values */
    size_t step;      /* weights of one step have the same input, in the model's order */
    const struct observed_site *site; /* NULL: nothing is observed for it */
    struct trial_bias *bias;          /* NULL: none */
    size_t group_stride, first;       /* as bias_site has them */
};

struct trials {
    struct arena *arena;
    struct trial *list;
    size_t count, steps;
};

/* Turns weights and biases of the plan into inputs of the model, which has been
 * instrumented for the observer. The graph index is out of date then. Weights that are
 * stored in several forms, or with others, and those of functions have no trial. */
bool trials_make(struct model *model, const struct plan *plan,
                 const struct observer *observer, struct trials *trials,
                 struct error *err);
void trials_free(struct trials *trials); /* zeroed ones are fine */

#endif
