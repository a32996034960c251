/* Evaluating constants: what a model computes of nothing but its initializers, such as
 * the weight that DequantizeLinear, or Cast, Sub and Mul, make of codes.
 *
 * A table of which a Gather reads rows by indices that are no constant counts as one,
 * too: every row stands for itself. So the rows that are decoded behind the Gather are
 * seen as the table that they come from. All tables of one value must be read by the same
 * indices. */
#ifndef NIBBLE_COMPARE_EVALUATE_H
#define NIBBLE_COMPARE_EVALUATE_H

#include "compare/array.h"
#include "onnx/graph.h"

/* The largest tensor that a value was made of. */
struct source {
    const char *name, *type;
    uint64_t elements;
};

struct evaluator {
    struct model *model;
    const struct graph_index *index;
    struct error *err;
    uint64_t limit;            /* of elements: more than a model of its size can hold */
    unsigned steps;            /* how many nodes may still be looked at */
    const struct value *rows;  /* the indices by which tables are read */
    uint64_t row_count;        /* rows of these tables */
    struct source codes, real; /* integers of at most 32 bits; floats */
};

void evaluator_init(struct evaluator *e, struct model *model,
                    const struct graph_index *index, struct error *err);

/* Forgets what was found out about the value before. */
void evaluator_reset(struct evaluator *e);

/* Whether the value is a constant in that sense; reads no values. */
bool evaluate_check(struct evaluator *e, const struct value *value);

/* Its values. False where it is no constant, with an error only when out of memory or
 * where its tensors are malformed. */
bool evaluate(struct evaluator *e, const struct value *value, struct array *out);

/* Input `index` of a node in a scope; NULL, and false, where it is left out. */
struct value *input_value(const struct scope *scope, const Onnx__NodeProto *node,
                          size_t index);
bool evaluate_input(struct evaluator *e, const struct scope *scope,
                    const Onnx__NodeProto *node, size_t index, struct array *out);

/* What is left of an element type's name where codes of so many bits are packed in it. */
const char *packed_type(const struct source *codes, uint64_t elements);

/* An operator on constants: makes `out` of the node's inputs. */
struct node_call {
    struct evaluator *e;
    const struct scope *scope;
    const Onnx__NodeProto *node;
};
typedef bool evaluate_fn(struct node_call *call, struct array *out);

/* The operator's function; NULL where it is none. */
evaluate_fn *evaluate_operator(const Onnx__NodeProto *node);

/* DequantizeLinear, of whatever domain. */
bool evaluate_is_decoder(const Onnx__NodeProto *node);

/* (codes - zeros) * scales, in place. scales and zeros have one value, or one for each
 * index of `axis`, or (block > 0) one for each block along it. zeros NULL: none. */
bool dequantize(struct array *codes, const struct array *scales,
                const struct array *zeros, size_t axis, uint64_t block);

/* The integers of an input; NULL where it is none. Freed by the caller. */
int64_t *evaluate_ints(struct node_call *call, size_t index, size_t *count);

#endif
