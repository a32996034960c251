/* What the methods of quant_fit share. Each method is one row of the table in fit.c:
 * round to nearest (fit.c), the search (search.c) and the exact optimum (exact.c). */
#ifndef NIBBLE_QUANT_FIT_H
#define NIBBLE_QUANT_FIT_H

#include "core/sizes.h"
#include "quant/layout.h"
#include "quant/quant.h"

#include <float.h>

struct fit {
    const struct kernels *kernels;
    const struct quant_scheme *scheme;
    struct quant_source source;
    const struct quant_shape *shape;
    const struct quant_importance *importance; /* NULL: all elements count once */
    void *scratch;                             /* FIT_SCRATCH bytes for the method */
};

/* The search has large arrays. They are not on the stack, which threads of other programs
 * may have little of: 128 KiB with musl. */
enum { FIT_SCRATCH = 236 << 10 };

/* Fits `count` groups of a matrix. The first one is number `from` of the matrix. */
typedef enum quant_fit fit_method(const struct fit *fit, const struct matrix *matrix,
                                  size_t from, size_t count, float *scales,
                                  uint8_t *zeros);

fit_method fit_rtn, fit_search, fit_exact;

/* Combines the results of two parts. NOT_FINITE comes before SCALE_RANGE, so the result
 * does not depend on where the parts are cut. */
static inline enum quant_fit fit_worse(enum quant_fit a, enum quant_fit b)
{
    if (a == QUANT_FIT_OK || b == QUANT_FIT_NOT_FINITE)
        return b;
    return a;
}

static inline bool is_stopped(const volatile int *stop)
{
    return stop && __atomic_load_n(stop, __ATOMIC_RELAXED) != 0;
}

/* Whether a method may return this scale. The scale must be a normal number, and the
 * codes at both ends must decode to finite values of the scale's type. `zero` codes lie
 * below the zero point, the rest of `steps` above it. */
static inline bool fit_usable(enum real_type type, float scale, float zero, float steps)
{
    const float side = zero > steps - zero ? zero : steps - zero;
    const float largest = type == REAL_FLOAT16    ? 65504.0f
                          : type == REAL_BFLOAT16 ? 0x1.fep127f
                                                  : FLT_MAX;
    return scale >= FLT_MIN && side * scale <= largest; /* false for NaN */
}

static inline const void *fit_data(const struct fit *fit, size_t element)
{
    return (const unsigned char *)fit->source.data +
           element * real_size(fit->source.type);
}

#endif
