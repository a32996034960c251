/* The uses of a weight that decide what becomes of it, and their grouping into
 * items. */
#ifndef NIBBLE_PLAN_USES_H
#define NIBBLE_PLAN_USES_H

#include "plan/plan.h"
#include "plan/weight_operators.h"

/* A use, and how the weight lies there in its own axes. */
struct weight_use {
    struct use use; /* use.next is free for the items' lists */
    struct layout layout;
    uint64_t bytes;  /* of codes of its own */
    bool shares;     /* its operator may read codes that others read, too */
    bool transposed; /* it, or one behind it in the list, lies behind a Transpose */
};

struct weight_uses {
    struct weight_use *items;
    size_t count;
    struct weight_use **heads; /* room for the first of each item */
    /* Set by leaves_settle: how many want codes of their own, and what all of these
     * codes take but for one set that has to be stored anyway. */
    size_t own;
    uint64_t copy_bytes;
};

/* How leaves are served: */
enum use_grouping {
    GROUP_COPIES, /* those that are fused have codes of their own, others share, */
    GROUP_SHARED, /* or they share them with others and are not fused, */
    GROUP_ONE,    /* or one item serves all */
};

/* Collects the uses of a weight, through Transposes of a matrix to the operators
 * behind them. Returns NULL, or the reason why one does not allow quantizing. */
const char *weight_uses_collect(struct arena *arena, const struct graph_index *index,
                                const struct plan_item *item, struct weight_uses *uses);

/* Looks at what each leaf's own form can hold, and at what copies would take. */
void weight_uses_settle(const struct plan_options *options, const struct plan_item *item,
                        struct weight_uses *uses);

/* Cuts settled leaves into lists that are served by one item each, and calls fn for
 * every list with its first leaf. May be done again with a later grouping. */
typedef bool weight_uses_fn(void *context, const struct weight_use *first, bool alone,
                            bool copy);
bool weight_uses_group(const struct plan_options *options, enum use_grouping grouping,
                       struct weight_uses *uses, weight_uses_fn *fn, void *context);

/* The output of the Transpose that a use of the item has in the weight's place; NULL:
 * it uses the weight itself. */
struct value *use_through(const struct plan_item *item, const struct use *use);

#endif
