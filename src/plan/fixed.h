/* Constants that were not learned: bases of transforms, filter banks, tables of positions
 * and coordinates. Operators behind them often need small values beside large ones, which
 * 4 bits would ruin. Such constants are small. */
#ifndef NIBBLE_PLAN_FIXED_H
#define NIBBLE_PLAN_FIXED_H

#include "plan/uses.h"

/* Says why the item is such a constant. NULL if it may be a weight. The item's source
 * must be set. Reads some hundred of its values. */
const char *fixed_reason(const struct plan_item *item, const struct weight_uses *uses);

/* Whether the values lie on a grid, or are those of waves. May miss some. */
bool fixed_is_regular(const struct plan_item *item);

#endif
