/* What the methods of quant_fit share: a row of its table each, and small things.
 * The methods: fit.c (round to nearest), search.c, exact.c. */
#ifndef NIBBLE_QUANT_FIT_H
#define NIBBLE_QUANT_FIT_H

#include <float.h>

#include "core/sizes.h"
#include "quant/layout.h"
#include "quant/quant.h"

struct fit {
    const struct kernels *kernels;
    const struct quant_scheme *scheme;
    struct quant_source source;
    const struct quant_shape *shape;
    const struct quant_importance *importance; /* NULL: all the same */
};

/* Fits `count` groups of a matrix, the first being the matrix's first + `from`. */
typedef enum quant_fit fit_method(const struct fit *fit, const struct matrix *matrix,
                                  size_t from, size_t count, float *scales,
                                  uint8_t *zeros);

fit_method fit_rtn, fit_search, fit_exact;

/* The result of two parts: NOT_FINITE before SCALE_RANGE, however they are cut. */
static inline enum quant_fit fit_worse(enum quant_fit a, enum quant_fit b)
{
    if (a == QUANT_FIT_OK || b == QUANT_FIT_NOT_FINITE)
        return b;
    return a;
}

/* Whether a scale that was found can stand for round to nearest's: it is a normal
 * number, and codes at either end, `zero` below z and the others of `steps` above,
 * are finite once decoded to its type. */
static inline bool fit_usable(enum real_type type, float scale, float zero, float steps)
{
    const float side = zero > steps - zero ? zero : steps - zero;
    const float largest = type == REAL_FLOAT16    ? 65504.0f
                          : type == REAL_BFLOAT16 ? 0x1.fep127f
                                                  : FLT_MAX;
    return scale >= FLT_MIN && side * scale <= largest; /* NaN is not */
}

static inline const void *fit_data(const struct fit *fit, size_t element)
{
    return (const unsigned char *)fit->source.data +
           element * real_size(fit->source.type);
}

#endif
