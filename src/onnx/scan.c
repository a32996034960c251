/* The wire scan, driven by protobuf-c's descriptors. Copies small fields and refers to
 * large ones. Interprets only the values of TensorProto. */
#include "onnx/scan.h"
#include "core/endian.h"
#include "core/pages.h"
#include "onnx.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum {
    NESTING_MAX = 100,
    LENGTH_ROOM = 5, /* the room for the length of a nested message: a padded varint */
    TYPED_PAYLOAD_MIN =
        4 << 10,            /* float_data of this size and more is referred to, too */
    SCANNED_MIN = 64 << 10, /* bytes that are scanned before pages are given back */
};
enum wire { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };
enum { TENSOR_FLOAT_DATA = 4, TENSOR_RAW_DATA = 9, TENSOR_DOUBLE_DATA = 10 };

struct scan {
    const struct file *file;
    struct payloads *payloads;
    struct error *err;
    uint8_t *out;
    size_t size, capacity;
    struct pages pages;
    uint64_t wanted; /* where a field ends that goes beyond the end of the file */
};

struct field {
    uint32_t number;
    enum wire wire;
    const uint8_t *start, *value,
        *end; /* the start of the tag, the start of the value, the end of it */
    const ProtobufCFieldDescriptor *descriptor; /* NULL: unknown */
};

/* ---- output --------------------------------------------------------- */

static bool emit(struct scan *scan, const void *data, size_t size)
{
    if (size > scan->capacity - scan->size) {
        size_t capacity = scan->capacity * 2 + size + 4096;
        uint8_t *out = realloc(scan->out, capacity);
        if (!out)
            return error_memory(scan->err);
        scan->out = out;
        scan->capacity = capacity;
    }
    memcpy(scan->out + scan->size, data, size);
    scan->size += size;
    return true;
}

static bool emit_key(struct scan *scan, uint32_t number, enum wire wire)
{
    uint8_t bytes[5];
    size_t n = 0;
    uint64_t key = (uint64_t)number << 3 | wire;
    for (; key >= 0x80; key >>= 7)
        bytes[n++] = (uint8_t)(key | 0x80);
    bytes[n++] = (uint8_t)key;
    return emit(scan, bytes, n);
}

/* Writes the length of a complete message into the room before `start`. Short messages,
 * which are most, move forward so that their length takes one byte. */
static void put_length(struct scan *scan, size_t start)
{
    uint8_t *message = scan->out + start, *at = message - LENGTH_ROOM;
    size_t length = scan->size - start;
    if (length < 0x80) {
        at[0] = (uint8_t)length;
        memmove(at + 1, message, length);
        scan->size -= LENGTH_ROOM - 1;
        return;
    }
    for (int i = 0; i < LENGTH_ROOM - 1; i++, length >>= 7)
        at[i] = (uint8_t)(length | 0x80);
    at[LENGTH_ROOM - 1] = (uint8_t)length;
}

/* ---- reading one field ---------------------------------------------- */

static bool malformed(struct scan *scan, const uint8_t *at, const char *what)
{
    uint64_t offset = (uint64_t)(at - scan->file->data);
    if (!file_check(scan->file, scan->err))
        return false;
    const char *hint = offset < 64 ? " (is this an ONNX model?)" : "";
    return error_set(scan->err, STATUS_MALFORMED,
                     "%s: damaged or truncated at byte %llu of %llu: %s%s",
                     scan->file->path, (unsigned long long)offset,
                     (unsigned long long)scan->file->size, what, hint);
}

/* Reads a varint of at most 10 bytes. NULL if it does not end. */
static const uint8_t *varint(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    *value = 0;
    if (at < end && *at < 0x80) { /* most are so short */
        *value = *at;
        return at + 1;
    }
    for (unsigned shift = 0; at < end && shift < 70; shift += 7) {
        uint8_t byte = *at++;
        *value |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
        if (!(byte & 0x80))
            return at;
    }
    return NULL;
}

/* Finds where the value begins and ends, without looking at the descriptor. */
static bool read_extent(struct scan *scan, const uint8_t *at, const uint8_t *end,
                        struct field *field)
{
    uint64_t key, value;
    field->start = at;
    at = varint(at, end, &key);
    if (!at || key >> 3 == 0 || key >> 3 > 0x1fffffff)
        return malformed(scan, field->start, "not a field's tag");
    field->number = (uint32_t)(key >> 3);
    field->wire = (enum wire)(key & 7);
    field->value = at;
    uint64_t left = (uint64_t)(end - at);
    switch (field->wire) {
    case VARINT:
        field->end = varint(at, end, &value);
        return field->end || malformed(scan, at, "a number does not end");
    case FIXED64:
    case FIXED32:
        value = field->wire == FIXED64 ? 8 : 4;
        break;
    case LENGTH:
        at = varint(at, end, &value);
        if (!at)
            return malformed(scan, field->value, "a length does not end");
        field->value = at;
        left = (uint64_t)(end - at);
        break;
    default:
        return malformed(scan, field->start, "unknown wire type");
    }
    if (value > left) {
        scan->wanted = (uint64_t)(at - scan->file->data) + value;
        return malformed(scan, field->start, "a field runs over its end");
    }
    field->end = at + value;
    return true;
}

static enum wire wire_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return FIXED32;
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return FIXED64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return LENGTH;
    default:
        return VARINT;
    }
}

static bool read_field(struct scan *scan, const ProtobufCMessageDescriptor *message,
                       const uint8_t *at, const uint8_t *end, struct field *field)
{
    if (!read_extent(scan, at, end, field))
        return false;
    const ProtobufCFieldDescriptor *descriptor =
        protobuf_c_message_descriptor_get_field(message, field->number);
    field->descriptor = descriptor;
    if (!descriptor)
        return true;
    enum wire wire = wire_of(descriptor->type);
    bool packed = field->wire == LENGTH && descriptor->label == PROTOBUF_C_LABEL_REPEATED;
    if (field->wire != wire && !packed)
        return malformed(scan, at, "a field has the wrong wire type");
    if (descriptor->type == PROTOBUF_C_TYPE_STRING &&
        memchr(field->value, 0, (size_t)(field->end - field->value)))
        return malformed(scan, field->value, "a name or text with a zero byte in it");
    return true;
}

/* ---- payloads ------------------------------------------------------- */

static bool emit_payload(struct scan *scan, const uint8_t *data, const uint8_t *end)
{
    const struct payload *payload =
        payload_add(scan->payloads, data, (uint64_t)(end - data), scan->file);
    if (!payload)
        return error_memory(scan->err);
    uint8_t length = sizeof payload;
    return emit_key(scan, TENSOR_RAW_DATA, LENGTH) && emit(scan, &length, 1) &&
           emit(scan, &payload, sizeof payload);
}

/* Packed float_data and double_data have the same bytes as raw_data. If one large run of
 * them holds all values of a tensor, it is read as raw_data. */
static uint32_t typed_payload(struct scan *scan, const uint8_t *at, const uint8_t *end)
{
    uint32_t found = 0;
    for (struct field field; at < end; at = field.end) {
        if (!read_extent(scan, at, end, &field))
            return 0;
        bool typed =
            field.number == TENSOR_FLOAT_DATA || field.number == TENSOR_DOUBLE_DATA;
        if (field.number == TENSOR_RAW_DATA || (typed && found))
            return 0;
        if (!typed)
            continue;
        size_t size = (size_t)(field.end - field.value);
        size_t element = field.number == TENSOR_FLOAT_DATA ? 4 : 8;
        if (field.wire != LENGTH || size < TYPED_PAYLOAD_MIN || size % element != 0)
            return 0;
        found = field.number;
    }
    return found;
}

/* ---- messages ------------------------------------------------------- */

static bool scan_message(struct scan *scan, const ProtobufCMessageDescriptor *message,
                         const uint8_t *at, const uint8_t *end, int depth);

/* Gives pages back in the order of the file, however messages are nested. */
static void scanned_to(struct scan *scan, const uint8_t *end)
{
    const uint8_t *begin = scan->pages.end;
    pages_read(&scan->pages, scan->file, begin, (uint64_t)(end - begin));
}

static bool scan_nested(struct scan *scan, const struct field *field, int depth)
{
    if (depth == NESTING_MAX)
        return malformed(scan, field->start, "graphs nested more than 100 levels deep");
    static const uint8_t placeholder[LENGTH_ROOM];
    if (!emit_key(scan, field->number, LENGTH) || !emit(scan, placeholder, LENGTH_ROOM))
        return false;
    size_t start = scan->size;
    if (!scan_message(scan, field->descriptor->descriptor, field->value, field->end,
                      depth + 1))
        return false;
    if (scan->size - start > INT32_MAX)
        return error_set(scan->err, STATUS_UNSUPPORTED,
                         "%s: more than 2 GiB without its tensors", scan->file->path);
    put_length(scan, start);
    if (field->end - scan->pages.end >= SCANNED_MIN)
        scanned_to(scan, field->end);
    return true;
}

/* Fields of the model itself, such as the graph, say how long the file should be. A
 * length that no model can have is damage. */
static bool ends_early(struct scan *scan, const struct field *field)
{
    uint64_t size = scan->file->size, wanted = scan->wanted;
    bool large = wanted >= 10000000;
    double unit = large ? 1e6 : 1;
    if (wanted <= size || wanted - size > INT32_MAX)
        return false; /* the field may not even have a number */
    const ProtobufCFieldDescriptor *known = protobuf_c_message_descriptor_get_field(
        &onnx__model_proto__descriptor, field->number);
    if (!known || wire_of(known->type) != LENGTH)
        return false;
    return error_replace(
        scan->err, STATUS_MALFORMED,
        "%s: ends after %.*f of at least %.*f %s: an incomplete download?",
        scan->file->path, large, (double)size / unit, large, (double)wanted / unit,
        large ? "MB" : "bytes");
}

static bool scan_message(struct scan *scan, const ProtobufCMessageDescriptor *message,
                         const uint8_t *at, const uint8_t *end, int depth)
{
    bool tensor = message == &onnx__tensor_proto__descriptor;
    uint32_t typed = tensor ? typed_payload(scan, at, end) : 0;
    for (struct field field; at < end; at = field.end) {
        bool ok;
        if (!read_field(scan, message, at, end, &field))
            return depth == 1 && ends_early(scan, &field);
        if (tensor && (field.number == TENSOR_RAW_DATA || field.number == typed))
            ok = emit_payload(scan, field.value, field.end);
        else if (field.descriptor && field.descriptor->type == PROTOBUF_C_TYPE_MESSAGE)
            ok = scan_nested(scan, &field, depth);
        else
            ok = emit(scan, field.start, (size_t)(field.end - field.start));
        if (!ok)
            return false;
    }
    return true;
}

bool scan_model(const struct file *file, struct payloads *payloads,
                struct skeleton *skeleton, struct error *err)
{
    struct scan scan = {.file = file, .payloads = payloads, .err = err};
    pages_read(&scan.pages, file, file->data, 0);
    const uint8_t *end = file->data + file->size;
    bool ok = scan_message(&scan, &onnx__model_proto__descriptor, file->data, end, 1);
    scanned_to(&scan, end);
    pages_end(&scan.pages);
    *skeleton = (struct skeleton){.data = scan.out, .size = scan.size};
    return ok;
}
