/* Giving computed values to the model, as a tensor's payload holds them. */
#include "constants/constant.h"
#include "onnx/external.h"

#include <string.h>

/* Memory of the model for values: in the arena, or in a temporary file. */
static uint8_t *model_room(struct model *model, uint64_t size, const struct file **file,
                           struct error *err)
{
    uint8_t *data = NULL;
    *file = NULL;
    if (size < CONSTANT_SCRATCH_MIN)
        data = arena_alloc(model->arena, (size_t)size);
    else if ((*file = external_scratch(model, size, err)))
        data = (uint8_t *)(uintptr_t)(*file)->data;
    if (!data)
        error_memory(err);
    return data;
}

/* Packs codes of 2 and 4 bits, the first one lowest. */
static void pack_codes(const struct constant *codes, uint8_t *out)
{
    unsigned bits = data_type_bits(codes->data_type), each = 8 / bits;
    memset(out, 0, (size_t)constant_bytes(codes));
    for (uint64_t i = 0, count = constant_elements(codes); i < count; i++)
        out[i / each] |=
            (uint8_t)((codes->data[i] & ((1u << bits) - 1)) << (bits * (i % each)));
}

const struct payload *constant_keep(struct model *model, struct constant *constant,
                                    struct error *err)
{
    uint64_t size = constant_bytes(constant);
    bool narrow = data_type_bits(constant->data_type) < 8;
    const struct file *file = NULL;
    const uint8_t *data = constant->data;
    if (!constant_pack(constant, true, err))
        return NULL;
    data = constant->data;
    if (constant->payload) {
        file = constant->payload->file;
    } else if (constant->file && !narrow) {
        file = external_keep(model, constant->file, err);
        constant->file = NULL;
        if (!file)
            return NULL;
    } else {
        uint8_t *room = model_room(model, size, &file, err);
        if (room && narrow)
            pack_codes(constant, room);
        else if (room)
            memcpy(room, data, (size_t)size);
        data = room;
    }
    const struct payload *payload =
        data ? payload_add(&model->payloads, data, size, file) : NULL;
    if (!payload)
        error_memory(err);
    return payload;
}
