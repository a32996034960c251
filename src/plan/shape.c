/* Choosing scheme, granularity and form. What each form can hold is said here;
 * how it is written, in emit/. */
#include "plan/shape.h"
#include "onnx/node.h"

/* ---- granularity ---------------------------------------------------- */

enum {
    SHORT_AXIS = 16, /* blocks on shorter axes would be tiny */
    CUT_MIN = 16,
    CUT_WHOLE = 32, /* smaller blocks cost more than a partial last one */
    CUT_MAX = 256,  /* the blocks that ONNX Runtime fuses */
};

/* What every ONNX Runtime fuses, computes right and runs faster than float
 * (docs/forms.md). OpenVINO and some operators refuse a partial last block, so the
 * largest block that divides the axis, and a partial one only where none does. */
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
        granularity = layout->cut ? GRANULARITY_BLOCKS : GRANULARITY_CHANNEL;
        block = cut_block(length);
    } else if (granularity == GRANULARITY_BLOCKS && length < block &&
               length < SHORT_AXIS) {
        granularity = GRANULARITY_CHANNEL;
    }
    if (granularity == GRANULARITY_CHANNEL && layout->span) {
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

/* ---- what forms can hold -------------------------------------------- */

static bool is_narrow(const struct plan_item *item)
{
    return quant_type_info(item->scheme.type)->bits == 4;
}

/* Both operators know blocks of powers of two, 16 to 256, and zero points in the
 * middle of an unsigned range; scales in the type of the activations. */
static bool fits_microsoft(const struct plan_item *item)
{
    uint64_t block = item->shape.block;
    bool power = block >= CUT_MIN && block <= CUT_MAX && (block & (block - 1)) == 0;
    bool type = item->data_type == DATA_FLOAT || item->data_type == DATA_FLOAT16;
    return item->granularity == GRANULARITY_BLOCKS && power && type;
}

/* Bytes of a channel's codes in whole blocks. */
static size_t padded_bytes(const struct plan_item *item)
{
    const struct quant_shape *shape = &item->shape;
    size_t blocks = shape->dim / shape->block + (shape->dim % shape->block != 0);
    return blocks * shape->block / (is_narrow(item) ? 2 : 1);
}

/* MatMulNBits reads whole blocks of [N, K]. A partial one is padded, unless codes would
 * then take more than three quarters of what the values do. */
static bool fits_nbits(const struct plan_item *item)
{
    return fits_microsoft(item) &&
           padded_bytes(item) * 4 <= item->bytes / dim_at(item, item->channel_axis) * 3;
}

static bool fits_lookup(const struct plan_item *item)
{
    return fits_microsoft(item) && is_narrow(item);
}

/* What ONNX Runtime fuses: whole channels, or blocks of those powers of two. */
static bool fuses(const struct plan_options *options, const struct layout *layout,
                  const struct plan_item *item)
{
    uint64_t block = item->shape.block;
    bool power = block >= CUT_MIN && block <= CUT_MAX && (block & (block - 1)) == 0;
    if (layout->consumer != CONSUMER_FUSED || options->target != TARGET_ONNXRUNTIME)
        return false;
    if (item->form == FORM_NBITS)
        return true;
    return item->form == FORM_DEQUANTIZE && !layout->integer &&
           (item->granularity == GRANULARITY_CHANNEL ||
            (item->granularity == GRANULARITY_BLOCKS && power));
}

/* Rows are taken apart in the middle: blocks must be whole and even. */
static bool fits_rows(const struct plan_item *item)
{
    const struct quant_shape *shape = &item->shape;
    if (item->granularity == GRANULARITY_TENSOR)
        return false;
    bool last = item->axis == 1 && item->granularity == GRANULARITY_BLOCKS;
    bool even = !is_narrow(item) || shape->block % 2 == 0;
    return item->granularity == GRANULARITY_CHANNEL
               ? item->axis == 0
               : last && (shape->block >= shape->dim ||
                          (shape->dim % shape->block == 0 && even));
}

/* ---- form ----------------------------------------------------------- */

/* Whether a fused operator is as fast as a MatMul of floats at any number of rows: not
 * on short axes, and not where much of the last block is padding (docs/forms.md). */
static bool fusing_pays(const struct plan_item *item)
{
    enum { LENGTH_MIN = 208, PADDED_PERCENT_MAX = 155 };
    uint64_t length = item->elements / dim_at(item, item->channel_axis);
    uint64_t block = item->shape.block ? item->shape.block : 1;
    uint64_t padded = (length + block - 1) / block * block;
    return length >= LENGTH_MIN && padded * 100 <= length * PADDED_PERCENT_MAX;
}

static enum form choose_form(const struct plan_options *options,
                             const struct layout *layout, const struct plan_item *item)
{
    if (options->target == TARGET_GENERIC)
        return FORM_DEQUANTIZE;
    if (options->decode == DECODE_LOAD)
        return FORM_LOAD;
    if (options->decode == DECODE_PORTABLE)
        return FORM_PORTABLE;
    if (layout->consumer == CONSUMER_LOOKUP && options->nbits && fits_lookup(item))
        return FORM_LOOKUP;
    if (layout->consumer == CONSUMER_LOOKUP && fits_rows(item))
        return FORM_ROWS;
    if (layout->consumer == CONSUMER_FUSED && options->nbits && !layout->unsure &&
        fits_nbits(item))
        return FORM_NBITS;
    bool fast =
        layout->consumer == CONSUMER_FUSED && !layout->integer && fusing_pays(item);
    return fast || options->decode == DECODE_RUN ? FORM_DEQUANTIZE : FORM_LOAD;
}

/* Forms in unsigned bytes hold a signed type's codes shifted by half the range. */
static void make_unsigned(struct plan_item *item)
{
    if (item->scheme.type == QUANT_INT4)
        item->scheme.type = QUANT_UINT4;
    else if (item->scheme.type == QUANT_INT8)
        item->scheme.type = QUANT_UINT8;
}

/* The longest row of an even number of elements (where there is none: the longest
 * row) that still suits a buffer. */
static size_t halves_row(const struct plan_item *item)
{
    enum { ROW_MAX = 64 << 10 };
    size_t rank = item->tensor->n_dims, row = dim_at(item, rank - 1);
    size_t longest = row, even = row % 2 == 0 ? row : 0;
    for (size_t axis = rank - 1; axis-- > 0;) {
        row *= dim_at(item, axis);
        if (row > ROW_MAX)
            break;
        longest = row;
        even = row % 2 == 0 ? row : even;
    }
    return even ? even : longest;
}

static void set_packing(const struct plan_options *options, struct plan_item *item)
{
    bool narrow = is_narrow(item);
    bool rank2 = item->tensor->n_dims == 2;
    bool channel_first = item->channel_axis == 0; /* [N, K] in memory */
    item->packing = narrow ? PACK_PAIRS : PACK_BYTES;
    switch (item->form) {
    case FORM_DEQUANTIZE:
        item->transposed = item->fused && rank2 && channel_first;
        break;
    case FORM_NBITS:
        make_unsigned(item);
        item->int8_activations = options->int8_activations;
        item->transposed = !channel_first;
        item->padded = true;
        if (item->shape.dim % item->shape.block != 0) {
            item->row = item->shape.dim;
            item->row_bytes = padded_bytes(item);
        }
        break;
    case FORM_ROWS:
        make_unsigned(item);
        item->packing = narrow ? PACK_HALVES : PACK_BYTES;
        item->row = item->shape.block && item->shape.block < item->shape.dim
                        ? item->shape.block
                        : dim_at(item, 1);
        break;
    case FORM_PORTABLE:
        make_unsigned(item);
        item->packing = narrow ? PACK_HALVES : PACK_BYTES;
        item->row = halves_row(item);
        break;
    default:
        break;
    }
}

/* Blocks that a lookup wants where no granularity is asked for. */
static void cut_lookup(const struct plan_options *options, struct layout *layout)
{
    if (layout->consumer == CONSUMER_LOOKUP && options->nbits &&
        options->granularity == GRANULARITY_DEFAULT)
        layout->cut = true;
}

/* Whether an integer operator would compute right with the item's scales. */
static bool suits_integer(const struct layout *layout, const struct plan_item *item)
{
    bool channels = item->granularity == GRANULARITY_CHANNEL &&
                    item->axis == layout->channel && layout->integer != INTEGER_TENSOR;
    bool centred = item->scheme.symmetric || layout->integer != INTEGER_CENTRED;
    return item->granularity == GRANULARITY_TENSOR || (channels && centred);
}

/* Codes of 8 bits beside quantized activations: channels are not cut there, and what
 * does not suit is folded to floats, which nothing is joined with. */
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

void shape_item(const struct plan_options *options, const struct layout *layout,
                struct plan_item *item)
{
    struct layout local = *layout;
    bool rows = local.consumer == CONSUMER_LOOKUP;
    item->scheme = options->scheme;
    item->scheme.scale_type = plan_scale_type(item);
    if (options->half_scales && !item->wide_scales &&
        item->scheme.scale_type == REAL_FLOAT32)
        item->scheme.scale_type = REAL_FLOAT16;
    cut_lookup(options, &local);
    set_shape(options, &local, item);
    item->form = choose_form(options, &local, item);
    settle_integer(options, &local, item);
    if (rows && item->form == FORM_ROWS && options->wide_embeddings)
        item->scheme.type = QUANT_UINT8;
    /* One step more is worth a stored zero point among 16, not among 256. */
    item->scheme.mirrored &= item->scheme.symmetric && is_narrow(item);
    item->fused = fuses(options, &local, item);
    set_packing(options, item);
}

/* ---- questions about a shaped item ---------------------------------- */

bool plan_has_zeros(const struct plan_item *item)
{
    bool is_signed = quant_type_info(item->scheme.type)->lo < 0;
    if (!item->scheme.symmetric || item->scheme.mirrored)
        return true;
    /* Up to 1.27 ONNX Runtime gets a DequantizeLinear without zero point in front of a
     * Transpose wrong. */
    if (item->behind_transpose && item->form == FORM_DEQUANTIZE && !item->fused)
        return true;
    /* QGemm wants a zero point for each scale. */
    if (item->joined)
        return true;
    return !is_signed && (item->form == FORM_DEQUANTIZE || item->form == FORM_LOOKUP);
}

static uint64_t zero_bytes(const struct plan_item *item, uint64_t groups)
{
    bool packed = is_narrow(item) && item->packing == PACK_PAIRS;
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
    return item->quantize && item->form == FORM_DEQUANTIZE && !item->fused;
}

const char *form_name(enum form form)
{
    static const char *const names[FORMS] = {
        [FORM_DEQUANTIZE] = "DequantizeLinear",
        [FORM_ROWS] = "Gather",
        [FORM_NBITS] = "MatMulNBits",
        [FORM_LOOKUP] = "GatherBlockQuantized",
        [FORM_LOAD] = "load",
        [FORM_PORTABLE] = "portable",
    };
    return names[form];
}
