/* Banks: stacks of matrices of which a Gather takes some, as in mixtures of experts. */
#ifndef NIBBLE_PLAN_BANKS_H
#define NIBBLE_PLAN_BANKS_H

#include "plan/weight_operators.h"

/* Whether a GatherND takes whole rows, by indices with one coordinate each. */
bool bank_takes_rows(const struct use *use);

/* The layout of a bank with these dims: that of its matrices where they are used in the
 * end. */
void bank_layout(const struct use *use, const int64_t *dims, size_t rank,
                 struct layout *layout);

#endif
