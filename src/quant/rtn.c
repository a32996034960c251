/* Round to nearest: the formulas for s and z, in loops over arrays of groups that
 * compilers vectorise. All operations are those of IEEE 754, so the bits are always the
 * same. */
#include "quant/rtn.h"
#include "core/sizes.h"
#include "quant/half.h"
#include "quant/kernels/kernels.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const int32_t infinity_bits = 0x7f800000;

/* The largest range of all groups. It is at least the bits of infinity if an element is
 * not finite. */
static int32_t ranges_largest(size_t n, const int32_t *top, const int32_t *bottom)
{
    int32_t largest = 0;
    for (size_t k = 0; k < n; k++) {
        largest = top[k] > largest ? top[k] : largest;
        largest = bottom[k] > largest ? bottom[k] : largest;
    }
    return largest;
}

/* Returns 1 for groups of zeros or of subnormals: all of their codes become z. */
static inline float scale_or_one(float scale)
{
    return scale >= FLT_MIN ? scale : 1.0f;
}

static void scales_symmetric(size_t n, const int32_t *top, const int32_t *bottom,
                             float steps, float *scales)
{
    for (size_t k = 0; k < n; k++) {
        int32_t largest = top[k] > bottom[k] ? top[k] : bottom[k];
        scales[k] = scale_or_one(float_of_bits((uint32_t)largest) / steps);
    }
}

/* The extreme goes to the end of the grid that reaches one step further. If the extreme
 * is positive, z is 1 less. */
static void zeros_mirrored(size_t n, const int32_t *top, const int32_t *bottom,
                           int middle, uint8_t *zeros)
{
    for (size_t k = 0; k < n; k++)
        zeros[k] = (uint8_t)(top[k] > bottom[k] ? middle - 1 : middle);
}

/* max - min may be beyond float32, so it is a double. The scale is rounded once. */
static void scales_asymmetric(size_t n, const int32_t *top, const int32_t *bottom,
                              double steps, float *scales)
{
    for (size_t k = 0; k < n; k++) {
        double up = (double)float_of_bits((uint32_t)top[k]);
        double down = (double)float_of_bits((uint32_t)bottom[k]);
        scales[k] = scale_or_one((float)((up + down) / steps));
    }
}

/* Whether the type can hold the scale. It can't if the rounded scale is infinite or zero,
 * or if it is subnormal and more than 1/32 away from the wanted one. */
static inline bool scale_held(enum real_type type, float wanted, float scale)
{
    const float least = type == REAL_FLOAT16 ? 0x1p-14f : FLT_MIN;
    int near = fabsf(scale - wanted) * 32 <= wanted;
    return (scale <= FLT_MAX) & ((scale >= least) | near);
}

static bool scales_held(enum real_type type, size_t n, const float *wanted,
                        const float *scales)
{
    int held = 1;
    for (size_t k = 0; k < n; k++)
        held &= scale_held(type, wanted[k], scales[k]);
    return held != 0;
}

static bool scales_finite(size_t n, const float *scales)
{
    int finite = 1;
    for (size_t k = 0; k < n; k++)
        finite &= scales[k] <= FLT_MAX;
    return finite != 0;
}

/* Rounds scales up where they are too small for float16. Other types have no scales that
 * are too small. */
static void scales_raise(enum real_type type, size_t n, const float *wanted,
                         float *scales)
{
    const float least = 0x1p-24f; /* of float16 */
    for (size_t k = 0; k < n; k++)
        if (!scale_held(type, wanted[k], scales[k]) && wanted[k] < 1)
            scales[k] = ceilf(wanted[k] / least) * least;
}

/* Rounds scales to their type. Returns false if it can't hold one of them. */
static bool scales_round(const struct kernels *kernels, const struct quant_scheme *scheme,
                         size_t n, float *scales)
{
    enum { ROUND_BATCH = 256 };
    enum real_type type = scheme->scale_type;
    bool held = true;
    for (size_t k = 0, part; held && k < n; k += part) {
        float wanted[ROUND_BATCH];
        part = size_min(ROUND_BATCH, n - k);
        memcpy(wanted, scales + k, part * sizeof *wanted);
        quant_round(kernels, type, scales + k, part);
        held = scales_held(type, part, wanted, scales + k);
        if (held || !scheme->raise_scales || type != REAL_FLOAT16)
            continue;
        scales_raise(type, part, wanted, scales + k);
        held = scales_finite(part, scales + k);
    }
    return held;
}

/* z = clamp(round(-min / s) + lo), where -min >= 0. */
static void zeros_asymmetric(size_t n, const int32_t *bottom, const float *scales, int lo,
                             int hi, uint8_t *zeros)
{
    const float steps = (float)(hi - lo);
    for (size_t k = 0; k < n; k++) {
        float z = float_of_bits((uint32_t)bottom[k]) / scales[k];
        z = z < steps ? z : steps;
        z = (z + ROUNDER) - ROUNDER;
        zeros[k] = (uint8_t)((int)z + lo);
    }
}

/* Whether the extreme on one side is finite once it is decoded, in the scale's type. */
static bool decodes(enum real_type type, float value, float scale, int steps)
{
    float code = value / scale;
    code = code < (float)steps ? code : (float)steps;
    code = (code + ROUNDER) - ROUNDER;
    return real_round(type, code * scale) <= FLT_MAX;
}

/* Whether the extremes of all groups are finite once they are decoded. */
static bool extremes_decode(const struct quant_scheme *scheme, size_t n,
                            const int32_t *top, const int32_t *bottom,
                            const float *scales, const uint8_t *zeros)
{
    const struct quant_type_info *type = quant_type_info(scheme->type);
    for (size_t k = 0; k < n; k++) {
        float up = float_of_bits((uint32_t)top[k]);
        float down = float_of_bits((uint32_t)bottom[k]);
        int z = type->lo < 0 ? (int8_t)zeros[k] : zeros[k];
        if (!decodes(scheme->scale_type, up, scales[k], type->hi - z) ||
            !decodes(scheme->scale_type, down, scales[k], z - type->lo))
            return false;
    }
    return true;
}

enum quant_fit rtn_solve(const struct kernels *kernels, const struct quant_scheme *scheme,
                         size_t n, const int32_t *top, const int32_t *bottom,
                         float *scales, uint8_t *zeros)
{
    const struct quant_type_info *type = quant_type_info(scheme->type);
    int middle = type->lo < 0 ? 0 : 1 << (type->bits - 1);
    int32_t largest = ranges_largest(n, top, bottom);
    /* Extremes below this always decode to finite values. */
    const float safe = scheme->scale_type == REAL_FLOAT16 ? 50000.0f : 1e38f;
    if (largest >= infinity_bits)
        return QUANT_FIT_NOT_FINITE;
    if (scheme->symmetric)
        scales_symmetric(n, top, bottom, (float)(type->hi - middle + scheme->mirrored),
                         scales);
    else
        scales_asymmetric(n, top, bottom, (double)(type->hi - type->lo), scales);
    if (scheme->scale_type != REAL_FLOAT32 && !scales_round(kernels, scheme, n, scales))
        return QUANT_FIT_SCALE_RANGE;
    if (scheme->symmetric && scheme->mirrored)
        zeros_mirrored(n, top, bottom, middle, zeros);
    else if (scheme->symmetric)
        memset(zeros, middle, n);
    else
        zeros_asymmetric(n, bottom, scales, type->lo, type->hi, zeros);
    if (float_of_bits((uint32_t)largest) < safe ||
        extremes_decode(scheme, n, top, bottom, scales, zeros))
        return QUANT_FIT_OK;
    return QUANT_FIT_SCALE_RANGE;
}
