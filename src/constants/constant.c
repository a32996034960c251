/* Constants: their memory, and how their values are read and written. Knows no operator.
 */
#include "constants/constant.h"
#include "core/pages.h"
#include "quant/half.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- dims ----------------------------------------------------------- */

uint64_t constant_elements(const struct constant *constant)
{
    uint64_t elements = 1; /* constant_shape has checked that this can't overflow */
    for (size_t i = 0; i < constant->rank; i++)
        elements *= constant->dims[i];
    return elements;
}

uint64_t constant_bytes(const struct constant *constant)
{
    return data_type_bytes(constant->data_type, constant_elements(constant));
}

size_t constant_width(int data_type)
{
    return (data_type_bits(data_type) + 7) / 8;
}

void constant_set_strides(struct constant *constant)
{
    ptrdiff_t stride = (ptrdiff_t)constant_width(constant->data_type);
    for (size_t i = constant->rank; i-- > 0;) {
        constant->strides[i] = stride;
        stride *= (ptrdiff_t)constant->dims[i];
    }
}

static bool is_packed(const struct constant *constant)
{
    struct constant packed = *constant;
    constant_set_strides(&packed);
    for (size_t i = 0; i < constant->rank; i++)
        if (constant->dims[i] > 1 && constant->strides[i] != packed.strides[i])
            return false;
    return true;
}

bool constant_shape(struct constant *constant, int data_type, const uint64_t *dims,
                    size_t rank, uint64_t limit)
{
    uint64_t product = 1;
    *constant = (struct constant){.data_type = data_type, .rank = rank};
    if (rank > CONSTANT_RANK_MAX || constant_width(data_type) == 0)
        return false;
    for (size_t i = 0; i < rank; i++) {
        uint64_t least = dims[i] ? dims[i] : 1; /* a 0 must not hide an overflow */
        if (__builtin_mul_overflow(product, least, &product) || product > limit)
            return false;
        constant->dims[i] = dims[i];
    }
    constant_set_strides(constant);
    return true;
}

bool constant_broadcast(struct constant *constant, const uint64_t *dims, size_t rank)
{
    struct constant from = *constant;
    if (rank > CONSTANT_RANK_MAX || from.rank > rank)
        return false;
    size_t added = rank - from.rank;
    for (size_t i = 0; i < rank; i++) {
        uint64_t own = i < added ? 1 : from.dims[i - added];
        if (own != 1 && own != dims[i])
            return false;
        constant->strides[i] = own == 1 ? 0 : from.strides[i - added];
        constant->dims[i] = dims[i];
    }
    constant->rank = rank;
    return true;
}

/* ---- memory --------------------------------------------------------- */

bool constant_make(struct constant *constant, bool scratch, struct error *err)
{
    uint64_t size = constant_elements(constant) * constant_width(constant->data_type);
    constant_set_strides(constant);
    constant->payload = NULL;
    if (size == 0)
        return true;
    if ((scratch && size >= CONSTANT_SCRATCH_MIN) || size > CONSTANT_MEMORY_MAX) {
        constant->file = file_scratch(size, err);
        constant->data = constant->file ? constant->file->data : NULL;
    } else if (!(constant->data = constant->memory = malloc((size_t)size))) {
        error_memory(err);
    }
    return constant->data != NULL;
}

/* Pages of the model that were read are given back. */
void constant_free(struct constant *constant)
{
    const struct payload *payload = constant->payload;
    struct pages read = {0};
    if (payload && constant->data) {
        pages_read(&read, payload->file, payload->data, payload->size);
        pages_end(&read);
    }
    file_close(constant->file);
    free(constant->memory);
    *constant = (struct constant){0};
}

static void copy_axis(const struct constant *from, uint8_t *out, const ptrdiff_t *strides,
                      size_t axis, const uint8_t *data)
{
    size_t size = constant_width(from->data_type);
    if (axis == from->rank) {
        memcpy(out, data, size);
        return;
    }
    if (axis + 1 == from->rank && from->strides[axis] == (ptrdiff_t)size &&
        strides[axis] == (ptrdiff_t)size) {
        memcpy(out, data, (size_t)from->dims[axis] * size);
        return;
    }
    for (uint64_t i = 0; i < from->dims[axis]; i++)
        copy_axis(from, out + (ptrdiff_t)i * strides[axis], strides, axis + 1,
                  data + (ptrdiff_t)i * from->strides[axis]);
}

void constant_copy(const struct constant *from, uint8_t *out, const ptrdiff_t *strides)
{
    if (from->data && constant_elements(from) > 0)
        copy_axis(from, out, strides, 0, from->data);
}

bool constant_pack(struct constant *constant, bool scratch, struct error *err)
{
    struct constant packed = *constant;
    if (is_packed(constant) || !constant->data) {
        constant_set_strides(constant);
        return true;
    }
    packed.file = NULL;
    packed.memory = NULL;
    if (!constant_make(&packed, scratch, err))
        return false;
    constant_copy(constant, (uint8_t *)(uintptr_t)packed.data, packed.strides);
    constant_free(constant);
    *constant = packed;
    return true;
}

/* ---- values --------------------------------------------------------- */

#define LOAD_CONSTANT(type, convert)                   \
    for (size_t i = 0; i < count; i++, at += stride) { \
        type value;                                    \
        memcpy(&value, at, sizeof value);              \
        out[i] = (double)convert(value);               \
    }                                                  \
    return
#define SAME(value) (value)

/* Integers have the values that their TensorProto.DataType says. */
static void load_run(int data_type, const uint8_t *at, ptrdiff_t stride, size_t count,
                     double *out)
{
    switch (data_type) {
    case DATA_FLOAT:
        LOAD_CONSTANT(float, SAME);
    case DATA_DOUBLE:
        LOAD_CONSTANT(double, SAME);
    case DATA_FLOAT16:
        LOAD_CONSTANT(uint16_t, half_widen);
    case DATA_BFLOAT16:
        LOAD_CONSTANT(uint16_t, bfloat_widen);
    case DATA_INT8:
    case DATA_INT4:
    case DATA_INT2:
        LOAD_CONSTANT(int8_t, SAME);
    case DATA_UINT16:
        LOAD_CONSTANT(uint16_t, SAME);
    case DATA_INT16:
        LOAD_CONSTANT(int16_t, SAME);
    case DATA_INT32:
        LOAD_CONSTANT(int32_t, SAME);
    case DATA_UINT32:
        LOAD_CONSTANT(uint32_t, SAME);
    case DATA_INT64:
        LOAD_CONSTANT(int64_t, SAME);
    case DATA_UINT64:
        LOAD_CONSTANT(uint64_t, SAME);
    default: /* uint8, uint4, uint2, bool */
        LOAD_CONSTANT(uint8_t, SAME);
    }
}

void constant_load(const struct constant *constant, uint64_t first, size_t count,
                   double *out)
{
    size_t rank = constant->rank;
    uint64_t at[CONSTANT_RANK_MAX] = {0}, rest = first;
    const uint8_t *data = constant->data;
    if (count == 0)
        return;
    if (rank == 0) {
        load_run(constant->data_type, data, 0, 1, out);
        return;
    }
    for (size_t i = rank; i-- > 0; rest /= constant->dims[i]) {
        at[i] = rest % constant->dims[i];
        data += (ptrdiff_t)at[i] * constant->strides[i];
    }
    while (count > 0) {
        size_t last = rank - 1, left = (size_t)(constant->dims[last] - at[last]);
        size_t n = left < count ? left : count;
        load_run(constant->data_type, data, constant->strides[last], n, out);
        out += n;
        count -= n;
        data += (ptrdiff_t)n * constant->strides[last];
        at[last] += n;
        for (size_t i = last; i > 0 && at[i] == constant->dims[i]; i--) {
            data += constant->strides[i - 1] -
                    (ptrdiff_t)constant->dims[i] * constant->strides[i];
            at[i] = 0;
            at[i - 1]++;
        }
    }
}

/* Rounds to float so that rounding on to 16 bits is the same as rounding once: the last
 * bit says whether anything was lost. */
static float to_odd(double value)
{
    float near = (float)value;
    if ((double)near == value || !isfinite(near))
        return near;
    uint32_t bits = float_bits(near);
    bits -= fabs((double)near) > fabs(value);
    return float_of_bits(bits | 1);
}

static int64_t to_integer(double value)
{
    if (value >= 0x1p63)
        return INT64_MAX;
    return value >= -0x1p63 ? (int64_t)value : INT64_MIN; /* NaN, too */
}

#define STORE(type, convert)                                  \
    for (size_t i = 0; i < count; i++) {                      \
        const type value = (type)convert(values[i]);          \
        memcpy(out + i * sizeof value, &value, sizeof value); \
    }                                                         \
    return
#define HALF(value)   half_narrow(to_odd(value))
#define BFLOAT(value) bfloat_narrow(to_odd(value))
#define TRUTH(value)  ((value) != 0)

void constant_store(int data_type, const double *values, size_t count, uint8_t *out)
{
    switch (data_type) {
    case DATA_FLOAT:
        STORE(float, SAME);
    case DATA_DOUBLE:
        STORE(double, SAME);
    case DATA_FLOAT16:
        STORE(uint16_t, HALF);
    case DATA_BFLOAT16:
        STORE(uint16_t, BFLOAT);
    case DATA_BOOL:
        STORE(uint8_t, TRUTH);
    case DATA_UINT16:
    case DATA_INT16:
        STORE(uint16_t, to_integer);
    case DATA_INT32:
    case DATA_UINT32:
        STORE(uint32_t, to_integer);
    case DATA_INT64:
    case DATA_UINT64:
        STORE(uint64_t, to_integer);
    default: /* integers of 8 bits and less */
        STORE(uint8_t, to_integer);
    }
}
