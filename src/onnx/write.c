/* The writer. protobuf-c packs the message into a buffer, which skips the payloads.
 * Reserved payloads are not filled. */
#include "onnx/write.h"
#include "onnx/external.h"
#include "onnx/tensor.h"

#include <string.h>

/* ---- the stream ----------------------------------------------------- */

struct stream {
    ProtobufCBuffer base;
    struct model *model;
    struct output *output;      /* or: */
    const struct file *written; /* to compare with */
    bool differs;               /* from that */
    struct error *err;
    uint64_t offset; /* the offset of buffer[0] in the file */
    size_t used;
    uint8_t buffer[16 << 10];
};

static bool is_there(const struct stream *stream)
{
    const struct file *file = stream->written;
    return stream->offset + stream->used <= file->size &&
           memcmp(file->data + stream->offset, stream->buffer, stream->used) == 0;
}

static void stream_flush(struct stream *stream)
{
    if (stream->written)
        stream->differs = stream->differs || !is_there(stream);
    else if (stream->err->status == STATUS_OK)
        output_write(stream->output, stream->offset, stream->buffer, stream->used,
                     stream->err);
    stream->offset += stream->used;
    stream->used = 0;
}

static void stream_append(ProtobufCBuffer *base, size_t size, const uint8_t *data)
{
    struct stream *stream = (struct stream *)base;
    struct payload *payload = size ? payload_at(&stream->model->payloads, data) : NULL;
    if (payload) {
        stream_flush(stream);
        if (!stream->written) {
            payload->output = stream->output;
            payload->offset = stream->offset;
        }
        stream->offset += size;
        return;
    }
    while (size > 0) {
        size_t room = sizeof stream->buffer - stream->used;
        size_t n = size < room ? size : room;
        memcpy(stream->buffer + stream->used, data, n);
        stream->used += n;
        data += n;
        size -= n;
        if (stream->used == sizeof stream->buffer)
            stream_flush(stream);
    }
}

/* The buffer stays as it is: clearing it takes time. */
static void stream_begin(struct stream *stream, struct model *model)
{
    stream->base.append = stream_append;
    stream->model = model;
    stream->output = NULL;
    stream->written = NULL;
    stream->differs = false;
    stream->err = NULL;
    stream->offset = stream->used = 0;
}

bool model_is_written(struct model *model, const struct file *file)
{
    struct stream stream;
    stream_begin(&stream, model);
    stream.written = file;
    onnx__model_proto__pack_to_buffer(model->proto, &stream.base);
    stream_flush(&stream);
    return !stream.differs && stream.offset == file->size;
}

uint64_t model_size(const struct model *model)
{
    return onnx__model_proto__get_packed_size(model->proto);
}

bool model_write(struct model *model, uint64_t size, struct output *output,
                 struct error *err)
{
    if (size > INT32_MAX)
        return error_set(
            err, STATUS_UNSUPPORTED,
            "%s: %llu bytes even without its large tensors: an ONNX file ends "
            "at 2 GiB",
            model->file->path, (unsigned long long)size);
    struct stream stream;
    stream_begin(&stream, model);
    stream.output = output;
    stream.err = err;
    onnx__model_proto__pack_to_buffer(model->proto, &stream.base);
    stream_flush(&stream);
    return err->status == STATUS_OK && output_resize(output, size, err);
}

/* ---- external data -------------------------------------------------- */

struct externalize {
    struct model *model;
    struct output *data;
    char *location;
    struct error *err;
    uint64_t offset;
};

static bool externalize_tensor(void *context, Onnx__TensorProto *tensor)
{
    struct externalize *e = context;
    if (!tensor->has_raw_data || tensor->raw_data.len < EXTERNAL_MIN)
        return true;
    struct payload *payload = tensor_payload(tensor);
    uint64_t mask = EXTERNAL_ALIGNMENT - 1;
    e->offset = (e->offset + mask) & ~mask;
    payload->output = e->data;
    payload->offset = e->offset;
    e->offset += payload->size;
    return external_detach(e->model, tensor, e->location, payload->offset, e->err);
}

bool model_externalize(struct model *model, struct output *data, char *location,
                       uint64_t *size, struct error *err)
{
    struct externalize e = {model, data, location, err, 0};
    bool ok = model_tensors(model, externalize_tensor, &e);
    *size = e.offset;
    return ok && output_resize(data, e.offset, err);
}

/* ---- payloads ------------------------------------------------------- */

static bool write_payload(struct payload *payload, struct error *err)
{
    if (!payload->output || !payload->data || payload->size == 0)
        return true;
    if (payload->file)
        return output_copy(payload->output, payload->offset, payload->file, payload->data,
                           payload->size, err);
    return output_write(payload->output, payload->offset, payload->data,
                        (size_t)payload->size, err);
}

bool model_write_payloads(struct model *model, struct error *err)
{
    const struct payloads *payloads = &model->payloads;
    for (size_t i = 0; i < payloads->chunk_count; i++) {
        bool last = i + 1 == payloads->chunk_count;
        size_t count = last ? payloads->used : (size_t)PAYLOAD_FIRST_CHUNK << i;
        for (size_t j = 0; j < count; j++)
            if (!write_payload(&payloads->chunks[i][j], err))
                return false;
    }
    return true;
}
