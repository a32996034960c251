/* Tensors. Knows the sizes and places of values, not what they mean. */
#include "onnx/tensor.h"

#include <string.h>

static const struct data_type_row {
    const char *name;
    unsigned bits;
    bool is_float;
} rows[] = {
    [0] = {"undefined", 0, false},       [1] = {"float", 32, true},
    [2] = {"uint8", 8, false},           [3] = {"int8", 8, false},
    [4] = {"uint16", 16, false},         [5] = {"int16", 16, false},
    [6] = {"int32", 32, false},          [7] = {"int64", 64, false},
    [8] = {"string", 0, false},          [9] = {"bool", 8, false},
    [10] = {"float16", 16, true},        [11] = {"double", 64, true},
    [12] = {"uint32", 32, false},        [13] = {"uint64", 64, false},
    [14] = {"complex64", 64, false},     [15] = {"complex128", 128, false},
    [16] = {"bfloat16", 16, true},       [17] = {"float8e4m3fn", 8, false},
    [18] = {"float8e4m3fnuz", 8, false}, [19] = {"float8e5m2", 8, false},
    [20] = {"float8e5m2fnuz", 8, false}, [21] = {"uint4", 4, false},
    [22] = {"int4", 4, false},           [23] = {"float4e2m1", 4, false},
    [24] = {"float8e8m0", 8, false},     [25] = {"uint2", 2, false},
    [26] = {"int2", 2, false},
};

static const struct data_type_row *row_of(int type)
{
    static const struct data_type_row unknown = {"unknown type", 0, false};
    size_t count = sizeof rows / sizeof *rows;
    return type >= 0 && (size_t)type < count ? &rows[type] : &unknown;
}

const char *data_type_name(int type)
{
    return row_of(type)->name;
}

bool data_type_is_float(int type)
{
    return row_of(type)->is_float;
}

enum real_type data_type_real(int type)
{
    return type == DATA_FLOAT16    ? REAL_FLOAT16
           : type == DATA_BFLOAT16 ? REAL_BFLOAT16
           : type == DATA_DOUBLE   ? REAL_FLOAT64
                                   : REAL_FLOAT32;
}

int data_type_of(enum real_type type)
{
    static const int types[] = {[REAL_FLOAT32] = DATA_FLOAT,
                                [REAL_FLOAT16] = DATA_FLOAT16,
                                [REAL_BFLOAT16] = DATA_BFLOAT16,
                                [REAL_FLOAT64] = DATA_DOUBLE};
    return types[type];
}

unsigned data_type_bits(int type)
{
    return row_of(type)->bits;
}

uint64_t data_type_bytes(int type, uint64_t elements)
{
    uint64_t bits = row_of(type)->bits;
    return elements / 8 * bits + (elements % 8 * bits + 7) / 8;
}

bool tensor_elements(const Onnx__TensorProto *tensor, uint64_t *elements)
{
    uint64_t product = 1;
    bool empty = false;
    for (size_t i = 0; i < tensor->n_dims; i++) {
        if (tensor->dims[i] < 0)
            return false;
        if (tensor->dims[i] == 0)
            empty = true;
        else if (__builtin_mul_overflow(product, (uint64_t)tensor->dims[i], &product))
            return false;
    }
    /* Sizes in bits must not overflow either. */
    *elements = empty ? 0 : product;
    return product <= UINT64_MAX / 128;
}

/* ---- reading -------------------------------------------------------- */

/* For float16, bfloat16 and small integers, each int32 holds one value. */
static void *narrow_int32(struct model *model, const Onnx__TensorProto *tensor,
                          unsigned bits)
{
    size_t count = tensor->n_int32_data;
    uint8_t *out = arena_array(model->arena, count, bits / 8);
    for (size_t i = 0; out && i < count; i++)
        memcpy(out + i * (bits / 8), &tensor->int32_data[i], bits / 8);
    return out;
}

/* Reads the typed field of this type, as the bytes that raw_data would hold. */
static const void *typed_values(struct model *model, const Onnx__TensorProto *tensor,
                                uint64_t *size)
{
    unsigned bits = data_type_bits(tensor->data_type);
    switch (tensor->data_type) {
    case DATA_FLOAT:
        *size = tensor->n_float_data * sizeof(float);
        return tensor->float_data;
    case DATA_DOUBLE:
        *size = tensor->n_double_data * sizeof(double);
        return tensor->double_data;
    case DATA_INT64:
        *size = tensor->n_int64_data * sizeof(int64_t);
        return tensor->int64_data;
    case DATA_INT32:
        *size = tensor->n_int32_data * sizeof(int32_t);
        return tensor->int32_data;
    default:
        if (bits > 16)
            return NULL;
        bits =
            bits < 8 ? 8 : bits; /* 4-bit values are packed: each int32 holds one byte */
        *size = tensor->n_int32_data * (bits / 8);
        return *size ? narrow_int32(model, tensor, bits) : NULL;
    }
}

struct payload *tensor_values(struct model *model, const Onnx__TensorProto *tensor,
                              struct error *err)
{
    uint64_t elements, size = 0;
    struct payload *payload = NULL;
    if (!tensor_elements(tensor, &elements)) {
        error_set(err, STATUS_MALFORMED, "%s: tensor '%s' has impossible dimensions",
                  model->file->path, or_empty(tensor->name));
        return NULL;
    }
    if (tensor->has_raw_data) {
        payload = tensor_payload(tensor);
    } else {
        const void *data = typed_values(model, tensor, &size);
        if (size == 0 || data)
            payload = payload_add(&model->payloads, data ? data : "", size, NULL);
    }
    if (!payload) {
        error_memory(err);
        return NULL;
    }
    uint64_t expected = data_type_bytes(tensor->data_type, elements);
    if (payload->size != expected) {
        error_set(err, STATUS_MALFORMED,
                  "%s: tensor '%s' has %llu bytes of values where its shape needs %llu",
                  model->file->path, or_empty(tensor->name),
                  (unsigned long long)payload->size, (unsigned long long)expected);
        return NULL;
    }
    return payload;
}

int64_t *tensor_ints(struct model *model, const Onnx__TensorProto *tensor,
                     uint64_t *count, struct error *err)
{
    bool wide = tensor->data_type == DATA_INT64;
    if (!wide && tensor->data_type != DATA_INT32) {
        error_set(err, STATUS_UNSUPPORTED, "%s: tensor '%s' should hold integers, not %s",
                  model->file->path, or_empty(tensor->name),
                  data_type_name(tensor->data_type));
        return NULL;
    }
    const struct payload *payload = tensor_values(model, tensor, err);
    if (!payload)
        return NULL;
    size_t size = wide ? sizeof(int64_t) : sizeof(int32_t);
    *count = payload->size / size;
    int64_t *ints = arena_array(model->arena, (size_t)*count, sizeof *ints);
    if (!ints) {
        error_memory(err);
        return NULL;
    }
    for (size_t i = 0; i < *count; i++) {
        int32_t narrow = 0;
        if (wide)
            memcpy(&ints[i], payload->data + i * size, size);
        else
            memcpy(&narrow, payload->data + i * size, size);
        ints[i] = wide ? ints[i] : narrow;
    }
    return ints;
}

/* ---- making --------------------------------------------------------- */

Onnx__TensorProto *tensor_new(struct model *model, const char *name, int type,
                              const int64_t *dims, size_t rank)
{
    Onnx__TensorProto *tensor = arena_alloc(model->arena, sizeof *tensor);
    int64_t *copy = arena_array(model->arena, rank, sizeof *copy);
    if (!tensor || !copy)
        return NULL;
    onnx__tensor_proto__init(tensor);
    if (rank > 0)
        memcpy(copy, dims, rank * sizeof *copy);
    tensor->name = (char *)(uintptr_t)name;
    tensor->has_data_type = true;
    tensor->data_type = type;
    tensor->dims = copy;
    tensor->n_dims = rank;
    return tensor;
}

bool tensor_set_values(struct model *model, Onnx__TensorProto *tensor, const void *data,
                       uint64_t size)
{
    struct payload *payload = payload_add(&model->payloads, data, size, NULL);
    if (!payload)
        return false;
    tensor->has_raw_data = true;
    tensor->raw_data.data = (uint8_t *)payload;
    tensor->raw_data.len = (size_t)size;
    return true;
}

Onnx__TensorProto *tensor_new_ints(struct model *model, const char *name,
                                   const int64_t *values, size_t count)
{
    int64_t dim = (int64_t)count;
    Onnx__TensorProto *tensor = tensor_new(model, name, DATA_INT64, &dim, 1);
    int64_t *copy = arena_array(model->arena, count, sizeof *copy);
    if (!tensor || !copy)
        return NULL;
    if (count > 0)
        memcpy(copy, values, count * sizeof *copy);
    return tensor_set_values(model, tensor, copy, count * sizeof *copy) ? tensor : NULL;
}

Onnx__TensorProto *tensor_new_float(struct model *model, const char *name, int type,
                                    float value)
{
    Onnx__TensorProto *tensor = tensor_new(model, name, type, NULL, 0);
    double *copy = arena_alloc(model->arena, sizeof *copy);
    if (!tensor || !copy)
        return NULL;
    if (type == DATA_DOUBLE)
        *copy = (double)value;
    else
        real_store(data_type_real(type), &value, 1, copy);
    uint64_t size = data_type_bytes(type, 1);
    return tensor_set_values(model, tensor, copy, size) ? tensor : NULL;
}
