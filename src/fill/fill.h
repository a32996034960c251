/* Filling: quantizes the weights of a plan into the places that the writer has
 * reserved for them. One parallel loop over chunks of all weights; memory is
 * bounded by threads x chunk, and the result depends on neither the number of
 * threads nor the CPU. */
#ifndef NIBBLE_FILL_FILL_H
#define NIBBLE_FILL_FILL_H

#include "emit/emit.h"

#include <stdatomic.h>

struct fill_options {
    const struct kernels *kernels;
    int threads;  /* 0: one for each CPU */
    bool measure; /* find the weights' errors, too, which takes longer */
    bool sample;  /* measure only an eighth of large weights: enough for an estimate */
    bool count;   /* count values on their grids, too */
    const volatile int *cancel;
    /* May be NULL. `done` and `total` are bytes. */
    void (*progress)(void *data, uint64_t done, uint64_t total);
    void *progress_data;
};

typedef atomic_uint_fast64_t grid_counter;

/* What filling found out about one item. */
struct fill_result {
    grid_counter *counts;     /* in the bars of its type; NULL unless it was counted */
    struct quant_error error; /* all zero unless it was measured */
    enum quant_fit fit;
};

/* Writes codes, scales and zero points of every quantized item into its tensors. With
 * tensors NULL nothing is written; the results are the same. *results has an entry for
 * each item, in the plan's arena: its fit and, if options->measure is set, its error. If
 * a fit is not OK, what was written for that weight is undefined, and the caller must
 * plan again without it. False if reading or writing fails, or on a cancel. */
bool fill_plan(const struct plan *plan, const struct item_tensors *tensors,
               const struct fill_options *options, struct fill_result **results,
               struct error *err);

#endif
