/* The operators of the standard domain: in which opsets they exist, and the types of
 * their outputs. */
#ifndef NIBBLE_UPGRADE_OPERATOR_VERSIONS_H
#define NIBBLE_UPGRADE_OPERATOR_VERSIONS_H

#include <stddef.h>
#include <stdint.h>

/* `outputs` has one character for each output; the last one also stands for all that
 * follow. A digit is the number of an input with the same type. L is int64, B is bool, F
 * is float, and ? is any other type. */
struct operator_row {
    const char *name;
    int64_t since;       /* the first opset that has it */
    int64_t gone;        /* the first opset that no longer has it; 0 if there is none */
    const char *outputs; /* the types of the outputs: see below */
};

/* All rows, sorted by name. */
extern const struct operator_row operator_rows[];
extern const size_t operator_count;

/* Finds the row of an operator. NULL if the standard domain never had it. */
const struct operator_row *operator_find(const char *name);

#endif
