/* External data: the entries location, offset and length of a tensor. Checksums
 * are not verified, other keys are ignored, as runtimes do. */
#include "onnx/external.h"
#include "onnx/explain.h"

#include <stdlib.h>
#include <string.h>

static bool refuse(const struct model *model, const Onnx__TensorProto *tensor,
                   const char *reason, struct error *err)
{
    return error_set(err, STATUS_MALFORMED, "%s: tensor '%s': external data: %s",
                     model->file->path, or_empty(tensor->name), reason);
}

enum {
    DESCRIPTORS = 16
}; /* the most files that stay open, for copies inside the system */

struct file *external_keep(struct model *model, struct file *file, struct error *err)
{
    struct external *external = arena_alloc(model->arena, sizeof *external);
    if (file && !external) {
        file_close(file);
        error_memory(err);
        return NULL;
    }
    if (!file)
        return NULL;
    *external = (struct external){.next = model->external, .file = file};
    model->external = external;
    if (model->external_count++ >= DESCRIPTORS)
        file_close_descriptor(file);
    return file;
}

struct file *external_scratch(struct model *model, uint64_t size, struct error *err)
{
    return external_keep(model, file_scratch(size, err), err);
}

static struct file *file_at(struct model *model, const char *location, struct error *err)
{
    struct file *file = map_get(&model->externals, location);
    if (file)
        return file;
    file = external_keep(model, file_open_beside(model->file, location, err), err);
    if (!file || explain_pointer(file, err))
        return NULL;
    if (map_put(&model->externals, location, file))
        return file;
    error_memory(err);
    return NULL;
}

/* A decimal number and nothing else. */
static bool parse_number(const char *value, uint64_t *number)
{
    char *end;
    if (*value < '0' || *value > '9')
        return false;
    unsigned long long parsed = strtoull(value, &end, 10);
    *number = parsed;
    return *end == '\0' && parsed <= INT64_MAX;
}

struct entries {
    const char *location;
    uint64_t offset, length;
    bool has_length;
};

static const char *read_entries(const Onnx__TensorProto *tensor, struct entries *entries)
{
    *entries = (struct entries){0};
    for (size_t i = 0; i < tensor->n_external_data; i++) {
        const char *key = or_empty(tensor->external_data[i]->key);
        const char *value = or_empty(tensor->external_data[i]->value);
        if (strcmp(key, "location") == 0) {
            entries->location = value;
        } else if (strcmp(key, "offset") == 0) {
            if (!parse_number(value, &entries->offset))
                return "its offset is not a number";
        } else if (strcmp(key, "length") == 0) {
            if (!parse_number(value, &entries->length))
                return "its length is not a number";
            entries->has_length = true;
        }
    }
    return entries->location ? NULL : "no location is given";
}

/* The file may not be data at all. */
static bool ends_early(const struct model *model, const Onnx__TensorProto *tensor,
                       const struct file *file, uint64_t wanted, struct error *err)
{
    error_set(
        err, STATUS_MALFORMED,
        "%s: tensor '%s': external data '%s' ends after %llu of at least %llu bytes: "
        "an incomplete download?",
        model->file->path, or_empty(tensor->name), file->path,
        (unsigned long long)file->size, (unsigned long long)wanted);
    if (explain_data(file, err))
        error_prefix(err, model->file->path);
    return false;
}

bool external_attach(struct model *model, Onnx__TensorProto *tensor, struct error *err)
{
    struct entries entries;
    const char *problem = read_entries(tensor, &entries);
    if (problem)
        return refuse(model, tensor, problem, err);
    struct file *file = file_at(model, entries.location, err);
    if (!file) {
        if (err->status != STATUS_MEMORY)
            error_prefix(err, model->file->path);
        return false;
    }
    uint64_t left = file->size > entries.offset ? file->size - entries.offset : 0;
    uint64_t length = entries.has_length ? entries.length : left;
    if (entries.offset > file->size || length > left)
        return ends_early(model, tensor, file, entries.offset + length, err);
    struct payload *payload =
        payload_add(&model->payloads, file->data + entries.offset, length, file);
    if (!payload)
        return error_memory(err);
    model->bytes += length;
    tensor->n_external_data = 0;
    tensor->has_data_location = false;
    tensor->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__DEFAULT;
    tensor->has_raw_data = true;
    tensor->raw_data.data = (uint8_t *)payload;
    tensor->raw_data.len = (size_t)length;
    return true;
}

bool external_detach(struct model *model, Onnx__TensorProto *tensor, char *location,
                     uint64_t offset, struct error *err)
{
    enum { ENTRIES = 3 };
    const char *keys[ENTRIES] = {"location", "offset", "length"};
    char *values[ENTRIES] = {
        location, arena_printf(model->arena, "%llu", (unsigned long long)offset),
        arena_printf(model->arena, "%llu", (unsigned long long)tensor->raw_data.len)};
    Onnx__StringStringEntryProto **entries =
        arena_array(model->arena, ENTRIES, sizeof(Onnx__StringStringEntryProto *));
    Onnx__StringStringEntryProto *made =
        arena_array(model->arena, ENTRIES, sizeof(Onnx__StringStringEntryProto));
    if (!entries || !made || !values[1] || !values[2])
        return error_memory(err);
    for (int i = 0; i < ENTRIES; i++) {
        onnx__string_string_entry_proto__init(&made[i]);
        made[i].key = arena_string(model->arena, keys[i]);
        made[i].value = values[i];
        if (!made[i].key)
            return error_memory(err);
        entries[i] = &made[i];
    }
    tensor->external_data = entries;
    tensor->n_external_data = ENTRIES;
    tensor->has_data_location = true;
    tensor->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    tensor->has_raw_data = false;
    return true;
}

void external_close(struct model *model)
{
    for (struct external *external = model->external; external; external = external->next)
        file_close(external->file);
    model->external = NULL;
    map_free(&model->externals);
}
