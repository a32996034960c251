/* The handle of nibble.h, as the pipeline sees it. */
#ifndef NIBBLE_CALIBRATION_H
#define NIBBLE_CALIBRATION_H

#include "calibrate/observe.h"
#include "calibrate/solutions.h"

struct nibble_calibration {
    char *model;
    char *include, *exclude, *cpu; /* the options' own strings are the caller's */
    struct nibble_options options;
    uint64_t identity;
    struct algebra *algebra;
    struct observer observer;
};

/* Solves what a plan of this model quantizes. */
bool calibration_solve(const struct nibble_calibration *calibration, struct plan *plan,
                       const struct solutions_options *options,
                       struct solutions *solutions, struct error *err);

/* Refuses another model; to be asked before it is changed. */
bool calibration_check(const struct nibble_calibration *calibration,
                       const struct model *model, struct error *err);

#endif
