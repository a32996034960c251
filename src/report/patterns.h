/* The patterns of the options in a report. */
#ifndef NIBBLE_REPORT_PATTERNS_H
#define NIBBLE_REPORT_PATTERNS_H

#include "nibble.h"
#include "plan/plan.h"

/* Sets report->patterns. Names come from report->weights. `planning` may be NULL. */
bool patterns_report(struct arena *arena, const struct plan_options *planning,
                     const struct plan *plan, struct nibble_report *report);

#endif
