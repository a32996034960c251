/* The loss of float16: eleven bits of precision from 2^-14 to 65504, and fewer and fewer
 * below. */
#include "quant/float16_loss.h"
#include "quant/half.h"

#include <math.h>

/* One value, and what float16 makes of it. */
static void add_value(struct float16_loss *loss, double x, double stored)
{
    double error = fabs(x - stored);
    loss->inexact += error > 0;
    loss->coarse += error * 1024 > fabs(x);
    loss->zeros += x == 0;
    loss->fractions += x != rint(x);
    loss->signal += x * x;
    loss->noise += error * error;
}

void float16_loss_add(struct float16_loss *loss, const float *values, size_t n)
{
    loss->count += n;
    for (size_t i = 0; i < n; i++) {
        float x = values[i], stored = half_widen(half_narrow(x));
        if (isnan(x))
            loss->not_numbers++;
        else if (isinf(stored))
            loss->beyond += !isinf(x);
        else
            add_value(loss, (double)x, (double)stored);
    }
}

bool float16_is_exact(const struct float16_loss *loss)
{
    return loss->not_numbers == 0 && loss->beyond == 0 && loss->inexact == 0;
}

const char *float16_reason(const struct float16_loss *loss, bool strict)
{
    /* Rounding to eleven bits alone makes a noise of 3e-8 to 8e-8 of the signal. */
    const double most_noise = 1e-6;
    enum { COARSE_PART = 16 }; /* one value in so many may be small */
    uint64_t most = strict ? 0 : (loss->count - loss->zeros) / COARSE_PART;
    if (loss->not_numbers > 0)
        return "it contains NaN";
    if (loss->beyond > 0)
        return "float16 can't hold values beyond 65504";
    if (loss->inexact == 0)
        return NULL;
    if (loss->fractions == 0)
        return "float16 would round its whole numbers";
    if (loss->coarse > most || loss->noise > most_noise * loss->signal)
        return "float16 is too coarse for its small values";
    return NULL;
}
