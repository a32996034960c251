/* Trials that are going on: a session that stays, and what was kept of it. */
#ifndef NIBBLE_TRYING_H
#define NIBBLE_TRYING_H

#include "calibrate/trials.h"
#include "calibration.h"

struct trying {
    struct session session; /* of the model as it is: its plan is what is tried */
    struct trials trials;
    struct nibble_trial *shown;
    struct arena *arena;
    struct map kept; /* struct kept, by plan_key */
    struct kept *all;
    struct statistics pairs; /* of the sites of one step */
    size_t step;             /* counted from 1; 0: none */
};

/* What trials have kept of a weight, where it fits the item; NULL: nothing. False when
 * out of memory. */
bool trying_kept(const struct trying *trying, const struct plan_item *item,
                 const struct solution **kept, struct error *err);

void trying_free(struct trying *trying); /* NULL is fine */

#endif
