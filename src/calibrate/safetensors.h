/* Files of tensors in the safetensors format: the length of a JSON header in 8 bytes,
 * that header, and the tensors' values one behind the other. */
#ifndef NIBBLE_CALIBRATE_SAFETENSORS_H
#define NIBBLE_CALIBRATE_SAFETENSORS_H

#include "core/file.h"
#include "core/map.h"

enum tensor_dtype { TENSOR_F32, TENSOR_F64, TENSOR_DTYPES };
enum { TENSOR_RANK = 2 };

struct file_tensor {
    const char *name;
    enum tensor_dtype dtype;
    size_t dims[TENSOR_RANK];
    const void *data; /* of what is read: of any alignment */
};

/* ---- reading ----------------------------------------------------------- */

struct safetensors {
    struct file *file;
    struct cJSON *header;
    struct file_tensor
        *tensors; /* those of a known type and rank, in the header's order */
    size_t count;
    struct map by_name;
};

/* Checks every length, offset and type. */
bool safetensors_open(const char *path, const volatile int *cancel,
                      struct safetensors *tensors, struct error *err);
void safetensors_close(struct safetensors *tensors);

const struct file_tensor *safetensors_find(const struct safetensors *tensors,
                                           const char *name);

/* A text of the header's metadata; "" where there is none. */
const char *safetensors_metadata(const struct safetensors *tensors, const char *name);

/* Element `index`, as a double. */
double file_tensor_value(const struct file_tensor *tensor, size_t index);

/* ---- writing ----------------------------------------------------------- */

/* One call for each piece of the tensors' values, in their order: returns the next
 * `*size` bytes of tensor `index`, from `offset` on; NULL when out of memory. */
typedef const void *file_tensor_fn(void *context, size_t index, uint64_t offset,
                                   size_t *size);

/* Names and values of metadata in pairs. The file appears whole or not at all. */
bool safetensors_write(const char *path, const char *const (*metadata)[2],
                       size_t metadata_count, const struct file_tensor *tensors,
                       size_t count, file_tensor_fn *values, void *context,
                       struct error *err);

#endif
