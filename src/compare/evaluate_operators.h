/* The operators on constants, by family: evaluate_shapes.c, evaluate_views.c,
 * evaluate_arithmetic.c and evaluate_codes.c. */
#ifndef NIBBLE_COMPARE_EVALUATE_OPERATORS_H
#define NIBBLE_COMPARE_EVALUATE_OPERATORS_H

#include "compare/evaluate.h"

/* An input of the call, and whether it is there. */
bool call_input(struct node_call *c, size_t index, struct array *out);
bool call_has(const struct node_call *c, size_t index);

/* An array for the result. */
bool call_make(struct node_call *c, struct array *out, const uint64_t *dims, size_t rank);

/* `out` becomes what the view sees of it. */
bool call_view(struct node_call *c, struct array *out, const uint64_t *dims, size_t rank,
               const struct array_view *view);

/* An axis that counts from the end if it is negative. False if there is none. */
bool call_axis(int64_t axis, size_t rank, size_t *out);

/* Integers of an attribute, or of an input where newer opsets have them. The caller frees
 * them. */
int64_t *call_ints(struct node_call *c, const char *name, size_t input, size_t *count);

evaluate_fn evaluate_add;
evaluate_fn evaluate_cast;
evaluate_fn evaluate_concat;
evaluate_fn evaluate_divide;
evaluate_fn evaluate_expand;
evaluate_fn evaluate_flatten;
evaluate_fn evaluate_round_down;
evaluate_fn evaluate_gather;
evaluate_fn evaluate_identity;
evaluate_fn evaluate_multiply;
evaluate_fn evaluate_pad;
evaluate_fn evaluate_reshape;
evaluate_fn evaluate_shape;
evaluate_fn evaluate_slice;
evaluate_fn evaluate_squeeze;
evaluate_fn evaluate_subtract;
evaluate_fn evaluate_transpose;
evaluate_fn evaluate_unsqueeze;
evaluate_fn evaluate_quantize_linear;
evaluate_fn evaluate_dequantize_linear;

#endif
