/* The operators that only move or convert values, and the functions of constant.c that
 * they use. */
#ifndef NIBBLE_PLAN_CONSTANT_OPS_H
#define NIBBLE_PLAN_CONSTANT_OPS_H

#include "plan/constant.h"

struct constant_op {
    const char *op_type;
    bool (*evaluate)(struct evaluation *evaluation, struct value *value,
                     struct constant *constant);
};

/* The row of a node's operator. NULL if constants are not folded through it. */
const struct constant_op *constant_op_of(const Onnx__NodeProto *node);

void constant_set_strides(struct constant *constant); /* of contiguous values */
bool constant_pack(struct evaluation *evaluation, struct constant *constant);
void *constant_room(struct evaluation *evaluation, uint64_t size, struct file **file);
void constant_copy(const struct constant *from, uint8_t *out, const ptrdiff_t *strides,
                   size_t axis, const uint8_t *data);

#endif
