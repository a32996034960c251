/* The operators on constants, by family: evaluate_shapes.c, evaluate_views.c,
 * evaluate_arithmetic.c, evaluate_reductions.c, evaluate_products.c and evaluate_codes.c.
 */
#ifndef NIBBLE_CONSTANTS_EVALUATE_OPERATORS_H
#define NIBBLE_CONSTANTS_EVALUATE_OPERATORS_H

#include "constants/evaluate.h"

/* Values that are computed together. */
enum { EVALUATE_STEP = 512 };

/* An input of the call, and whether it is there. */
bool call_input(struct node_call *c, size_t index, struct constant *out);
bool call_array(struct node_call *c, size_t index, struct array *out);
bool call_has(const struct node_call *c, size_t index);

/* Room for the result. In a dry evaluation it has no values. */
bool call_make(struct node_call *c, struct constant *out, int data_type,
               const uint64_t *dims, size_t rank);
static inline uint8_t *call_bytes(const struct constant *out)
{
    return (uint8_t *)(uintptr_t)out->data;
}

/* Makes an array the result, with values of that type. Frees the array. */
bool call_give(struct node_call *c, struct constant *out, int data_type,
               struct array *array);

/* An axis that counts from the end if it is negative. False if there is none. */
bool call_axis(int64_t axis, size_t rank, size_t *out);

/* Integers of an input, or of an attribute if it is there. The caller frees them. NULL:
 * there are none, or (with an error or without) they are not known. */
int64_t *call_input_ints(struct node_call *c, size_t input, size_t *count);
int64_t *call_ints(struct node_call *c, const char *name, size_t input, size_t *count);

evaluate_fn evaluate_binary, evaluate_unary, evaluate_clip, evaluate_where;
evaluate_fn evaluate_cast, evaluate_cast_like;
evaluate_fn evaluate_reduce, evaluate_lp_normalization;
evaluate_fn evaluate_matmul, evaluate_gemm;
evaluate_fn evaluate_constant, evaluate_constant_of_shape, evaluate_shape, evaluate_size;
evaluate_fn evaluate_identity, evaluate_reshape, evaluate_flatten;
evaluate_fn evaluate_squeeze, evaluate_unsqueeze;
evaluate_fn evaluate_concat, evaluate_expand, evaluate_gather, evaluate_pad;
evaluate_fn evaluate_slice, evaluate_split, evaluate_tile, evaluate_transpose;
evaluate_fn evaluate_quantize_linear, evaluate_dequantize_linear;

#endif
