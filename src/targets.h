/* What the name of a runtime stands for. All of these expect known enumerators. */
#ifndef NIBBLE_TARGETS_H
#define NIBBLE_TARGETS_H

#include "nibble.h"
#include "plan/plan.h"

/* When weights are decoded: as the options say or, at their default, as suits the
 * target. */
enum decode target_decode(const struct nibble_options *options);

/* Which rules of a runtime the plan meets. */
enum target target_layout(const struct nibble_options *options);

/* Whether weights get operators of com.microsoft where they can. */
bool target_takes_nbits(const struct nibble_options *options);

/* Why the target can't have operators of com.microsoft, or weights that are decoded as
 * the options say. NULL: it can. */
const char *target_refuses_nbits(const struct nibble_options *options);
const char *target_refuses_decode(const struct nibble_options *options);

#endif
