/* The operators that carry weights, and how a weight lies in each of them. */
#ifndef NIBBLE_PLAN_WEIGHT_OPERATORS_H
#define NIBBLE_PLAN_WEIGHT_OPERATORS_H

#include "plan/neighbours.h"

/* What a runtime can make of a weight there. */
enum consumer {
    CONSUMER_PLAIN,  /* decodes it before use */
    CONSUMER_FUSED,  /* ONNX Runtime fuses DequantizeLinear into it */
    CONSUMER_LOOKUP, /* reads rows of it: only those need be decoded */
};

struct layout {
    size_t channel;    /* the axis of output channels */
    size_t reduction;  /* the axis summed over: blocks run along it */
    bool cut;          /* channels are cut into blocks unless told otherwise */
    bool bias_unknown; /* fused only if the bias is a vector, which can't be seen */
    bool span;         /* channels reach over two axes: only blocks can tell them apart */
    bool transposed;   /* in a body that it is handed into, a Transpose comes first */
    enum consumer consumer;
    enum integer integer; /* operator that ONNX Runtime may put in its place */
};

/* How a weight of these dims lies in the operator that uses it, looked for in
 * the bodies of Loop, Scan and local functions where it is handed into one.
 * Returns NULL, or in plain words (in the arena) why this use does not allow
 * quantizing. */
const char *operator_layout(struct arena *arena, const struct graph_index *index,
                            const struct use *use, const int64_t *dims, size_t rank,
                            struct layout *layout);

/* What suits both of two uses of one weight, as far as integer operators are concerned.
 */
void layout_join(struct layout *layout, const struct layout *other);

#endif
