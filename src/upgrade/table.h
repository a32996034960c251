/* The table of changes between opsets: all of what model_upgrade knows. */
#ifndef NIBBLE_UPGRADE_TABLE_H
#define NIBBLE_UPGRADE_TABLE_H

#include "upgrade/rewrite.h"

/* One operator changes at one opset. */
struct change {
    const char *op_type;
    int64_t version;     /* the first opset with the new form */
    rewrite_fn *rewrite; /* from the form of version - 1 to that of version; NULL: none */
    const char *refusal; /* no rewrite: why such nodes can't be raised; NULL: they can,
                            there is nothing to do, and `text` says why */
    const char *text;    /* one line for docs/upgrading.md */
};

/* All changes, by version. */
extern const struct change changes[];
extern const size_t change_count;

/* The change with the lowest version in (source, target] that rewrites or refuses
 * nodes of that operator; NULL: none. */
const struct change *change_next(const char *op_type, int64_t source, int64_t target);

#endif
