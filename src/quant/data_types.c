/* The data types of codes and of reals: their table, sizes and conversions. Also counts
 * the elements, blocks and groups of a shape. The kernels convert whole weights. */
#include "core/endian.h"
#include "core/sizes.h"
#include "quant/half.h"
#include "quant/kernels/kernels.h"
#include "quant/quant.h"

static const struct quant_type_info types[QUANT_TYPES] = {
    [QUANT_INT4] = {"int4", 4, -8, 7, true},
    [QUANT_UINT4] = {"uint4", 4, 0, 15, false},
    [QUANT_INT8] = {"int8", 8, -128, 127, true},
    [QUANT_UINT8] = {"uint8", 8, 0, 255, false},
};

const struct quant_type_info *quant_type_info(enum quant_type type)
{
    return &types[type];
}

size_t real_size(enum real_type type)
{
    static const size_t sizes[] = {
        [REAL_FLOAT32] = 4,
        [REAL_FLOAT16] = 2,
        [REAL_BFLOAT16] = 2,
        [REAL_FLOAT64] = 8,
    };
    return sizes[type];
}

float real_round(enum real_type type, float value)
{
    switch (type) {
    case REAL_FLOAT16:
        return half_widen(half_narrow(value));
    case REAL_BFLOAT16:
        return bfloat_widen(bfloat_narrow(value));
    case REAL_FLOAT32:
    case REAL_FLOAT64:
        break;
    }
    return value;
}

static void value_store(enum real_type type, float value, unsigned char *out)
{
    uint16_t narrow;
    double wide = value;
    switch (type) {
    case REAL_FLOAT32:
        memcpy(out, &value, sizeof value);
        break;
    case REAL_FLOAT16:
        narrow = half_narrow(value);
        memcpy(out, &narrow, sizeof narrow);
        break;
    case REAL_BFLOAT16:
        narrow = bfloat_narrow(value);
        memcpy(out, &narrow, sizeof narrow);
        break;
    case REAL_FLOAT64:
        memcpy(out, &wide, sizeof wide);
        break;
    }
}

void real_store(enum real_type type, const float *values, size_t n, void *out)
{
    unsigned char *bytes = out;
    size_t size = real_size(type);
    for (size_t i = 0; i < n; i++)
        value_store(type, values[i], bytes + i * size);
}

static float value_load(enum real_type type, const unsigned char *in)
{
    uint16_t narrow;
    float value = 0;
    double wide;
    switch (type) {
    case REAL_FLOAT32:
        memcpy(&value, in, sizeof value);
        break;
    case REAL_FLOAT16:
        memcpy(&narrow, in, sizeof narrow);
        value = half_widen(narrow);
        break;
    case REAL_BFLOAT16:
        memcpy(&narrow, in, sizeof narrow);
        value = bfloat_widen(narrow);
        break;
    case REAL_FLOAT64:
        memcpy(&wide, in, sizeof wide);
        value = (float)wide;
        break;
    }
    return value;
}

void real_load(enum real_type type, const void *data, size_t n, float *out)
{
    const unsigned char *bytes = data;
    size_t size = real_size(type);
    if (type == REAL_FLOAT32) {
        memcpy(out, data, n * size);
        return;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = value_load(type, bytes + i * size);
}

/* ---- many scales ---------------------------------------------------- */

static bool is_narrow(enum real_type type)
{
    return type == REAL_FLOAT16 || type == REAL_BFLOAT16;
}

void quant_round(const struct kernels *kernels, enum real_type type, float *scales,
                 size_t n)
{
    enum { SCALE_BATCH = 256 };
    for (size_t k = 0, part; is_narrow(type) && k < n; k += part) {
        uint16_t narrow[SCALE_BATCH];
        part = size_min(SCALE_BATCH, n - k);
        kernels->narrow[type](scales + k, part, narrow);
        kernels->widen[type](narrow, part, scales + k);
    }
}

void quant_store(const struct kernels *kernels, enum real_type type, const float *scales,
                 size_t n, void *out)
{
    if (is_narrow(type))
        kernels->narrow[type](scales, n, out);
    else if (type == REAL_FLOAT32)
        memcpy(out, scales, n * sizeof *scales);
    else
        real_store(type, scales, n, out);
}

/* ---- shapes --------------------------------------------------------- */

size_t quant_elements(const struct quant_shape *shape)
{
    return shape->outer * shape->dim * shape->inner;
}

size_t quant_blocks(const struct quant_shape *shape)
{
    return shape->block == 0 ? 1 : size_ceil_div(shape->dim, shape->block);
}

size_t quant_groups(const struct quant_shape *shape)
{
    if (shape->block == 0)
        return shape->dim;
    return shape->outer * quant_blocks(shape) * shape->inner;
}

size_t quant_group_of(const struct quant_shape *shape, size_t element)
{
    size_t inner = element % shape->inner;
    size_t dim = element / shape->inner % shape->dim;
    size_t outer = element / shape->inner / shape->dim;
    if (shape->block == 0)
        return dim;
    return (outer * quant_blocks(shape) + dim / shape->block) * shape->inner + inner;
}
