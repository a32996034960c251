/* What is quantized already, by nibble or by another tool: weights that are codes, and
 * the scales and zero points that belong to them. */
#ifndef NIBBLE_PLAN_ALREADY_H
#define NIBBLE_PLAN_ALREADY_H

#include "onnx/graph.h"

/* Whether a float constant is a scale or zero point: an operator takes it as one, or
 * codes that have become floats are multiplied with it. */
bool already_is_parameter(const struct value *value);

/* A constant that holds the codes of a weight: how many bits each has, and the operator
 * that reads them, or nibble's name for a form without one. False: it is none. */
bool already_is_codes(const struct value *value, int *bits, const char **form);

#endif
