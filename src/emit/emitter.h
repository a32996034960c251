/* What all forms are built from: one weight's tensors, and nodes that decode it. */
#ifndef NIBBLE_EMIT_EMITTER_H
#define NIBBLE_EMIT_EMITTER_H

#include "emit/emit.h"
#include "onnx/graph_edit.h"
#include "plan/plan.h"

struct emitter {
    struct graph_edits *edits;
    struct model *model;
    const struct plan_item *item;
    struct item_tensors *own;          /* the tensors of the item, */
    const struct item_tensors *stored; /* or those of the one that stands for it */
    struct graph_edit *owner; /* of the scope that owned the weight: tensors go there */
    struct graph_edit *site;  /* where nodes go, */
    Onnx__NodeProto *anchor;  /* and before which one; NULL: the head */
    const Onnx__NodeProto *replaced; /* goes out; NULL: no node does */
    const char *output;              /* the node that makes this value takes its place */
    struct map *attributes; /* the first node of those that have the same attributes */
    struct error *err;
    const char *codes, *scales, *zeros; /* names; zeros: NULL without zero points */
};

/* A node to be made. Fields that are left out are absent. */
struct op {
    const char *type, *domain;
    const char *in[8]; /* up to the first NULL */
    const char *out;   /* NULL: a fresh name */
    struct {
        const char *name;
        int64_t value;
    } ints[5];
};

/* Places the node; returns its output, NULL once an error is set: calls may be
 * nested and the error looked at in the end. */
const char *emit_op(struct emitter *e, const struct op *op);

/* Shorthands for nodes of one and two inputs. */
const char *emit_unary(struct emitter *e, const char *type, const char *a,
                       const char *out);
const char *emit_binary(struct emitter *e, const char *type, const char *a, const char *b,
                        const char *out);
const char *emit_cast(struct emitter *e, const char *a, int type, const char *out);

/* Constants: a float scalar, and a list of integers. */
const char *emit_float(struct emitter *e, float value);
const char *emit_ints(struct emitter *e, const int64_t *values, size_t count);

/* Reshape to constant dims. */
const char *emit_reshape(struct emitter *e, const char *a, const int64_t *dims,
                         size_t rank, const char *out);

/* The first `length` elements of an axis, by whichever Slice the opset has. */
const char *emit_first(struct emitter *e, const char *a, int64_t axis, int64_t length,
                       const char *out);

/* Reserves codes, scales and (where the plan wants them) zero points. */
struct parameter_dims {
    int64_t codes[66], scales[66], zeros[66];
    size_t codes_rank, scales_rank, zeros_rank;
    int code_type, zero_type; /* TensorProto.DataType */
};
bool emit_parameters(struct emitter *e, const struct parameter_dims *dims);

/* The scales for an operator that takes them in one type only: a Cast, which runtimes
 * compute once, at load, in front of those stored narrower. */
const char *emit_scales(struct emitter *e);

int code_data_type(enum quant_type type);
size_t item_blocks(const struct plan_item *item); /* along the axis; 1 without blocks */

#endif
