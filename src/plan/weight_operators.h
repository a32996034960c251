/* The operators that have weights, and the layout of a weight in each of them. */
#ifndef NIBBLE_PLAN_WEIGHT_OPERATORS_H
#define NIBBLE_PLAN_WEIGHT_OPERATORS_H

#include "plan/neighbours.h"

/* What a runtime does with a weight there. */
enum consumer {
    CONSUMER_PLAIN,   /* decodes it before use */
    CONSUMER_FUSED,   /* ONNX Runtime fuses DequantizeLinear into it */
    CONSUMER_LOOKUP,  /* reads some rows: only these are decoded */
    CONSUMER_EXPERTS, /* has banks of experts, and another operator takes their codes */
};

struct layout {
    size_t channel;    /* the axis of output channels */
    size_t reduction;  /* the axis that is summed over; blocks run along it */
    bool cut;          /* by default, channels are cut into blocks */
    bool bias_unknown; /* it is fused only if the bias is a vector, but the bias is not
                          known */
    bool activated; /* an activation follows that ONNX Runtime joins with it, so that it
                       does not fuse codes that DequantizeLinear decodes */
    bool span; /* channels reach over two axes: they need blocks to have scales of their
                  own */
    bool
        table; /* its values reach the activations as they are: nothing multiplies them */
    bool transposed; /* it is handed into a body that transposes it first */
    bool no_weight;  /* the operator takes a bias or the like there */
    bool foreign;    /* the operator is not known to have weights */
    uint64_t block;  /* the default size of blocks; 0: the axis decides */
    enum consumer consumer;
    enum integer integer; /* what an integer operator in its place would take */
};

/* Finds the layout of a weight with these dims in the operator that uses it. If the
 * weight is handed into a body of Loop or Scan or into a local function, looks inside.
 * Returns NULL, or says in plain words (in the arena) why this use does not allow
 * quantizing. */
const char *operator_layout(struct arena *arena, const struct graph_index *index,
                            const struct use *use, const int64_t *dims, size_t rank,
                            struct layout *layout);

/* Joins the layouts of two uses of one weight, so that integer operators suit both. */
void layout_join(struct layout *layout, const struct layout *other);

#endif
