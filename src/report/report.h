/* Turns a plan, filled or not, into the structs of nibble.h. */
#ifndef NIBBLE_REPORT_REPORT_H
#define NIBBLE_REPORT_REPORT_H

#include "compute/compute.h"
#include "fill/fill.h"
#include "nibble.h"

/* What the pipeline knows and the plan does not. */
struct report_facts {
    const char *model;
    const char *output; /* NULL if none was written */
    const char *cpu;
    const struct plan_options *planning;
    int64_t ir_before;
    int64_t opset_before;
    int64_t opset_after;
    size_t codes_stored; /* weights whose QuantizeLinear was computed */
    bool measured;       /* the results hold errors */
    bool sampled;        /* and those are only of a part of each weight */
    bool calibrated;
    size_t histograms;   /* of the worst weights; the results hold counts */
    size_t top;          /* weights that the text lists; 0: all */
    const char *command; /* NULL if it is not known */
    size_t depth;        /* of the model, counted in quantized weights */
    struct compute_counts compute;
};

/* Makes a report, which needs neither model nor plan later. `results` is NULL if nothing
 * was filled. Returns NULL if memory ran out. */
struct nibble_report *report_make(const struct model *model, const struct plan *plan,
                                  const struct fill_result *results,
                                  const struct report_facts *facts);

/* Adds what other options would give. False if memory ran out. */
bool report_add_hint(struct nibble_report *report, const char *options, double snr_db,
                     double bits_per_weight);

#endif
