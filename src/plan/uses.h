/* The uses of a weight that decide what becomes of it, and their grouping into
 * items. */
#ifndef NIBBLE_PLAN_USES_H
#define NIBBLE_PLAN_USES_H

#include "plan/operators.h"
#include "plan/plan.h"

/* A use, and how the weight lies there in its own axes. */
struct leaf {
    struct use use; /* use.next is free for the items' lists */
    struct layout layout;
    bool shares;     /* its operator may read codes that others read, too */
    bool transposed; /* it, or one behind it in the list, lies behind a Transpose */
};

struct leaves {
    struct leaf *items;
    size_t count;
    struct leaf **heads; /* room for the first of each item */
};

/* Collects the uses of a weight, through Transposes of a matrix to the operators
 * behind them. Returns NULL, or the reason why one does not allow quantizing. */
const char *leaves_collect(struct arena *arena, const struct graph_index *index,
                           const struct plan_item *item, struct leaves *leaves);

/* Cuts the leaves into lists that are served by one item each, and calls fn for
 * every list with its first leaf. */
typedef bool leaves_fn(void *context, const struct leaf *first, bool alone, bool copy);
bool leaves_group(const struct plan_options *options, const struct plan_item *item,
                  struct leaves *leaves, leaves_fn *fn, void *context);

/* The output of the Transpose that a use of the item has in the weight's place; NULL:
 * it uses the weight itself. */
struct value *use_through(const struct plan_item *item, const struct use *use);

#endif
