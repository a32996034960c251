/* The table of operators that can compute in float16. All others stay float32. */
#ifndef NIBBLE_COMPUTE_COMPUTE_OPERATORS_H
#define NIBBLE_COMPUTE_COMPUTE_OPERATORS_H

#include "onnx/node.h"

enum compute_kind {
    /* Stays float32. Its output may be larger or smaller than float16 can hold. */
    COMPUTE_WIDENS,
    /* Moves or combines values. So it stays float32 if its inputs are wide. */
    COMPUTE_FOLLOWS,
    /* The same, but whatever the inputs, its outputs fit into float16. */
    COMPUTE_BOUNDS,
    /* Sums of many products, and what else is worth it. Rounds small values away. */
    COMPUTE_PRODUCTS,
};

/* A mask of inputs. */
enum { COMPUTE_ALL = 0xff };

struct compute_operator {
    const char *op_type;
    enum compute_kind kind;
    unsigned stays;      /* inputs that are float32 whatever the others are */
    unsigned limits;     /* inputs that only bound others: they may be infinite */
    int64_t since;       /* the first opset that allows float16; 0: any */
    const char *outputs; /* of other domains: see operator_versions.h */
};

/* NULL: the operator stays float32. */
const struct compute_operator *compute_operator_find(const Onnx__NodeProto *node,
                                                     int64_t opset);

/* Whether the input makes positions, phases, indices or whole numbers, which a small
 * relative error ruins. */
bool compute_is_place(const Onnx__NodeProto *node, size_t input);

/* Whether the operator takes either type at this input, and neither changes what it
 * gives. */
bool compute_takes_any(const Onnx__NodeProto *node);

static inline bool compute_in_mask(unsigned mask, size_t input)
{
    return mask >> (input < 7 ? input : 7) & 1;
}

#endif
