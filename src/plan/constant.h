/* Constants that a graph computes from constants. Some weights reach their operator
 * through Slice, Concat, Unsqueeze and the like. */
#ifndef NIBBLE_PLAN_CONSTANT_H
#define NIBBLE_PLAN_CONSTANT_H

#include "onnx/graph.h"
#include "onnx/tensor.h"

enum { CONSTANT_RANK_MAX = 16 };

/* A float constant. It is a view: the values lie somewhere else. */
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
    uint64_t room; /* bytes that new values may still take */
    unsigned depth;
    const struct constant **known; /* what each value is, by its number */
};

/* Begins with nothing evaluated. The caller has set model, err and room. */
bool constants_begin(struct evaluation *evaluation, const struct graph_index *index);
void constants_end(struct evaluation *evaluation);

/* Whether the operator only moves or converts the values of a constant. */
bool constant_can_fold(const Onnx__NodeProto *node);

/* Evaluates a value. It is evaluated only once. False on an error, and (without an error)
 * if it is no such constant. Large results go to an unlinked temporary file. */
bool constant_evaluate(struct evaluation *evaluation, struct value *value,
                       struct constant *constant);

/* The result of an earlier evaluation. NULL if the value is no constant, or was not
 * evaluated. */
const struct constant *constant_known(const struct evaluation *evaluation,
                                      const struct value *value);

/* Makes the values contiguous, and a payload for them. */
struct payload *constant_payload(struct evaluation *evaluation,
                                 const struct constant *constant);

uint64_t constant_elements(const struct constant *constant);

#endif
