/* Choosing scheme and granularity. What the forms can hold is in forms.c. */
#include "plan/shape.h"
#include "plan/forms.h"

/* ---- granularity ---------------------------------------------------- */

enum {
    SHORT_AXIS = 16, /* blocks on shorter axes would be tiny */
    CUT_MIN = 16,
    CUT_WHOLE = 32, /* smaller blocks cost more than a partial last one */
    CUT_MAX = 256,  /* the blocks that ONNX Runtime fuses */
};

/* The default size of blocks: one that every ONNX Runtime fuses, computes correctly and
 * runs faster than float (docs/forms.md). OpenVINO and some operators refuse a partial
 * last block, so this is the largest size that divides the axis. A partial block is left
 * only if none does. It may then be longer than the axis. */
static uint64_t cut_block(uint64_t length)
{
    uint64_t block;
    for (block = CUT_MAX; block >= CUT_WHOLE; block /= 2)
        if (length % block == 0)
            return block;
    block = CUT_MIN;
    while (block < length && block < CUT_MAX)
        block *= 2;
    return block;
}

static size_t dim_at(const struct plan_item *item, size_t axis)
{
    return (size_t)item->tensor->dims[axis];
}

static size_t span(const struct plan_item *item, size_t begin, size_t end)
{
    size_t product = 1; /* tensor_elements has checked it */
    for (size_t i = begin; i < end; i++)
        product *= dim_at(item, i);
    return product;
}

static void set_shape(const struct plan_options *options, const struct layout *layout,
                      struct plan_item *item)
{
    uint64_t length = dim_at(item, layout->reduction), block = options->block_size;
    enum granularity granularity = options->granularity;
    if (granularity == GRANULARITY_DEFAULT) {
        block = layout->block ? layout->block : cut_block(length);
        /* A block longer than the axis is a channel, which OpenVINO loads, too. */
        bool whole =
            options->target == TARGET_OPENVINO ? length % block == 0 : block <= length;
        bool cut = layout->cut && (whole || options->nbits);
        granularity = cut ? GRANULARITY_BLOCKS : GRANULARITY_CHANNEL;
    } else if (granularity == GRANULARITY_BLOCKS && length < block &&
               length < SHORT_AXIS) {
        granularity = GRANULARITY_CHANNEL;
    }
    item->whole = granularity == GRANULARITY_CHANNEL && layout->span;
    if (item->whole) {
        granularity = GRANULARITY_BLOCKS;
        block = length;
    }
    bool blocks = granularity == GRANULARITY_BLOCKS;
    item->granularity = granularity;
    item->channel_axis = layout->channel;
    item->axis = blocks ? layout->reduction : layout->channel;
    item->shape =
        (struct quant_shape){.outer = span(item, 0, item->axis),
                             .dim = dim_at(item, item->axis),
                             .inner = span(item, item->axis + 1, item->tensor->n_dims),
                             .block = blocks ? (size_t)block : 0};
    if (granularity == GRANULARITY_TENSOR)
        item->shape = (struct quant_shape){1, 1, (size_t)item->elements, 0};
}

static bool is_narrow(const struct plan_item *item)
{
    return quant_type_info(item->scheme.type)->bits == 4;
}

/* ---- one item ------------------------------------------------------- */

/* GatherBlockQuantized needs blocks, and so do rows that are columns. They are the
 * default for such weights. */
static void cut_lookup(const struct plan_options *options, struct layout *layout)
{
    if (layout->consumer == CONSUMER_LOOKUP && !layout->span &&
        (options->nbits || layout->channel == 1) &&
        options->granularity == GRANULARITY_DEFAULT)
        layout->cut = true;
}

/* Whether an integer operator computes correctly with the item's scales. */
static bool suits_integer(const struct layout *layout, const struct plan_item *item)
{
    bool channels = item->granularity == GRANULARITY_CHANNEL &&
                    item->axis == layout->channel && layout->integer != INTEGER_TENSOR;
    bool centred = item->scheme.symmetric || layout->integer != INTEGER_CENTRED;
    return item->granularity == GRANULARITY_TENSOR || (channels && centred);
}

/* ONNX Runtime joins a DequantizeLinear of 8-bit codes with quantized activations. Its
 * channels are not cut into blocks. Codes that don't suit the integer operator become
 * floats at load, which are not joined. */
static void settle_integer(const struct plan_options *options, struct layout *layout,
                           struct plan_item *item)
{
    if (!layout->integer || is_narrow(item) || item->form != FORM_DEQUANTIZE)
        return;
    layout->cut = false;
    set_shape(options, layout, item);
    item->joined = suits_integer(layout, item);
    item->kept_apart = !item->joined;
    if (item->kept_apart)
        item->form = FORM_LOAD;
}

/* A form that needs no higher opset, where the model's must stay. */
static void settle_opset(const struct plan_options *options, struct plan_item *item)
{
    item->held_back = options->opset_max && form_opset(item) > options->opset_max;
    if (item->held_back)
        item->form = FORM_PORTABLE;
}

/* Each output of a product sums up many errors, which even each other out. Those of a
 * table that is added reach everything behind it as they are. Such tables are small, so
 * 8 bits cost little. */
static void widen_table(const struct plan_options *options, const struct layout *layout,
                        struct plan_item *item)
{
    item->widened = layout->table && options->wide_tables && is_narrow(item);
    if (item->widened)
        item->scheme.type = item->scheme.type == QUANT_UINT4 ? QUANT_UINT8 : QUANT_INT8;
}

void choose_form(const struct plan_options *options, const struct layout *layout,
                 struct plan_item *item)
{
    struct layout local = *layout;
    bool rows = local.consumer == CONSUMER_LOOKUP && item->tensor->n_dims == 2;
    item->scheme = options->scheme;
    item->scheme.scale_type = plan_scale_type(item);
    if (options->half_scales && !item->wide_scales &&
        item->scheme.scale_type == REAL_FLOAT32)
        item->scheme.scale_type = REAL_FLOAT16;
    item->scheme.raise_scales = !plan_is_narrowed(item);
    widen_table(options, &local, item);
    cut_lookup(options, &local);
    set_shape(options, &local, item);
    item->form = form_best(options, &local, item);
    settle_integer(options, &local, item);
    settle_opset(options, item);
    /* The other form of rows, GatherBlockQuantized, holds 4-bit codes only. */
    if (rows && item->form == FORM_ROWS && options->wide_embeddings)
        item->scheme.type = QUANT_UINT8;
    /* Rows that are looked up are not solved for. Zero points are worth a lot there. Only
     * GatherBlockQuantized may share its codes with a MatMulNBits, and without them. */
    if (options->free_zeros && local.consumer == CONSUMER_LOOKUP && is_narrow(item) &&
        item->scheme.mirrored && item->form != FORM_LOOKUP)
        item->scheme.symmetric = false;
    /* A stored zero point pays for one more step of 16, not of 256. */
    item->scheme.mirrored &=
        item->scheme.symmetric && is_narrow(item) && !form_info(item->form)->centred;
    item->fused = form_fuses(options, &local, item);
    form_arrange(options, item);
}

/* ---- questions about a shaped item ---------------------------------- */

bool plan_has_zeros(const struct plan_item *item)
{
    bool is_signed = quant_type_info(item->scheme.type)->lo < 0;
    if (!item->scheme.symmetric || item->scheme.mirrored)
        return true;
    /* Up to 1.27, ONNX Runtime computes a DequantizeLinear without zero point wrongly if
     * a Transpose follows. */
    if (item->behind_transpose && item->form == FORM_DEQUANTIZE && !item->fused)
        return true;
    /* QGemm needs a zero point for each scale. */
    if (item->joined)
        return true;
    return !is_signed && !item->in_bytes && !form_info(item->form)->implied_middle;
}

static uint64_t zero_bytes(const struct plan_item *item, uint64_t groups)
{
    bool packed = item->zero_packing == PACK_PAIRS;
    if (!plan_has_zeros(item))
        return 0;
    if (!packed)
        return groups;
    if (!item->padded)
        return (groups + 1) / 2;
    uint64_t rows = dim_at(item, item->channel_axis);
    return rows * ((groups / rows + 1) / 2);
}

uint64_t plan_bytes(const struct plan_item *item)
{
    uint64_t groups = quant_groups(&item->shape), codes = item->elements;
    if (item->row_bytes)
        codes = codes / item->row * item->row_bytes;
    else if (item->packing == PACK_PAIRS)
        codes = (codes + 1) / 2;
    else if (item->packing == PACK_HALVES)
        codes = codes / item->row * ((item->row + 1) / 2);
    return codes + groups * real_size(item->scheme.scale_type) + zero_bytes(item, groups);
}

enum real_type plan_scale_type(const struct plan_item *item)
{
    enum real_type type = data_type_real(item->data_type);
    return type == REAL_FLOAT64 ? REAL_FLOAT32 : type;
}

bool plan_is_narrowed(const struct plan_item *item)
{
    return item->scheme.scale_type != plan_scale_type(item);
}

bool plan_is_slow(const struct plan_item *item)
{
    return item->quantize && !item->fused &&
           form_info(item->form)->decoding == DECODED_EACH_RUN;
}
