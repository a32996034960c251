/* What all forms are built from: the tensors of one weight, and nodes that decode it. */
#ifndef NIBBLE_EMIT_EMITTER_H
#define NIBBLE_EMIT_EMITTER_H

#include "emit/emit.h"
#include "onnx/graph_edit.h"
#include "plan/plan.h"

struct emitter {
    struct graph_edits *edits;
    struct model *model;
    const struct plan_item *item;
    struct item_tensors *own; /* the tensors of the item */
    const struct item_tensors
        *stored;              /* the same, or the tensors of the item with equal values */
    struct graph_edit *owner; /* edits the scope where tensors go */
    struct graph_edit *site;  /* edits the scope where nodes go */
    Onnx__NodeProto *anchor;  /* the node before which they go; NULL: at the head */
    const Onnx__NodeProto *replaced; /* the node that is replaced; NULL: none is */
    const char *output;     /* the value whose new node takes the place of `replaced` */
    struct map *attributes; /* nodes by their attributes, so that others can share them;
                               and operators of several items by the nodes they replace */
    struct error *err;
    const char *codes, *scales, *zeros; /* names; zeros is NULL without zero points */
};

/* A node to make. Fields that are not set are absent. */
struct op {
    const char *type, *domain;
    const char *in[8]; /* ends with the first NULL */
    const char *out;   /* NULL for a fresh name */
    struct {
        const char *name;
        int64_t value;
    } ints[5];
};

/* Adds the node. Returns its output, or NULL if an error is set, also by an earlier call.
 * So calls may be nested, and the error checked in the end. */
const char *emit_op(struct emitter *e, const struct op *op);

/* Adds a node that takes the place of the one that is replaced, with its attributes and
 * its first output. It has no inputs yet. */
Onnx__NodeProto *emit_like(struct emitter *e, const char *type, const char *domain);

/* Shorthands for nodes of one and two inputs. */
const char *emit_unary(struct emitter *e, const char *type, const char *a,
                       const char *out);
const char *emit_binary(struct emitter *e, const char *type, const char *a, const char *b,
                        const char *out);
const char *emit_cast(struct emitter *e, const char *a, int type, const char *out);

/* Make constants: a float scalar, and a list of integers. */
const char *emit_float(struct emitter *e, float value);
const char *emit_ints(struct emitter *e, const int64_t *values, size_t count);

/* Reshapes to constant dims. */
const char *emit_reshape(struct emitter *e, const char *a, const int64_t *dims,
                         size_t rank, const char *out);

/* Takes the first `length` elements of an axis, by the Slice of the model's opset. */
const char *emit_first(struct emitter *e, const char *a, int64_t axis, int64_t length,
                       const char *out);

/* Reserves a tensor of the item, whose contents come later. NULL on failure. */
Onnx__TensorProto *emit_reserved(struct emitter *e, const char *suffix, int type,
                                 const int64_t *dims, size_t rank);

/* Gives the tensor what the model's authors have noted about the item's. */
void emit_notes(const struct emitter *e, Onnx__TensorProto *made);

/* Reserves codes and scales, and zero points if the item has them. */
struct parameter_dims {
    int64_t codes[66], scales[66], zeros[66];
    size_t codes_rank, scales_rank, zeros_rank;
    int code_type, zero_type; /* TensorProto.DataType */
};
bool emit_parameters(struct emitter *e, const struct parameter_dims *dims);

/* The scales for an operator that takes one type only. If they are stored narrower, a
 * Cast is added, which runtimes compute once, at load. */
const char *emit_scales(struct emitter *e);

int code_data_type(enum quant_type type);
size_t item_blocks(
    const struct plan_item *item); /* blocks along the axis; 1 without blocks */

#endif
