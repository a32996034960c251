/* Reading a model: map, scan, unpack the skeleton, find external data. Checks
 * nothing of what the graph means. */
#include "onnx/model.h"
#include "onnx/explain.h"
#include "onnx/external.h"
#include "onnx/scan.h"

#include <stdlib.h>
#include <string.h>

/* Caps on what a model may unpack to: some for any, and a multiple of the file's
 * bytes without payloads. Real models need 3 to 6 times those; an empty node, the
 * worst case, asks for 93 times its two bytes. */
static const uint64_t UNPACKED_BASE = (uint64_t)64 << 20, UNPACKED_FACTOR = 24;

/* ---- unpacking into the arena --------------------------------------- */

static void *unpack_alloc(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void unpack_free(void *arena, void *pointer)
{
    arena_release(arena, pointer);
}

static bool unpack(struct model *model, const struct skeleton *skeleton,
                   struct error *err)
{
    uint64_t bytes = model->file->size - payloads_size(&model->payloads);
    model->arena = arena_create((size_t)(UNPACKED_BASE + bytes * UNPACKED_FACTOR));
    if (!model->arena)
        return error_memory(err);
    ProtobufCAllocator allocator = {unpack_alloc, unpack_free, model->arena};
    const uint8_t *data = skeleton->data ? skeleton->data : (const uint8_t *)"";
    model->proto = onnx__model_proto__unpack(&allocator, skeleton->size, data);
    if (model->proto)
        return true;
    if (arena_exhausted(model->arena))
        return error_set(
            err, STATUS_MEMORY,
            "%s: needs more memory than its %llu bytes can be worth: damaged, or "
            "made to do harm",
            model->file->path, (unsigned long long)model->file->size);
    return error_set(err, STATUS_MALFORMED, "%s: damaged: its fields don't parse",
                     model->file->path);
}

/* ---- walking all tensors -------------------------------------------- */

static bool walk_message(ProtobufCMessage *message, tensor_fn *fn, void *context);

static bool walk_field(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                       tensor_fn *fn, void *context)
{
    char *at = (char *)message + field->offset;
    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        ProtobufCMessage *nested = *(ProtobufCMessage **)(void *)at;
        return !nested || walk_message(nested, fn, context);
    }
    size_t count = *(size_t *)(void *)((char *)message + field->quantifier_offset);
    ProtobufCMessage **nested = *(ProtobufCMessage ***)(void *)at;
    for (size_t i = 0; i < count; i++)
        if (!walk_message(nested[i], fn, context))
            return false;
    return true;
}

static bool walk_message(ProtobufCMessage *message, tensor_fn *fn, void *context)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    if (descriptor == &onnx__tensor_proto__descriptor)
        return fn(context, (Onnx__TensorProto *)message);
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        bool oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0; /* types only */
        if (field->type == PROTOBUF_C_TYPE_MESSAGE && !oneof &&
            !walk_field(message, field, fn, context))
            return false;
    }
    return true;
}

bool model_tensors(const struct model *model, tensor_fn *fn, void *context)
{
    return walk_message(&model->proto->base, fn, context);
}

/* ---- payloads ------------------------------------------------------- */

struct attach {
    struct model *model;
    struct error *err;
};

/* Turns the 8 bytes that the scan left in raw_data into the payload's pointer. */
static bool attach_payload(void *context, Onnx__TensorProto *tensor)
{
    struct attach *attach = context;
    if (tensor->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL &&
        tensor->has_data_location)
        return external_attach(attach->model, tensor, attach->err);
    if (!tensor->has_raw_data)
        return true;
    struct payload *payload;
    memcpy(&payload, tensor->raw_data.data, sizeof payload);
    tensor->raw_data.data = (uint8_t *)payload;
    tensor->raw_data.len = (size_t)payload->size;
    return true;
}

/* ---- the model ------------------------------------------------------ */

static bool read_proto(struct model *model, struct error *err)
{
    struct skeleton skeleton = {0};
    bool ok = scan_model(model->file, &model->payloads, &skeleton, err) &&
              unpack(model, &skeleton, err);
    free(skeleton.data);
    if (ok && !model->proto->graph)
        ok = error_set(err, STATUS_MALFORMED, "%s: no graph in it: not an ONNX model",
                       model->file->path);
    return ok;
}

static bool load(struct model *model, struct error *err)
{
    if (!read_proto(model, err)) {
        if (err->status == STATUS_MALFORMED)
            explain_model(model->file, err);
        return false;
    }
    struct attach attach = {model, err};
    return model_tensors(model, attach_payload, &attach);
}

bool model_check_files(const struct model *model, struct error *err)
{
    bool ok = file_check(model->file, err);
    for (const struct external *e = model->external; e && ok; e = e->next)
        ok = file_check(e->file, err);
    return ok;
}

bool model_reads(const struct model *model, const struct stat *st)
{
    for (const struct external *e = model->external; e; e = e->next)
        if (st->st_dev == e->file->device && st->st_ino == e->file->inode)
            return true;
    return st->st_dev == model->file->device && st->st_ino == model->file->inode;
}

struct model *model_load(const struct file *file, struct error *err)
{
    struct model *model = calloc(1, sizeof *model);
    if (!model) {
        error_memory(err);
        return NULL;
    }
    model->file = file;
    model->bytes = file->size;
    if (!load(model, err)) {
        model_free(model);
        return NULL;
    }
    return model;
}

void model_free(struct model *model)
{
    if (!model)
        return;
    external_close(model);
    set_free(&model->names);
    set_free(&model->shared_names);
    map_free(&model->numbers);
    payloads_free(&model->payloads);
    arena_destroy(model->arena);
    free(model);
}
