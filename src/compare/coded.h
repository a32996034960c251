/* Operators that take the codes of a weight themselves, such as MatMulNBits and
 * QLinearConv. */
#ifndef NIBBLE_COMPARE_CODED_H
#define NIBBLE_COMPARE_CODED_H

#include "constants/evaluate.h"

struct coded_operator;

/* The row for a use of codes; NULL where the operator takes none there. */
const struct coded_operator *coded_operator(const Onnx__NodeProto *node, size_t input);

/* Whether the operator takes codes at any of its inputs: its other constants are scales
 * and zero points. */
bool takes_codes(const Onnx__NodeProto *node);

/* The weight that the codes of this use stand for. */
bool coded_weight(struct evaluator *e, const struct use *use,
                  const struct coded_operator *row, struct array *out);

/* The node that gives the operator's result as floats: the node itself, or the last of
 * the Cast and Mul behind MatMulInteger. */
const Onnx__NodeProto *coded_result(const struct use *use);

/* The bits of one code: of MatMulNBits and GatherBlockQuantized; 0 where the type of the
 * tensor says them. */
int64_t coded_bits(const Onnx__NodeProto *node);

#endif
