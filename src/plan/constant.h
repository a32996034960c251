/* Constants that a graph computes from constants: a weight that reaches its
 * operator through Slice, Concat, Unsqueeze and the like. */
#ifndef NIBBLE_PLAN_CONSTANT_H
#define NIBBLE_PLAN_CONSTANT_H

#include "onnx/graph.h"
#include "onnx/tensor.h"

enum { CONSTANT_RANK_MAX = 16 };

/* A float constant, as a view of values that lie somewhere else. */
struct constant {
    const uint8_t *data;
    int data_type;
    size_t rank;
    size_t dims[CONSTANT_RANK_MAX];
    ptrdiff_t strides[CONSTANT_RANK_MAX]; /* in bytes */
};

/* What is needed to evaluate constants. */
struct evaluation {
    struct model *model;
    struct error *err;
    uint64_t room; /* bytes that may be made anew */
    unsigned depth;
    const struct constant **known; /* by the values' numbers */
};

/* Begins with nothing evaluated; model, err and room are set. */
bool constants_begin(struct evaluation *evaluation, const struct graph_index *index);
void constants_end(struct evaluation *evaluation);

/* Whether the operator only moves or converts the values of a constant. */
bool constant_can_fold(const Onnx__NodeProto *node);

/* Evaluates a value, once. False where it is no such constant (no error is set then)
 * or on an error. Large results go to an unlinked temporary file. */
bool constant_evaluate(struct evaluation *evaluation, struct value *value,
                       struct constant *constant);

/* What an earlier evaluation found the value to be; NULL: no constant, or none yet. */
const struct constant *constant_known(const struct evaluation *evaluation,
                                      const struct value *value);

/* The values in a row, and a payload for them. */
struct payload *constant_payload(struct evaluation *evaluation,
                                 const struct constant *constant);

uint64_t constant_elements(const struct constant *constant);

#endif
