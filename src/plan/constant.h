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
};

/* Whether the operator only moves or converts the values of a constant. */
bool constant_is_mover(const Onnx__NodeProto *node);

/* Evaluates a value, once. False where it is no such constant (no error is set then)
 * or on an error. Large results go to an unlinked temporary file. */
bool constant_evaluate(struct evaluation *evaluation, struct value *value,
                       struct constant *constant);

/* The values in a row, and a payload for them. */
struct payload *constant_payload(struct evaluation *evaluation,
                                 const struct constant *constant);

uint64_t constant_elements(const struct constant *constant);

#endif
