/* Evaluating constants: what a model computes from nothing but its initializers. These
 * are weights behind Slice, Concat, Cast, the normalization of weights, sums of weights
 * and low-rank updates. For a comparison they are also weights that DequantizeLinear, or
 * Cast, Sub and Mul, make from codes.
 *
 * A comparison also sees a table as a constant if a Gather reads rows of it by indices
 * that are no constant: every row stands for itself. So the rows that are decoded behind
 * the Gather are seen as the table that they come from. All tables of one value must be
 * read by the same indices. */
#ifndef NIBBLE_CONSTANTS_EVALUATE_H
#define NIBBLE_CONSTANTS_EVALUATE_H

#include "constants/array.h"
#include "constants/constant.h"
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
    uint64_t limit; /* of the elements of one value */
    unsigned steps; /* how many nodes may still be looked at */
    unsigned depth; /* how many nodes the present value is behind */
    bool dry;       /* only dims and types are found out */

    /* For weights that are to be quantized: codes stay codes, and large values go to
     * temporary files. */
    bool stores;

    /* Dry results by the number of the value, or NULL. They are kept in the model's
     * arena. */
    const struct constant **known;

    const struct value *rows;  /* the indices by which tables are read */
    uint64_t row_count;        /* rows of these tables */
    struct source codes, real; /* integers of at most 32 bits; floats */
};

/* For a comparison. */
void evaluator_init(struct evaluator *e, struct model *model,
                    const struct graph_index *index, struct error *err);

/* For weights that are to be quantized: codes stay codes. End it. */
bool evaluator_begin(struct evaluator *e, struct model *model,
                     const struct graph_index *index, struct error *err);
void evaluator_end(struct evaluator *e);

/* Forgets what was found out about the value before. */
void evaluator_reset(struct evaluator *e);

/* Whether the value is a constant, as a comparison sees it. Reads no values. */
bool evaluate_check(struct evaluator *e, const struct value *value);

/* Whether no caller and no training step changes the value. */
bool evaluate_is_fixed(const struct evaluator *e, const struct value *value);

/* Dims and type of a value. False if it is no constant, with an error only when out of
 * memory or if its tensors are malformed. */
bool evaluate_shape_of(struct evaluator *e, const struct value *value,
                       struct constant *out);

/* The result of an earlier evaluate_shape_of, or NULL. */
const struct constant *evaluate_known(const struct evaluator *e,
                                      const struct value *value);

/* The value itself, which the caller frees; or as an array of floats. */
bool evaluate(struct evaluator *e, const struct value *value, struct constant *out);
bool evaluate_array(struct evaluator *e, const struct value *value, struct array *out);

/* The values of a tensor, which the model calls so. */
bool evaluate_tensor(struct evaluator *e, const char *name,
                     const Onnx__TensorProto *tensor, struct constant *out);

/* The value of input `index` of a node in a scope. False if it is left out. */
bool evaluate_input(struct evaluator *e, const struct scope *scope,
                    const Onnx__NodeProto *node, size_t index, struct array *out);

/* The element type to report: "uint4" if two codes share an element of the source. */
const char *packed_type(const struct source *codes, uint64_t elements);

/* An operator on constants: makes `out` from the node's inputs. */
struct node_call {
    struct evaluator *e;
    const struct scope *scope;
    const Onnx__NodeProto *node;
    size_t output; /* the output that is asked for */
};
typedef bool evaluate_fn(struct node_call *call, struct constant *out);

/* The operator's function, or NULL. */
evaluate_fn *evaluate_operator(const Onnx__NodeProto *node);

/* DequantizeLinear, of whatever domain. */
bool evaluate_is_decoder(const Onnx__NodeProto *node);

/* (codes - zeros) * scales, in place. scales and zeros have one value, or one for each
 * index of `axis`, or (block > 0) one for each block along it. zeros NULL: none. */
bool dequantize(struct array *codes, const struct array *scales,
                const struct array *zeros, size_t axis, uint64_t block);

#endif
