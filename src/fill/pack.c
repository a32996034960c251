/* Packing and writing. Computes no code, scale or zero point. */
#include "fill/pack.h"
#include "core/output.h"

/* Without a payload the plan is only measured, and nothing is written. */
static bool write_at(const struct payload *payload, uint64_t offset, const void *data,
                     size_t size, struct error *err)
{
    return !payload ||
           output_write(payload->output, payload->offset + offset, data, size, err);
}

/* ---- codes ---------------------------------------------------------- */

/* The first half of a row, which may be longer by one, goes into low nibbles, and the
 * second half into high nibbles. */
static size_t pack_halves(uint8_t *codes, size_t count, size_t row)
{
    size_t half = (row + 1) / 2, rest = row - half;
    uint8_t *out = codes;
    for (const uint8_t *at = codes, *end = codes + count; at < end; at += row) {
        for (size_t i = 0; i < rest; i++)
            out[i] = (uint8_t)((at[i] & 15) | at[half + i] << 4);
        if (rest < half)
            out[rest] = at[rest] & 15;
        out += half;
    }
    return (size_t)(out - codes);
}

/* Each row begins with a whole byte. */
static size_t pack_rows(const struct kernels *kernels, uint8_t *codes, size_t count,
                        size_t row)
{
    uint8_t *out = codes;
    for (size_t i = 0; i < count; i += row, out += (row + 1) / 2)
        quant_pack4(kernels, codes + i, row, out);
    return (size_t)(out - codes);
}

size_t codes_pack(const struct kernels *kernels, const struct plan_item *item,
                  uint8_t *codes, size_t count)
{
    switch (item->packing) {
    case PACK_PAIRS:
        if (item->row_bytes)
            return pack_rows(kernels, codes, count, item->row);
        quant_pack4(kernels, codes, count, codes);
        return (count + 1) / 2;
    case PACK_HALVES:
        return pack_halves(codes, count, item->row);
    default:
        return count;
    }
}

/* Writes row by row. The bytes between rows stay zero. */
static bool write_rows(const struct plan_item *item, const struct item_tensors *tensors,
                       size_t begin, const uint8_t *packed, size_t size,
                       struct error *err)
{
    size_t row = item->packing == PACK_PAIRS ? (item->row + 1) / 2 : item->row;
    uint64_t offset = begin / item->row * item->row_bytes;
    for (size_t at = 0; at < size; at += row, offset += item->row_bytes)
        if (!write_at(tensors->codes, offset, packed + at, row, err))
            return false;
    return true;
}

bool codes_write(const struct plan_item *item, const struct item_tensors *tensors,
                 size_t begin, const uint8_t *packed, size_t size, struct error *err)
{
    uint64_t offset = begin;
    if (item->row_bytes)
        return write_rows(item, tensors, begin, packed, size, err);
    if (item->packing == PACK_PAIRS)
        offset = begin / 2;
    else if (item->packing == PACK_HALVES)
        offset = begin / item->row * ((item->row + 1) / 2);
    return write_at(tensors->codes, offset, packed, size, err);
}

/* ---- parameters ----------------------------------------------------- */

/* Writes zero points in rows of `width` groups. Each row begins with a whole byte. */
static bool write_zeros(const struct kernels *kernels, const struct plan_item *item,
                        const struct item_tensors *tensors, uint64_t offset,
                        const uint8_t *zeros, size_t count, size_t width,
                        uint8_t *scratch, struct error *err)
{
    if (item->zero_packing != PACK_PAIRS)
        return write_at(tensors->zeros, offset, zeros, count, err);
    size_t used = 0;
    for (size_t i = 0; i < count; i += width, used += (width + 1) / 2)
        quant_pack4(kernels, zeros + i, count - i < width ? count - i : width,
                    scratch + used);
    return write_at(tensors->zeros, offset, scratch, used, err);
}

static bool write_scales(const struct kernels *kernels, const struct plan_item *item,
                         const struct item_tensors *tensors, size_t first, size_t count,
                         const float *scales, void *scratch, struct error *err)
{
    size_t size = real_size(item->scheme.scale_type);
    quant_store(kernels, item->scheme.scale_type, scales, count, scratch);
    return write_at(tensors->scales, first * size, scratch, count * size, err);
}

bool parameters_write(const struct kernels *kernels, const struct plan_item *item,
                      const struct item_tensors *tensors, size_t first, size_t count,
                      const float *scales, const uint8_t *zeros, void *scratch,
                      struct error *err)
{
    if (!write_scales(kernels, item, tensors, first, count, scales, scratch, err))
        return false;
    if (!tensors->zeros)
        return true;
    size_t width = count;
    uint64_t offset = first;
    if (item->zero_packing == PACK_PAIRS && item->padded) {
        width = quant_groups(&item->shape) / item->shape.outer;
        offset = first / width * ((width + 1) / 2);
    } else if (item->zero_packing == PACK_PAIRS) {
        offset = first / 2;
    }
    return write_zeros(kernels, item, tensors, offset, zeros, count, width, scratch, err);
}

size_t transposed_group_rows(const struct plan_item *item)
{
    bool down = item->shape.block != 0 && item->axis == 0;
    return down ? quant_groups(&item->shape) / item->shape.inner
                : (size_t)item->tensor->dims[0];
}

static int read_zero(const struct plan_item *item, const uint8_t *zeros, size_t at,
                     size_t width)
{
    const struct quant_type_info *type = quant_type_info(item->scheme.type);
    unsigned top = 1u << (type->bits - 1), code;
    if (item->zero_packing == PACK_PAIRS) {
        size_t row = item->padded ? at / width : 0;
        at -= row * width;
        code = zeros[row * ((width + 1) / 2) + at / 2];
        code = code >> at % 2 * 4 & 15u;
    } else {
        code = zeros[at];
    }
    return type->lo < 0 ? (int)(code ^ top) - (int)top : (int)code;
}

float parameters_read(const struct plan_item *item, const uint8_t *scales,
                      const uint8_t *zeros, size_t group, int *zero)
{
    const struct quant_type_info *type = quant_type_info(item->scheme.type);
    size_t groups = quant_groups(&item->shape), width = groups / item->shape.outer;
    float scale;
    if (item->transposed && groups > 1) {
        width = transposed_group_rows(item);
        group = group % (groups / width) * width + group / (groups / width);
    }
    real_load(item->scheme.scale_type,
              scales + group * real_size(item->scheme.scale_type), 1, &scale);
    *zero = zeros          ? read_zero(item, zeros, group, width)
            : type->lo < 0 ? 0
                           : (type->hi + 1) / 2;
    return scale;
}

void nibbles_put(const struct kernels *kernels, uint8_t *out, size_t offset,
                 uint8_t *codes, size_t count)
{
    uint8_t *at = out + offset / 2;
    if (offset % 2 != 0 && count > 0) {
        *at = (uint8_t)((*at & 15) | codes[0] << 4);
        at++;
        codes++;
        count--;
    }
    quant_pack4(kernels, codes, count, at);
}
