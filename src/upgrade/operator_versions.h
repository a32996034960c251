/* The operators of the standard domain: in which opsets they exist, and the types of
 * their outputs. */
#ifndef NIBBLE_UPGRADE_OPERATOR_VERSIONS_H
#define NIBBLE_UPGRADE_OPERATOR_VERSIONS_H

#include <stdbool.h>
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

/* Finds the row of an operator that only ONNX Runtime has in the standard domain at that
 * opset. It means the same at any opset. NULL if there is none. */
const struct operator_row *runtime_operator_find(const char *name, int64_t opset);

/* Whether the operator of the row exists at that opset. */
static inline bool operator_exists(const struct operator_row *row, int64_t opset)
{
    return row->since <= opset && (row->gone == 0 || row->gone > opset);
}

#endif
