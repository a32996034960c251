/* safetensors. Knows nothing of what the tensors mean. */
#include "calibrate/safetensors.h"
#include "core/output.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MAX = 100 << 20, LENGTH_SIZE = 8 };

static const struct {
    const char *name;
    size_t size;
} dtypes[TENSOR_DTYPES] = {[TENSOR_F32] = {"F32", 4}, [TENSOR_F64] = {"F64", 8}};

/* ---- reading ----------------------------------------------------------- */

static bool damaged(const struct safetensors *s, const char *what, struct error *err)
{
    return error_set(err, STATUS_MALFORMED,
                     "%s: damaged or no file of statistics: %s; collect them again",
                     s->file->path, what);
}

/* A whole number that a double holds exactly. */
static bool read_count(const cJSON *item, uint64_t *out)
{
    const double most = 9007199254740992.0;
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > most)
        return false;
    *out = (uint64_t)item->valuedouble;
    return (double)*out == item->valuedouble;
}

static bool read_dtype(const cJSON *item, enum tensor_dtype *out)
{
    const char *name = cJSON_GetStringValue(item);
    for (enum tensor_dtype i = 0; name && i < TENSOR_DTYPES; i++)
        if (strcmp(name, dtypes[i].name) == 0) {
            *out = i;
            return true;
        }
    return false;
}

/* The elements, or false where dims make no sense. */
static bool read_dims(const cJSON *shape, struct file_tensor *t, uint64_t *elements)
{
    *elements = 1;
    t->dims[0] = t->dims[1] = 1;
    if (!cJSON_IsArray(shape) || cJSON_GetArraySize(shape) > TENSOR_RANK)
        return false;
    for (int i = 0; i < cJSON_GetArraySize(shape); i++) {
        uint64_t dim;
        if (!read_count(cJSON_GetArrayItem(shape, i), &dim) ||
            __builtin_mul_overflow(*elements, dim, elements))
            return false;
        t->dims[i] = (size_t)dim;
    }
    return true;
}

static bool read_tensor(struct safetensors *s, const cJSON *item, uint64_t values,
                        struct error *err)
{
    struct file_tensor *t = &s->tensors[s->count];
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    uint64_t begin, end, elements, size;
    t->name = item->string;
    if (!read_dtype(cJSON_GetObjectItemCaseSensitive(item, "dtype"), &t->dtype) ||
        !read_dims(cJSON_GetObjectItemCaseSensitive(item, "shape"), t, &elements))
        return damaged(s, "a tensor's type or shape", err);
    if (!read_count(cJSON_GetArrayItem(offsets, 0), &begin) ||
        !read_count(cJSON_GetArrayItem(offsets, 1), &end) || begin > end ||
        __builtin_mul_overflow(elements, dtypes[t->dtype].size, &size) ||
        end - begin != size)
        return damaged(s, "a tensor's offsets", err);
    if (end > s->file->size - values)
        return damaged(s, "it ends too early", err);
    t->data = s->file->data + values + begin;
    s->count++;
    return map_put(&s->by_name, t->name, t) || error_memory(err);
}

static bool read_header(struct safetensors *s, struct error *err)
{
    uint64_t length;
    if (s->file->size < LENGTH_SIZE)
        return damaged(s, "it is too short", err);
    memcpy(&length, s->file->data, sizeof length);
    if (length > HEADER_MAX || length > s->file->size - LENGTH_SIZE)
        return damaged(s, "its header's length", err);
    errno = 0;
    s->header =
        cJSON_ParseWithLength((const char *)s->file->data + LENGTH_SIZE, (size_t)length);
    if (!s->header && errno == ENOMEM)
        return error_memory(err);
    if (!cJSON_IsObject(s->header))
        return damaged(s, "its header is no JSON object", err);
    s->tensors = calloc((size_t)cJSON_GetArraySize(s->header) + 1, sizeof *s->tensors);
    if (!s->tensors)
        return error_memory(err);
    for (const cJSON *item = s->header->child; item; item = item->next)
        if (strcmp(item->string, "__metadata__") != 0 &&
            !read_tensor(s, item, LENGTH_SIZE + length, err))
            return false;
    return true;
}

bool safetensors_open(const char *path, const volatile int *cancel, struct safetensors *s,
                      struct error *err)
{
    *s = (struct safetensors){.file = file_open(path, cancel, err)};
    if (s->file && read_header(s, err))
        return true;
    safetensors_close(s);
    return false;
}

void safetensors_close(struct safetensors *s)
{
    map_free(&s->by_name);
    free(s->tensors);
    cJSON_Delete(s->header);
    file_close(s->file);
    *s = (struct safetensors){0};
}

const struct file_tensor *safetensors_find(const struct safetensors *s, const char *name)
{
    return map_get(&s->by_name, name);
}

const char *safetensors_metadata(const struct safetensors *s, const char *name)
{
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(s->header, "__metadata__");
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(all, name));
    return value ? value : "";
}

double file_tensor_value(const struct file_tensor *t, size_t index)
{
    const uint8_t *at = (const uint8_t *)t->data + index * dtypes[t->dtype].size;
    double wide;
    float narrow;
    if (t->dtype == TENSOR_F64) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    return (double)narrow;
}

/* ---- writing ----------------------------------------------------------- */

static uint64_t tensor_size(const struct file_tensor *t)
{
    return (uint64_t)t->dims[0] * t->dims[1] * dtypes[t->dtype].size;
}

static bool add_tensor(cJSON *header, const struct file_tensor *t, uint64_t begin)
{
    cJSON *item = cJSON_AddObjectToObject(header, t->name);
    cJSON *shape, *offsets;
    if (!item || !cJSON_AddStringToObject(item, "dtype", dtypes[t->dtype].name) ||
        !(shape = cJSON_AddArrayToObject(item, "shape")))
        return false;
    for (int i = 0; i < TENSOR_RANK; i++)
        if (!cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)t->dims[i])))
            return false;
    offsets = cJSON_AddArrayToObject(item, "data_offsets");
    return offsets && cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin)) &&
           cJSON_AddItemToArray(offsets,
                                cJSON_CreateNumber((double)(begin + tensor_size(t))));
}

/* The header's text, with blanks behind it up to a multiple of 8. NULL: out of memory. */
static char *make_header(const char *const (*metadata)[2], size_t metadata_count,
                         const struct file_tensor *tensors, size_t count, size_t *length)
{
    cJSON *header = cJSON_CreateObject();
    cJSON *all = header ? cJSON_AddObjectToObject(header, "__metadata__") : NULL;
    uint64_t begin = 0;
    bool ok = all != NULL;
    for (size_t i = 0; ok && i < metadata_count; i++)
        ok = cJSON_AddStringToObject(all, metadata[i][0], metadata[i][1]);
    for (size_t i = 0; ok && i < count; begin += tensor_size(&tensors[i++]))
        ok = add_tensor(header, &tensors[i], begin);
    char *json = ok ? cJSON_PrintUnformatted(header) : NULL;
    cJSON_Delete(header);
    if (!json)
        return NULL;
    size_t used = strlen(json);
    *length = (used + 7) / 8 * 8;
    char *text = malloc(*length);
    if (text) {
        memset(text, ' ', *length);
        memcpy(text, json, used);
    }
    cJSON_free(json);
    return text;
}

static bool write_values(struct output *output, uint64_t at,
                         const struct file_tensor *tensors, size_t count,
                         file_tensor_fn *values, void *context, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t all = tensor_size(&tensors[i]);
        size_t size;
        for (uint64_t done = 0; done < all; done += size, at += size) {
            const void *piece = values(context, i, done, &size);
            if (!piece)
                return error_memory(err);
            if (!output_write(output, at, piece, size, err))
                return false;
        }
    }
    return true;
}

bool safetensors_write(const char *path, const char *const (*metadata)[2],
                       size_t metadata_count, const struct file_tensor *tensors,
                       size_t count, file_tensor_fn *values, void *context,
                       struct error *err)
{
    size_t length = 0;
    char *header = make_header(metadata, metadata_count, tensors, count, &length);
    if (!header)
        return error_memory(err);
    uint64_t stored = length;
    struct output *output = output_create(path, NULL, err);
    bool ok = output && output_write(output, 0, &stored, sizeof stored, err) &&
              output_write(output, LENGTH_SIZE, header, length, err) &&
              write_values(output, LENGTH_SIZE + length, tensors, count, values, context,
                           err) &&
              output_commit(output, err);
    output_free(output);
    free(header);
    return ok;
}
