/* Quantized activations around an operator. ONNX Runtime joins QuantizeLinear and
 * DequantizeLinear with the operator between them and computes in integers then. Its
 * integer operators know no blocks. */
#ifndef NIBBLE_PLAN_NEIGHBOURS_H
#define NIBBLE_PLAN_NEIGHBOURS_H

#include "onnx/graph.h"

/* What an integer operator in the place of a weight's operator would take, from the
 * most to the least. Only codes of 8 bits are given to one. */
enum integer {
    INTEGER_NONE,     /* none comes into its place */
    INTEGER_CHANNELS, /* a scale and a zero point for each channel */
    INTEGER_CENTRED,  /* a scale for each channel, one zero point for all */
    INTEGER_TENSOR,   /* one scale, one zero point */
};

/* Of the operator that uses a weight of this rank. One may come into its place where the
 * other operand comes from DequantizeLinear, or the result goes to QuantizeLinear, once
 * ONNX Runtime has moved both as far as it can. When in doubt, one may. */
enum integer neighbours_integer(const struct graph_index *index, const struct use *use,
                                size_t rank);

/* Whether ONNX Runtime moves QuantizeLinear or DequantizeLinear of activations in int8
 * past some operator. */
bool neighbours_move_int8(const struct graph_index *index);

#endif
