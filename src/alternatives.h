/* Hints: what other types and block sizes would make of the same model, measured. */
#ifndef NIBBLE_ALTERNATIVES_H
#define NIBBLE_ALTERNATIVES_H

#include "choose.h"

struct alternatives {
    struct choice_table *table; /* NULL: not asked for */
    struct progress_share share;
};

/* Measures them, unless that was done in an earlier pass. */
bool alternatives_measure(struct alternatives *alternatives,
                          const struct choose_input *input, struct error *err);

/* Adds a hint to the report for each that is better than the plan. `results` has the
 * errors of the plan. */
bool alternatives_report(const struct alternatives *alternatives, const struct plan *plan,
                         const struct fill_result *results, struct nibble_report *report,
                         struct error *err);

void alternatives_free(struct alternatives *alternatives); /* zeroed ones are fine */

#endif
