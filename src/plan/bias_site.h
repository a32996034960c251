/* Where a vector can be added to what a weight's operator gives: in the bias that it has,
 * in one that it may have, or in a constant that an Add behind it adds. */
#ifndef NIBBLE_PLAN_BIAS_SITE_H
#define NIBBLE_PLAN_BIAS_SITE_H

#include "plan/plan.h"

struct bias_site {
    Onnx__NodeProto *node; /* whose input it is */
    size_t input;
    struct scope *scope;
    struct value *old; /* NULL: there is none yet */
    size_t rank;
    int64_t dims[2]; /* of one to be made */
    /* Number n of group g belongs at g * group_stride + first + n. */
    size_t group_stride, first;
};

/* False where there is no such place. */
bool bias_site(const struct plan_item *item, const struct use *use,
               struct bias_site *site);

#endif
