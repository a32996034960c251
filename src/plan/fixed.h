/* Constants that no training made: bases of transforms, filter banks, tables of positions
 * and coordinates. What follows them often looks at small values beside large ones, so 4
 * bits ruin it, and they are small. */
#ifndef NIBBLE_PLAN_FIXED_H
#define NIBBLE_PLAN_FIXED_H

#include "plan/uses.h"

/* Why the item, whose source is set, is such a constant; NULL: it may be a weight. Reads
 * some hundred of its values. */
const char *fixed_reason(const struct plan_item *item, const struct weight_uses *uses);

#endif
