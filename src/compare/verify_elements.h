/* Whether the elements of a weight are what a file has of them. */
#ifndef NIBBLE_COMPARE_VERIFY_ELEMENTS_H
#define NIBBLE_COMPARE_VERIFY_ELEMENTS_H

#include "constants/evaluate.h"
#include "plan/plan.h"

/* What a file has of an item, and what was told about it. */
struct stored_item {
    const struct plan_item *item;
    const uint8_t *scales, *zeros;  /* in the file; zeros may be NULL */
    const struct quant_error *told; /* NULL: the errors were not measured */
    const volatile int *cancel;
};

enum { DIFFERENCE_SIZE = 160 };

/* Whether each decoded element is as near to its source as its grid allows, and all of
 * them have the errors that were told. If not, `how` says so, or there is an error. */
bool elements_agree(const struct stored_item *stored, const struct array *decoded,
                    char how[DIFFERENCE_SIZE], struct error *err);

/* Whether those are the rounded values of a constant that is stored as float16. */
bool narrowed_agree(const struct plan_item *item, const uint8_t *written);

#endif
