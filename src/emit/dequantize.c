/* The form `dequantize`: DequantizeLinear of codes. Its output has the type of the
 * scales. For doubles, a Cast follows. */
#include "emit/form_emitters.h"

#include <string.h>

/* The axis of scales in the stored tensor. */
static size_t stored_axis(const struct plan_item *item)
{
    return item->transposed ? 1 - item->axis : item->axis;
}

static void set_dims(const struct plan_item *item, struct parameter_dims *dims)
{
    const Onnx__TensorProto *tensor = item->tensor;
    size_t rank = tensor->n_dims;
    for (size_t i = 0; i < rank; i++)
        dims->codes[i] = tensor->dims[item->transposed ? rank - 1 - i : i];
    dims->codes_rank = rank;
    if (item->granularity == GRANULARITY_CHANNEL) {
        dims->scales[0] = tensor->dims[item->axis];
        dims->scales_rank = 1;
    } else if (item->granularity == GRANULARITY_BLOCKS) {
        memcpy(dims->scales, dims->codes, sizeof dims->scales);
        dims->scales[stored_axis(item)] = (int64_t)item_blocks(item);
        dims->scales_rank = rank;
    }
    memcpy(dims->zeros, dims->scales, sizeof dims->zeros);
    dims->zeros_rank = dims->scales_rank;
    dims->code_type = dims->zero_type = code_data_type(item->scheme.type);
}

static bool emit_dequantize(struct emitter *e, const char *output)
{
    const struct plan_item *item = e->item;
    struct parameter_dims dims = {.scales_rank = 0};
    bool is_double = item->data_type == DATA_DOUBLE;
    set_dims(item, &dims);
    if (!emit_parameters(e, &dims))
        return false;
    struct op op = {.type = "DequantizeLinear",
                    .in = {e->codes, emit_scales(e), e->zeros},
                    .out = is_double ? NULL : output};
    if (item->granularity != GRANULARITY_TENSOR) {
        op.ints[0].name = "axis";
        op.ints[0].value = (int64_t)stored_axis(item);
    }
    if (item->granularity == GRANULARITY_BLOCKS) {
        op.ints[1].name = "block_size";
        op.ints[1].value = (int64_t)item->shape.block;
    }
    const char *value = emit_op(e, &op);
    return is_double ? emit_cast(e, value, DATA_DOUBLE, output) != NULL : value != NULL;
}

const struct form_emitter dequantize_emitter = {.decode = emit_dequantize};
