/* Weights that nibble or another tool has quantized already: their codes, and the scales
 * and zero points that belong to them. */
#ifndef NIBBLE_PLAN_ALREADY_H
#define NIBBLE_PLAN_ALREADY_H

#include "onnx/graph.h"

/* Whether a float constant is a scale or a zero point. It is one if an operator takes it
 * as one, or if codes that have become floats are multiplied with it. */
bool already_is_parameter(const struct value *value);

/* Whether a constant holds the codes of a weight. Sets how many bits each code has. Sets
 * the operator that reads the codes, or the name of nibble's form if no single operator
 * does. */
bool already_is_codes(const struct value *value, int *bits, const char **form);

#endif
