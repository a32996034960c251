/* Bounds for regular expressions of users. */
#ifndef NIBBLE_PLAN_PATTERN_H
#define NIBBLE_PLAN_PATTERN_H

#include "core/error.h"

/* Refuses a pattern that regcomp or regexec might need too much memory, stack or time
 * for. `option` is for the message. */
bool pattern_check(const char *option, const char *pattern, struct error *err);

#endif
