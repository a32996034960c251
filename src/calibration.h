/* The handle of nibble.h, as the pipeline sees it. */
#ifndef NIBBLE_CALIBRATION_H
#define NIBBLE_CALIBRATION_H

#include "calibrate/observe.h"
#include "calibrate/solutions.h"
#include "choice_table.h"

/* The model with its plan, read anew by each call that needs it. */
struct session {
    struct nibble_options options;
    struct file *file;
    struct model *model;
    struct graph_index index;
    struct plan_options planning;
    struct fill_options filling;
    struct plan_findings findings;
    struct choices choices;
    struct plan plan;
};

struct nibble_calibration {
    char *model;
    char *include, *exclude, *cpu; /* the options' own strings are the caller's */
    char **rules;                  /* as many as the options have, then NULL */
    struct nibble_options options;
    uint64_t identity;
    struct algebra *algebra;
    struct observer observer;
    struct trying *trying;      /* trying.h; NULL: no trials */
    struct map costs;           /* of weights by plan_key: struct trial_cost, */
    struct arena *arena;        /* and keys and numbers are in here */
    struct choice_table *table; /* what choices cost, as far as is known; or NULL */
};

/* Reads the calibration's model; checks that it is the same. */
bool session_begin(struct session *session, const struct nibble_calibration *calibration,
                   const struct nibble_options *options, struct error *err);

/* Plans, with choices made before where the options leave some open. */
bool session_plan(struct session *session, struct error *err);
bool session_write(struct session *session, const char *output, struct error *err);
void session_end(struct session *session); /* a zeroed one is fine */

/* The noise of a weight that was tried, relative to the signal: of its layer's output,
 * and of the model's output, as a caller has measured it. */
struct trial_cost {
    double layer, output;
    bool known; /* the caller has said `output` */
};

/* NULL: nobody has measured it. */
const struct trial_cost *calibration_cost(const struct nibble_calibration *calibration,
                                          const char *key);

/* Solves what a plan of this model quantizes; with `kept`, as trials have. */
bool calibration_solve(const struct nibble_calibration *calibration, struct plan *plan,
                       const struct solutions_options *options, bool kept,
                       struct solutions *solutions, struct error *err);

/* Refuses another model; to be asked before it is changed. */
bool calibration_check(const struct nibble_calibration *calibration,
                       const struct model *model, struct error *err);

#endif
