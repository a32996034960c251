/* Filling: quantizes the weights of a plan into the places that the writer has
 * reserved for them. One parallel loop over chunks of all weights; memory is
 * bounded by threads x chunk, and the result depends on neither the number of
 * threads nor the CPU. */
#ifndef NIBBLE_FILL_FILL_H
#define NIBBLE_FILL_FILL_H

#include "plan/plan.h"

struct fill_options {
    const struct kernels *kernels;
    int threads;  /* 0: one for each CPU */
    bool measure; /* find the weights' errors, too, which takes longer */
    const volatile int *cancel;
    void (*progress)(void *data, uint64_t done,
                     uint64_t total); /* in bytes; may be NULL */
    void *progress_data;
};

/* Writes codes, scales and zero points of every quantized item, and sets its
 * fit and, if measured, its error. A weight whose fit is not OK has undefined contents:
 * the caller must plan again without it. False on a failed write or a cancel.
 *
 * On a plan that nothing was emitted for nothing is written: errors and fits are those
 * that filling would set. */
bool fill_plan(struct plan *plan, const struct fill_options *options, struct error *err);

#endif
