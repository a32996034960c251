/* The table of changes between opsets, which is all that model_upgrade knows. */
#ifndef NIBBLE_UPGRADE_OPSET_CHANGES_H
#define NIBBLE_UPGRADE_OPSET_CHANGES_H

#include "upgrade/rewrite.h"

/* One operator changes at one opset. */
struct change {
    const char *op_type;
    int64_t version;     /* the first opset with the new form */
    rewrite_fn *rewrite; /* turns version - 1 into version; NULL: nothing to do */
    const char *refusal; /* why such nodes can't be raised; NULL: they can */
    const char *text;    /* one line for docs/upgrading.md */
};

/* All changes, sorted by version. */
extern const struct change changes[];
extern const size_t change_count;

/* Finds the first change in (source, target] that rewrites or refuses nodes of that
 * operator. NULL if there is none. */
const struct change *change_next(const char *op_type, int64_t source, int64_t target);

#endif
