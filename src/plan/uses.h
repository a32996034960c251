/* The uses of a weight, which decide what replaces it, and their grouping into items. */
#ifndef NIBBLE_PLAN_USES_H
#define NIBBLE_PLAN_USES_H

#include "plan/plan.h"
#include "plan/weight_operators.h"

/* A use of a weight, and the layout there, in the axes of the weight. */
struct weight_use {
    struct use use; /* use.next links the uses of one item */
    struct layout layout;
    uint64_t bytes;  /* that codes for this use alone would take */
    bool shares;     /* its operator may share the codes with other operators */
    bool turned;     /* it looks up columns of the weight, through a Transpose */
    bool transposed; /* this use, or a later one in its list, is behind a Transpose */
};

struct weight_uses {
    struct weight_use *items;
    size_t count;
    struct weight_use **heads; /* room for the first use of each item */
    /* Set by weight_uses_settle: how many uses need codes of their own, and the bytes of
     * all these codes. One set of codes must be stored anyway and is not counted. */
    size_t own;
    uint64_t copy_bytes;
    bool no_weight; /* it is a bias or the like */
};

/* How uses share codes. */
enum use_grouping {
    GROUP_COPIES, /* fused uses have codes of their own; the others share codes */
    GROUP_SHARED, /* uses share codes and are not fused */
    GROUP_ONE,    /* one item serves all uses */
};

/* Collects the uses of a weight. A Transpose of a matrix is looked through: the uses of
 * its output count instead. Operators that are not known to have weights take the decoded
 * weight, if others do have it as a weight. Returns NULL, or the reason why a use does
 * not allow quantizing. */
const char *weight_uses_collect(struct arena *arena, const struct graph_index *index,
                                const struct plan_item *item, struct weight_uses *uses);

/* Makes operators of experts take decoded weights. */
void weight_uses_decode(struct weight_uses *uses);

/* Finds out which uses can have a form of their own, and how many bytes copies take. */
void weight_uses_settle(const struct plan_options *options, const struct plan_item *item,
                        struct weight_uses *uses);

/* Cuts settled uses into lists. Each list is served by one item. Calls fn for every list
 * with its first use. May be called again with a later grouping. */
typedef bool weight_uses_fn(void *context, const struct weight_use *first, bool alone,
                            bool copy);
bool weight_uses_group(const struct plan_options *options, enum use_grouping grouping,
                       struct weight_uses *uses, weight_uses_fn *fn, void *context);

/* The output of the Transpose through which the item is used. NULL if the weight itself
 * is used. */
struct value *use_through(const struct plan_item *item, const struct use *use);

#endif
