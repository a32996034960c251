/* Decoding by arithmetic. Every step is exact, since all numbers are small integers in
 * float. */
#include "emit/arithmetic.h"

#include <string.h>

void broadcast_dims(const struct plan_item *item, struct parameter_dims *dims)
{
    const Onnx__TensorProto *tensor = item->tensor;
    size_t rank = tensor->n_dims, n = 0;
    if (item->granularity == GRANULARITY_CHANNEL) {
        dims->scales[n++] = tensor->dims[item->axis];
        while (n < rank - item->axis)
            dims->scales[n++] = 1;
    } else if (item->granularity == GRANULARITY_BLOCKS) {
        size_t blocks = item_blocks(item);
        for (size_t i = 0; i < rank; i++) {
            dims->scales[n++] = i == item->axis ? (int64_t)blocks : tensor->dims[i];
            if (i == item->axis && blocks > 1)
                dims->scales[n++] = 1;
        }
    }
    dims->scales_rank = dims->zeros_rank = n;
    memcpy(dims->zeros, dims->scales, sizeof dims->zeros);
}

/* [.., blocks, 1, ..] -> [.., blocks, block, ..] -> [.., length, ..]. */
static const char *spread_blocks(struct emitter *e, const char *name)
{
    const struct plan_item *item = e->item;
    const Onnx__TensorProto *tensor = item->tensor;
    int64_t expanded[66], flat[66];
    int64_t blocks = (int64_t)item_blocks(item), block = (int64_t)item->shape.block;
    size_t rank = tensor->n_dims, n = 0;
    for (size_t i = 0; i < rank; i++) {
        bool cut = i == item->axis;
        expanded[n++] = cut ? blocks : tensor->dims[i];
        if (cut)
            expanded[n++] = block;
        flat[i] = cut ? blocks * block : tensor->dims[i];
    }
    name = emit_binary(e, "Expand", name, emit_ints(e, expanded, n), NULL);
    name = emit_reshape(e, name, flat, rank, NULL);
    if (blocks * block != tensor->dims[item->axis])
        name = emit_first(e, name, (int64_t)item->axis, tensor->dims[item->axis], NULL);
    return name;
}

const char *emit_spread(struct emitter *e, const char *name, int type)
{
    if (type != DATA_FLOAT)
        name = emit_cast(e, name, DATA_FLOAT, NULL);
    return item_blocks(e->item) > 1 ? spread_blocks(e, name) : name;
}

const char *emit_middle(struct emitter *e)
{
    const struct quant_type_info *info = quant_type_info(e->item->scheme.type);
    return e->zeros || info->lo < 0 ? NULL : emit_float(e, (float)((info->hi + 1) / 2));
}

const char *emit_zero(struct emitter *e)
{
    if (e->zeros)
        return emit_spread(e, e->zeros, code_data_type(e->item->scheme.type));
    return emit_middle(e);
}

const char *emit_decode(struct emitter *e, const char *codes, const char *zeros,
                        const char *scales, const char *out)
{
    bool last = e->item->data_type == DATA_FLOAT;
    if (zeros)
        codes = emit_binary(e, "Sub", codes, zeros, NULL);
    const char *value = emit_binary(e, "Mul", codes, scales, last ? out : NULL);
    return last ? value : emit_cast(e, value, e->item->data_type, out);
}

const char *emit_unpack(struct emitter *e, const char *packed, int64_t axis, size_t row,
                        const char *out)
{
    bool odd = row % 2 != 0;
    const char *bytes = emit_cast(e, packed, DATA_FLOAT, NULL);
    const char *shifted = emit_binary(e, "Mul", bytes, emit_float(e, 1.0f / 16), NULL);
    const char *high = emit_unary(e, "Floor", shifted, NULL);
    const char *upper = emit_binary(e, "Mul", high, emit_float(e, 16), NULL);
    const char *low = emit_binary(e, "Sub", bytes, upper, NULL);
    const char *codes = emit_op(e, &(struct op){.type = "Concat",
                                                .in = {low, high},
                                                .out = odd ? NULL : out,
                                                .ints = {{"axis", axis}}});
    return odd ? emit_first(e, codes, axis, (int64_t)row, out) : codes;
}
