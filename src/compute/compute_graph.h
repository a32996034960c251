/* What the conversion knows about each value and each node. */
#ifndef NIBBLE_COMPUTE_COMPUTE_GRAPH_H
#define NIBBLE_COMPUTE_COMPUTE_GRAPH_H

#include "compute/compute.h"
#include "compute/compute_operators.h"
#include "onnx/graph.h"
#include "onnx/tensor.h"

/* What float16 does to a constant. */
enum range {
    RANGE_UNKNOWN, /* not read yet */
    RANGE_FITS,
    RANGE_COARSE, /* small values lose digits, but little of the whole */
    RANGE_NOISY,  /* much of the whole is lost */
    RANGE_BEYOND, /* values would become infinite */
};

/* One value, by its number. */
struct value_state {
    int element, declared; /* a TensorProto.DataType; 0: unknown */
    enum range range : 8;  /* of a constant */
    bool wide;             /* may be larger or smaller than float16 can hold */
    bool huge;             /* the same, and Mul or Div do not change that */
    bool place;            /* positions or whole numbers are made from it */
    bool made_half;        /* what makes it gives float16 */
    bool wants_half, wants_single, gives_half, gives_single; /* its uses; as an output */
    const char *half, *single;                               /* its names; NULL: none */
};

/* One node. Those in bodies come before the node that has the body. */
struct node_state {
    Onnx__NodeProto *node;
    const struct scope *scope;
    const struct compute_operator *row; /* NULL: it stays float32 */
    bool converts;
};

struct compute {
    struct model *model;
    struct error *err;
    bool io;
    int64_t opset;
    struct graph_index index;
    struct value_state *values; /* by number */
    struct node_state *nodes;
    size_t node_count;
    const struct scope **scopes; /* by number */
    size_t entered;
};

/* Lists the nodes of the main graph and its bodies, and finds the types of all values. */
bool compute_list(struct compute *c);

/* Decides which nodes convert. */
bool compute_choose(struct compute *c);

/* Changes the graph. */
bool compute_rewrite(struct compute *c);

/* The type of output `index` as a rule: see operator_versions.h. */
char compute_output_rule(const struct node_state *n, size_t index);

/* A constant: its tensor, or floats in an attribute of the Constant node. */
bool compute_constant(struct compute *c, const struct value *value,
                      Onnx__TensorProto **tensor);

/* Finds the range of a constant. RANGE_FITS if the value is none. */
bool compute_range(struct compute *c, const struct value *value, enum range *range);

/* The values of float32 as float16. NULL with an error. */
const struct payload *compute_halve(struct compute *c, const struct payload *payload);

static inline struct value_state *state_of(const struct compute *c,
                                           const struct value *value)
{
    return &c->values[value->number];
}

#endif
