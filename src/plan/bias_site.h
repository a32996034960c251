/* Where a vector can be added to the output of a weight's operator: to its bias, to a new
 * bias, or to the constant of an Add behind it. */
#ifndef NIBBLE_PLAN_BIAS_SITE_H
#define NIBBLE_PLAN_BIAS_SITE_H

#include "plan/plan.h"

struct bias_site {
    Onnx__NodeProto *node; /* the bias is an input of this node */
    size_t input;
    struct scope *scope;
    struct value *old; /* NULL if there is no bias yet */
    size_t rank;
    int64_t dims[2]; /* of a new bias */
    /* Number n of group g belongs at g * group_stride + first + n. */
    size_t group_stride, first;
};

/* False if there is no such place. */
bool bias_site(const struct plan_item *item, const struct use *use,
               struct bias_site *site);

#endif
