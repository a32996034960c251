/* The operators of the standard domain: when they came, when they went, and what
 * types their outputs have. */
#ifndef NIBBLE_UPGRADE_OPERATORS_H
#define NIBBLE_UPGRADE_OPERATORS_H

#include <stddef.h>
#include <stdint.h>

struct operator_row {
    const char *name;
    int64_t since;       /* the first opset that has it */
    int64_t gone;        /* the first one that has it no more; 0: none */
    const char *outputs; /* a character for the type of each output, the last one for
                            all that follow: the digit of an input of the same type,
                            L int64, B bool, F float, ? something else */
};

/* All rows, sorted by name. */
extern const struct operator_row operator_rows[];
extern const size_t operator_count;

/* The operator's row; NULL where the standard domain never had it. */
const struct operator_row *operator_find(const char *name);

#endif
