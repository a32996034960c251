/* Choosing type and granularity for each weight, as --bits-per-weight and --min-snr ask
 * for. Measures the error of every choice, then decides (plan/budget.h). */
#ifndef NIBBLE_CHOOSE_H
#define NIBBLE_CHOOSE_H

#include "fill/fill.h"
#include "nibble.h"
#include "plan/budget.h"

struct choices {
    struct arena *arena; /* holds the keys */
    struct map by_key;   /* for plan_options.choices */
    struct plan_choice rows[BUDGET_CHOICES];
    struct progress_share {
        void (*report)(void *data, uint64_t done, uint64_t total);
        void *data;
        unsigned loop, loops;
    } share;
};

/* The input of choosing. `findings` notes weights whose values can't be quantized at all.
 * `filling` keeps the share of progress that measuring has taken. */
struct choose_input {
    const struct nibble_options *options;
    struct model *model;
    const struct graph_index *index;
    const struct plan_options *planning;
    struct fill_options *filling;
    struct plan_findings *findings;
};

bool choices_wanted(const struct nibble_options *options);

/* Chooses. `choices` must be zeroed before, and must outlive all plans that are made with
 * them. They are valid for every pass over the model. Fails with STATUS_INVALID if even
 * the smallest choices take more than is allowed. */
bool choices_make(struct choices *choices, const struct choose_input *input,
                  struct error *err);
void choices_free(struct choices *choices); /* zeroed choices are fine */

#endif
