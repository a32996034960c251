/* Which constants that stay float32 are stored as float16. A Cast makes them float32
 * again, and runtimes compute it once, when they load the model. */
#ifndef NIBBLE_PLAN_FLOAT16_H
#define NIBBLE_PLAN_FLOAT16_H

#include "plan/plan.h"

/* Sets as_float16 or float32_reason of every item that stays float32, and counts the
 * former. Does nothing unless the options ask for it. Reads all values of those items. */
bool plan_float16(struct model *model, const struct plan_options *options,
                  struct plan *plan, struct error *err);

/* Whether a tensor with this name and so many elements gets smaller, although a Cast
 * comes with it. */
bool float16_pays(const char *name, uint64_t elements);

#endif
