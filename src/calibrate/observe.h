/* Observing: which tensors of a model's runs are wanted, and what becomes of them. */
#ifndef NIBBLE_CALIBRATE_OBSERVE_H
#define NIBBLE_CALIBRATE_OBSERVE_H

#include "calibrate/instrument.h"
#include "calibrate/statistics.h"

/* A tensor to observe. */
struct observed_tensor {
    const char *name;
    bool is_input; /* of the model; else an output of the instrumented one */
};

/* A site, without what belongs to the model. */
struct observed_site {
    struct site site;
    size_t tensors[SITE_VALUES]; /* counted from 1; 0: absent */
    struct sums *sums;
};

struct observer {
    struct arena *arena;
    struct observed_tensor *tensors;
    struct observed_site *sites;
    size_t tensor_count, site_count;
    struct map by_name; /* tensors, counted from 1 */
    struct statistics statistics;
};

/* Instruments the model for all weights that the plan quantizes, and says what there is
 * to observe. The graph index is out of date then. */
bool observer_make(struct model *model, const struct graph_index *index,
                   const struct plan *plan, struct observer *observer, struct error *err);
void observer_free(struct observer *observer); /* a zeroed one is fine */

/* Takes one run in, all or, with an error, nothing of it. */
bool observer_run(struct observer *observer, const struct algebra *algebra,
                  const struct nibble_array *arrays, size_t count, int threads,
                  struct error *err);

#endif
