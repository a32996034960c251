/* Conversions between float32 and the bits of float16 and bfloat16. Widening is exact;
 * narrowing rounds to nearest, ties to even. The functions are inline and mostly free of
 * branches, so that compilers vectorise loops over them. */
#ifndef NIBBLE_QUANT_HALF_H
#define NIBBLE_QUANT_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Exponent and fraction, moved into the place they have in a float32, give 2^-112 times
 * the value. This holds for subnormals, too, and the multiplication is exact. NaNs become
 * quiet, as in the CPU's own conversion. */
static inline float half_widen(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t magnitude = half & 0x7fffu;
    uint32_t finite = float_bits(float_of_bits(magnitude << 13) * 0x1p112f);
    uint32_t quiet = magnitude > 0x7c00u ? 1u << 22 : 0;
    return float_of_bits(
        sign | (magnitude < 0x7c00u ? finite : 0x7f800000u | magnitude << 13 | quiet));
}

static inline uint16_t half_narrow(float value)
{
    uint32_t bits = float_bits(value);
    uint32_t sign = bits >> 16 & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;
    uint32_t half;
    if (magnitude > 0x7f800000u)
        half = 0x7e00 | (magnitude >> 13 & 0x3ffu); /* as the CPU converts it */
    else if (magnitude >= 0x477ff000u) /* 65520, half way from the largest to 2^16 */
        half = 0x7c00;
    else if (magnitude < 0x38800000u) /* 2^-14: subnormal; 1/2 has their unit, 2^-24 */
        half = float_bits(float_of_bits(magnitude) + 0.5f) - 0x3f000000u;
    else
        half = (magnitude + 0xfffu + (magnitude >> 13 & 1u) - (112u << 23)) >> 13;
    return (uint16_t)(sign | half);
}

static inline float bfloat_widen(uint16_t bfloat)
{
    return float_of_bits((uint32_t)bfloat << 16);
}

static inline uint16_t bfloat_narrow(float value)
{
    uint32_t bits = float_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

#endif
