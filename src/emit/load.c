/* The forms `load` and `portable`: Cast, Sub and Mul of constants, which runtimes fold to
 * float once, when they load the model. `portable` keeps nibbles in uint8 and separates
 * them by arithmetic, so it needs no INT4 type. */
#include "emit/arithmetic.h"
#include "emit/form_emitters.h"

#include <string.h>

static bool decode(struct emitter *e, const char *codes, const char *output)
{
    const char *zeros = emit_zero(e);
    const char *scales =
        emit_spread(e, e->scales, data_type_of(e->item->scheme.scale_type));
    return emit_decode(e, codes, zeros, scales, output) != NULL;
}

static void own_dims(const struct plan_item *item, struct parameter_dims *dims)
{
    dims->codes_rank = item->tensor->n_dims;
    memcpy(dims->codes, item->tensor->dims, dims->codes_rank * sizeof *dims->codes);
    dims->code_type = dims->zero_type = code_data_type(item->scheme.type);
    broadcast_dims(item, dims);
}

/* Decodes blocks: reshapes [.., length, ..] to [.., blocks, block, ..], so that scales
 * [.., blocks, 1, ..] broadcast. OpenVINO 2026.4 computes wrongly if the scales are
 * expanded to the shape of the codes instead. This needs a Pad with inputs, but INT4
 * needs a later opset anyway. */
static bool decode_blocks(struct emitter *e, const char *output)
{
    const struct plan_item *item = e->item;
    const Onnx__TensorProto *tensor = item->tensor;
    size_t rank = tensor->n_dims, axis = item->axis, n = 0;
    int64_t blocks = (int64_t)item_blocks(item), block = (int64_t)item->shape.block;
    int64_t length = tensor->dims[axis], pads[2 * 66] = {0}, split[66], whole[66];
    bool partial = blocks * block != length, cast = item->data_type != DATA_FLOAT;
    for (size_t i = 0; i < rank; i++) {
        whole[i] = i == axis ? blocks * block : tensor->dims[i];
        split[n++] = i == axis ? blocks : tensor->dims[i];
        if (i == axis)
            split[n++] = block;
    }
    pads[rank + axis] = blocks * block - length;
    const char *codes = emit_cast(e, e->codes, DATA_FLOAT, NULL);
    if (partial)
        codes = emit_binary(e, "Pad", codes, emit_ints(e, pads, 2 * rank), NULL);
    codes = emit_reshape(e, codes, split, n, NULL);
    const char *scales = e->scales, *zeros = emit_middle(e);
    if (item->scheme.scale_type != REAL_FLOAT32)
        scales = emit_cast(e, scales, DATA_FLOAT, NULL);
    if (e->zeros)
        zeros = emit_cast(e, e->zeros, DATA_FLOAT, NULL);
    if (zeros)
        codes = emit_binary(e, "Sub", codes, zeros, NULL);
    const char *value = emit_binary(e, "Mul", codes, scales, NULL);
    value = emit_reshape(e, value, whole, rank, partial || cast ? NULL : output);
    if (partial)
        value = emit_first(e, value, (int64_t)axis, length, cast ? NULL : output);
    if (cast)
        value = emit_cast(e, value, item->data_type, output);
    return value != NULL;
}

static bool emit_load(struct emitter *e, const char *output)
{
    struct parameter_dims dims = {.scales_rank = 0};
    bool narrow = e->item->packing == PACK_PAIRS;
    own_dims(e->item, &dims);
    if (!emit_parameters(e, &dims))
        return false;
    if (narrow && item_blocks(e->item) > 1)
        return decode_blocks(e, output);
    return decode(e, emit_cast(e, e->codes, DATA_FLOAT, NULL), output);
}

static bool emit_portable(struct emitter *e, const char *output)
{
    const struct plan_item *item = e->item;
    struct parameter_dims dims = {.scales_rank = 0};
    own_dims(item, &dims);
    if (item->packing == PACK_BYTES)
        return emit_parameters(e, &dims) &&
               decode(e, emit_cast(e, e->codes, DATA_FLOAT, NULL), output);
    size_t row = item->row;
    dims.codes_rank = 2;
    dims.codes[0] = (int64_t)(item->elements / row);
    dims.codes[1] = (int64_t)(row + 1) / 2;
    dims.code_type = dims.zero_type = DATA_UINT8;
    if (!emit_parameters(e, &dims))
        return false;
    const char *codes = emit_unpack(e, e->codes, 1, row, NULL);
    codes = emit_reshape(e, codes, item->tensor->dims, item->tensor->n_dims, NULL);
    return decode(e, codes, output);
}

const struct form_emitter load_emitter = {.decode = emit_load};
const struct form_emitter portable_emitter = {.decode = emit_portable};
