/* What plan.c and reasons.c share while a plan is made. */
#ifndef NIBBLE_PLAN_PLANNER_H
#define NIBBLE_PLAN_PLANNER_H

#include "constants/evaluate.h"
#include "core/pages.h"
#include "plan/uses.h"

struct planner {
    struct model *model;
    const struct graph_index *index;
    const struct plan_options *options;
    struct plan *plan;
    struct plan_item *item;  /* the weight that is decided on */
    struct plan_options own; /* the options for this weight */
    const struct weight_uses
        *shared;       /* its uses, if it has uses that need copies and get none */
    size_t first;      /* the first item of this weight */
    uint64_t copied;   /* the bytes of all copies so far */
    bool *shown;       /* by number: constants that constant outputs are made of */
    bool *apart;       /* by number: banks whose operator must not take codes */
    int64_t opset_max; /* that forms may need; 0: any */
    struct pages sampled;
    struct evaluator evaluator; /* begun when it is needed first */
    struct error *err;
};

/* Why the weight stays float, or NULL. Also sets what the answers tell about it: its
 * uses, its source, its own options (p->own), and whether it was requested. */
const char *planner_reason(struct planner *p, struct plan_item *item,
                           struct weight_uses *uses);

#endif
