/* Tensors: types and sizes of values, reading small tensors, making new ones. */
#ifndef NIBBLE_ONNX_TENSOR_H
#define NIBBLE_ONNX_TENSOR_H

#include "onnx/model.h"
#include "quant/quant.h"

/* The TensorProto.DataType that nibble names. */
enum data_type {
    DATA_UNDEFINED = 0,
    DATA_FLOAT = 1,
    DATA_UINT8 = 2,
    DATA_INT8 = 3,
    DATA_UINT16 = 4,
    DATA_INT16 = 5,
    DATA_INT32 = 6,
    DATA_INT64 = 7,
    DATA_STRING = 8,
    DATA_BOOL = 9,
    DATA_FLOAT16 = 10,
    DATA_DOUBLE = 11,
    DATA_UINT32 = 12,
    DATA_UINT64 = 13,
    DATA_BFLOAT16 = 16,
    DATA_UINT4 = 21,
    DATA_INT4 = 22,
    DATA_UINT2 = 25,
    DATA_INT2 = 26,
};

const char *data_type_name(int type);    /* "float"; "type 99" is "unknown type" */
bool data_type_is_float(int type);       /* float, float16, bfloat16, double */
enum real_type data_type_real(int type); /* of a float type; float32 for any other */
int data_type_of(enum real_type type);   /* and back */
unsigned data_type_bits(int type); /* of one element; 0 for strings and unknown types */

/* The product of the dims; 1 for rank 0. False on a negative dim or overflow. */
bool tensor_elements(const Onnx__TensorProto *tensor, uint64_t *elements);

/* The bytes that so many elements of the type take in raw_data. */
uint64_t data_type_bytes(int type, uint64_t elements);

/* The values as raw_data would hold them. They may be in raw_data, in a typed field or
 * (if there are none) nowhere. If their size is wrong, sets an error that names the
 * tensor. Not for strings. */
struct payload *tensor_values(struct model *model, const Onnx__TensorProto *tensor,
                              struct error *err);

/* Reads a tensor of int32 or int64 as int64, in the arena. NULL with an error. */
int64_t *tensor_ints(struct model *model, const Onnx__TensorProto *tensor,
                     uint64_t *count, struct error *err);

/* Makes a tensor without values in the arena. The dims are copied, the name is not. NULL
 * when out of memory. */
Onnx__TensorProto *tensor_new(struct model *model, const char *name, int type,
                              const int64_t *dims, size_t rank);

/* Sets the values: `data` is in the arena or in a mapping. NULL reserves them. */
bool tensor_set_values(struct model *model, Onnx__TensorProto *tensor, const void *data,
                       uint64_t size);

/* Make small constants: _ints of rank 1, _float of rank 0 and any float type. */
Onnx__TensorProto *tensor_new_ints(struct model *model, const char *name,
                                   const int64_t *values, size_t count);
Onnx__TensorProto *tensor_new_float(struct model *model, const char *name, int type,
                                    float value);

/* The payload of a tensor whose raw_data is set. */
static inline struct payload *tensor_payload(const Onnx__TensorProto *tensor)
{
    return (struct payload *)(void *)tensor->raw_data.data;
}

#endif
