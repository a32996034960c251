/* What is lost if float32 values are stored as float16. */
#ifndef NIBBLE_QUANT_FLOAT16_LOSS_H
#define NIBBLE_QUANT_FLOAT16_LOSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Begin with zeros. */
struct float16_loss {
    uint64_t count;
    uint64_t not_numbers; /* NaN */
    uint64_t beyond;      /* finite values that would become infinite */
    uint64_t inexact;     /* values that change */
    uint64_t coarse;      /* values that change by more than a part in 1024 */
    uint64_t zeros;
    uint64_t fractions; /* values that are no whole numbers */
    double signal;      /* the sum of x^2, without infinite values */
    double noise;       /* the sum of (x - x')^2, without values that are beyond */
};

/* Adds n values. */
void float16_loss_add(struct float16_loss *loss, const float *values, size_t n);

/* Whether no value changes. */
bool float16_is_exact(const struct float16_loss *loss);

/* Says in plain words what speaks against float16. NULL if the values survive: they lose
 * no more than any learned parameters do. `strict`: they are divided by, so that small
 * values matter as much as large ones. */
const char *float16_reason(const struct float16_loss *loss, bool strict);

#endif
