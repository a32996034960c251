/* Mixtures of experts in one operator, MoE of com.microsoft. Its weights are banks, and
 * QMoE takes codes of all of them or of none. */
#ifndef NIBBLE_PLAN_EXPERTS_H
#define NIBBLE_PLAN_EXPERTS_H

#include "plan/plan.h"
#include "plan/weight_operators.h"

enum { EXPERTS_BANKS = 3, EXPERTS_FIRST = 2 }; /* inputs 2, 4 and 6 */

/* Sets the layout of a bank: [experts, outputs, inputs]. */
void experts_layout(const struct use *use, struct layout *layout);

/* The block size of an item with such a layout. 0: each row has one scale. */
size_t experts_block(const struct plan_item *item);

/* Whether the operator only takes the experts' outputs as they come, although their
 * shares do not add up to 1. QMoE of CPUs needs the shares as an input then. */
bool experts_keep_shares(const Onnx__NodeProto *node);

/* Finds the weights whose operator can't take codes, because other banks of it have none
 * or have codes of another kind. Sets apart[value->number]. Sets *found if there are any
 * that were not set before. */
bool experts_part(const struct plan *plan, bool *apart, bool *found, struct error *err);

#endif
