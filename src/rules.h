/* Rules of the options: reads them. plan/ applies them. */
#ifndef NIBBLE_RULES_H
#define NIBBLE_RULES_H

#include "nibble.h"
#include "plan/plan.h"

/* Reads options->rules into `planning`. rules_free frees them, also after a failure. */
bool rules_make(const struct nibble_options *options, struct plan_options *planning,
                struct error *err);
void rules_free(struct plan_options *planning);

#endif
