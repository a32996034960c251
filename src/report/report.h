/* Reports: from the plan, filled or not, to the structs of nibble.h. */
#ifndef NIBBLE_REPORT_REPORT_H
#define NIBBLE_REPORT_REPORT_H

#include "fill/fill.h"
#include "nibble.h"

/* What the pipeline knows beside the plan. */
struct report_facts {
    const char *model, *output; /* output: NULL where none was written */
    const char *cpu;
    int64_t ir_before, opset_before, opset_after;
    uint64_t bytes_after;
    bool measured; /* the results hold errors */
};

/* A report that needs neither model nor plan any more. `results` is NULL if nothing was
 * filled. NULL when out of memory. */
struct nibble_report *report_make(const struct model *model, const struct plan *plan,
                                  const struct fill_result *results,
                                  const struct report_facts *facts);

#endif
