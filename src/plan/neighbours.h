/* Quantized activations around an operator. ONNX Runtime joins QuantizeLinear and
 * DequantizeLinear with the operator between them, and then computes in integers. Its
 * integer operators know no blocks. */
#ifndef NIBBLE_PLAN_NEIGHBOURS_H
#define NIBBLE_PLAN_NEIGHBOURS_H

#include "onnx/graph.h"

/* Which scales an integer operator can take if ONNX Runtime uses one instead of the
 * weight's operator. Ordered from the most to the least. Only 8-bit codes go to such
 * operators. */
enum integer {
    INTEGER_NONE,     /* there is no integer operator */
    INTEGER_CHANNELS, /* a scale and a zero point for each channel */
    INTEGER_CENTRED,  /* a scale for each channel, one zero point for all */
    INTEGER_TENSOR,   /* one scale, one zero point */
};

/* Whether an integer operator may replace the operator that uses a weight of this rank.
 * It may if the other operand comes from DequantizeLinear or the result goes to
 * QuantizeLinear, once ONNX Runtime has moved both as far as it can. In case of doubt it
 * may. */
enum integer neighbours_integer(const struct graph_index *index, const struct use *use,
                                size_t rank);

/* Whether ONNX Runtime moves QuantizeLinear or DequantizeLinear of activations in int8
 * past some operator. */
bool neighbours_move_int8(const struct graph_index *index);

#endif
