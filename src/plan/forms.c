/* The table of forms, and what each form can hold. To add a form, add a row. */
#include "plan/forms.h"
#include "onnx/node.h"

static bool is_narrow(const struct plan_item *item)
{
    return quant_type_info(item->scheme.type)->bits == 4;
}

static size_t dim_at(const struct plan_item *item, size_t axis)
{
    return (size_t)item->tensor->dims[axis];
}

/* ---- what forms can hold -------------------------------------------- */

/* Whether ONNX Runtime computes on blocks of this size: powers of two from 16 to 256. */
static bool has_fused_block(const struct plan_item *item)
{
    enum { BLOCK_MIN = 16, BLOCK_MAX = 256 };
    uint64_t block = item->shape.block;
    return item->granularity == GRANULARITY_BLOCKS && block >= BLOCK_MIN &&
           block <= BLOCK_MAX && (block & (block - 1)) == 0;
}

/* Operators of com.microsoft take scales in the type of the activations. */
static bool fits_microsoft(const struct plan_item *item)
{
    bool type = item->data_type == DATA_FLOAT || item->data_type == DATA_FLOAT16;
    return has_fused_block(item) && type;
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
static bool nbits_can_hold(const struct layout *layout, const struct plan_item *item)
{
    return !layout->bias_unknown && fits_microsoft(item) &&
           padded_bytes(item) * 4 <= item->bytes / dim_at(item, item->channel_axis) * 3;
}

/* QMoE reads [experts, outputs, inputs] and knows symmetric codes only, in versions that
 * take no zero points. */
static bool experts_can_hold(const struct layout *layout, const struct plan_item *item)
{
    const struct quant_shape *shape = &item->shape;
    bool type = item->data_type == DATA_FLOAT || item->data_type == DATA_FLOAT16;
    bool blocks = has_fused_block(item) && shape->dim % shape->block == 0;
    (void)layout;
    return type && item->scheme.symmetric && (item->whole || blocks) &&
           (!is_narrow(item) || shape->dim % 2 == 0);
}

/* Whether the rows of a table are columns of the stored matrix. */
static bool is_turned(const struct plan_item *item)
{
    return item->tensor->n_dims == 2 && item->channel_axis == 1;
}

static bool has_whole_blocks(const struct plan_item *item)
{
    const struct quant_shape *shape = &item->shape;
    return item->granularity == GRANULARITY_BLOCKS && shape->dim % shape->block == 0;
}

/* Up to 1.22, ONNX Runtime takes no zero points beside codes in bytes. */
static bool fits_bytes(const struct plan_item *item)
{
    return item->scheme.symmetric && has_whole_blocks(item);
}

static bool lookup_can_hold(const struct layout *layout, const struct plan_item *item)
{
    (void)layout;
    return fits_microsoft(item) && is_narrow(item) && item->tensor->n_dims == 2 &&
           (!is_turned(item) || fits_bytes(item));
}

/* The halves of a row of nibbles are separated: blocks must be whole and even. Blocks of
 * a bank's matrices may run along either axis. */
static bool rows_can_hold(const struct layout *layout, const struct plan_item *item)
{
    const struct quant_shape *shape = &item->shape;
    size_t rank = item->tensor->n_dims;
    (void)layout;
    if (item->granularity == GRANULARITY_TENSOR)
        return false;
    if (is_turned(item))
        return has_whole_blocks(item) && shape->block % 2 == 0;
    if (item->granularity == GRANULARITY_CHANNEL)
        return item->axis == 0;
    bool last = item->axis == rank - 1, inner = rank > 2 && item->axis == rank - 2;
    bool even = !is_narrow(item) || shape->block % 2 == 0 || !last;
    return (last || inner) &&
           (shape->block >= shape->dim || (shape->dim % shape->block == 0 && even));
}

/* ---- how codes lie -------------------------------------------------- */

/* ONNX Runtime only fuses weights that are stored as [K, N]. */
static void arrange_dequantize(const struct plan_options *options, struct plan_item *item)
{
    (void)options;
    item->transposed =
        item->fused && item->tensor->n_dims == 2 && item->channel_axis == 0;
}

static void arrange_nbits(const struct plan_options *options, struct plan_item *item)
{
    item->int8_activations = options->int8_activations;
    item->transposed = item->channel_axis != 0; /* to [N, K] */
    item->padded = true;
    if (item->shape.dim % item->shape.block != 0) {
        item->row = item->shape.dim;
        item->row_bytes = padded_bytes(item);
    }
}

/* The layout of MatMulNBits. */
static void arrange_lookup(const struct plan_options *options, struct plan_item *item)
{
    (void)options;
    if (is_turned(item))
        form_put_in_bytes(item);
}

/* Rows that are columns are transposed in pairs: their halves lie too far apart. */
static void arrange_rows(const struct plan_options *options, struct plan_item *item)
{
    (void)options;
    if (is_turned(item)) {
        item->transposed = true;
        item->packing = is_narrow(item) ? PACK_PAIRS : PACK_BYTES;
        return;
    }
    size_t last = item->tensor->n_dims - 1;
    bool cut = item->shape.block && item->shape.block < item->shape.dim;
    item->row = cut && item->axis == last ? item->shape.block : dim_at(item, last);
}

/* Takes the longest row that fits into a buffer and has an even number of elements. If
 * there is none, the longest row that fits. */
static void arrange_portable(const struct plan_options *options, struct plan_item *item)
{
    enum { ROW_MAX = 64 << 10 };
    size_t rank = item->tensor->n_dims, row = dim_at(item, rank - 1);
    size_t longest = row, even = row % 2 == 0 ? row : 0;
    (void)options;
    for (size_t axis = rank - 1; axis-- > 0;) {
        row *= dim_at(item, axis);
        if (row > ROW_MAX)
            break;
        longest = row;
        even = row % 2 == 0 ? row : even;
    }
    item->row = even ? even : longest;
}

bool form_can_share(const struct plan_item *item)
{
    bool nbits = item->form == FORM_NBITS && is_narrow(item) && !item->row_bytes;
    return (nbits || item->form == FORM_LOOKUP) && fits_bytes(item);
}

void form_put_in_bytes(struct plan_item *item)
{
    item->in_bytes = item->form == FORM_LOOKUP;
    item->transposed = item->channel_axis != 0;
    item->padded = true;
    item->scheme.type = QUANT_UINT4;
    item->scheme.mirrored = false;
}

/* ---- the table ------------------------------------------------------ */

/* Among the forms that replace their consumers, the first one that can hold the weight is
 * chosen. */
static const struct form_info forms[FORMS] = {
    [FORM_NBITS] = {.name = "MatMulNBits",
                    .decoding = DECODED_NEVER,
                    .fusion = FUSION_SHARED,
                    .opset = 9,
                    .unsigned_codes = true,
                    .implied_middle = true,
                    .packing = PACK_PAIRS,
                    .replaces_consumers = true,
                    .consumer = CONSUMER_FUSED,
                    .microsoft = true,
                    .can_hold = nbits_can_hold,
                    .arrange = arrange_nbits},
    [FORM_EXPERTS] = {.name = "QMoE",
                      .decoding = DECODED_NEVER,
                      .fusion = FUSION_SHARED,
                      .opset = 9,
                      .unsigned_codes = true,
                      .implied_middle = true,
                      .centred = true,
                      .packing = PACK_PAIRS,
                      .replaces_consumers = true,
                      .consumer = CONSUMER_EXPERTS,
                      .microsoft = true,
                      .can_hold = experts_can_hold},
    [FORM_LOOKUP] = {.name = "GatherBlockQuantized",
                     .decoding = DECODED_ROWS,
                     .opset = 9,
                     .int4_tensors = true,
                     .packing = PACK_PAIRS,
                     .replaces_consumers = true,
                     .consumer = CONSUMER_LOOKUP,
                     .microsoft = true,
                     .can_hold = lookup_can_hold,
                     .arrange = arrange_lookup},
    [FORM_ROWS] = {.name = "Gather",
                   .decoding = DECODED_ROWS,
                   .opset = 13,
                   .unsigned_codes = true,
                   .implied_middle = true,
                   .packing = PACK_HALVES,
                   .replaces_consumers = true,
                   .consumer = CONSUMER_LOOKUP,
                   .can_hold = rows_can_hold,
                   .arrange = arrange_rows},
    [FORM_DEQUANTIZE] = {.name = "DequantizeLinear",
                         .decoding = DECODED_EACH_RUN,
                         .fusion = FUSION_OWN,
                         .opset = 13,
                         .opset_blocks = 21,
                         .opset_scales = 19,
                         .int4_tensors = true,
                         .packing = PACK_PAIRS,
                         .arrange = arrange_dequantize},
    [FORM_LOAD] = {.name = "load",
                   .decoding = DECODED_AT_LOAD,
                   .opset = 9,
                   .int4_tensors = true,
                   .implied_middle = true,
                   .packing = PACK_PAIRS},
    [FORM_PORTABLE] = {.name = "portable",
                       .decoding = DECODED_AT_LOAD,
                       .opset = 9,
                       .unsigned_codes = true,
                       .implied_middle = true,
                       .packing = PACK_HALVES,
                       .arrange = arrange_portable},
};

const struct form_info *form_info(enum form form)
{
    return &forms[form];
}

const char *decoding_text(enum decoding decoding)
{
    static const char *const texts[] = {
        [DECODED_NEVER] = "computed on the codes",
        [DECODED_ROWS] = "only the rows in use are decoded",
        [DECODED_EACH_RUN] = "decoded on every run",
        [DECODED_AT_LOAD] = "decoded once, when the model is loaded",
    };
    return texts[decoding];
}

/* ---- versions ------------------------------------------------------- */

static bool has_int4_tensors(const struct plan_item *item)
{
    return forms[item->form].int4_tensors && is_narrow(item) && !item->in_bytes;
}

int64_t form_opset(const struct plan_item *item)
{
    enum { OPSET_INT4 = 21 };
    const struct form_info *info = &forms[item->form];
    const int64_t needed[] = {
        info->opset,
        item->shape.block != 0 ? info->opset_blocks : 0,
        plan_scale_type(item) != REAL_FLOAT32 ? info->opset_scales : 0,
        has_int4_tensors(item) ? OPSET_INT4 : 0,
    };
    int64_t opset = 0;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        opset = needed[i] > opset ? needed[i] : opset;
    return opset;
}

int64_t form_ir(const struct plan_item *item)
{
    enum {
        IR_OPTIONAL_INPUTS = 4,
        IR_INT4 = 10
    }; /* since 4, initializers need not be inputs */
    return has_int4_tensors(item) ? IR_INT4 : IR_OPTIONAL_INPUTS;
}

/* ---- the form of an item -------------------------------------------- */

/* Whether a fused operator is as fast as a MatMul of floats, for any number of rows. It
 * is not on short axes, nor if much of the last block is padding (docs/forms.md). */
static bool fusing_pays(const struct plan_item *item)
{
    enum { LENGTH_MIN = 208, PADDED_PERCENT_MAX = 155 };
    uint64_t length = item->elements / dim_at(item, item->channel_axis);
    uint64_t block = item->shape.block ? item->shape.block : 1;
    uint64_t padded = (length + block - 1) / block * block;
    return length >= LENGTH_MIN && padded * 100 <= length * PADDED_PERCENT_MAX;
}

static bool is_wanted(const struct form_info *info, const struct plan_options *options,
                      const struct layout *layout, const struct plan_item *item)
{
    return info->replaces_consumers && info->consumer == layout->consumer &&
           (!info->microsoft || options->nbits) && info->can_hold(layout, item);
}

/* In a body of If, Loop or Scan, ONNX Runtime (seen in 1.32) reads float16 scales of the
 * operator that it fuses as zeros, since its Cast of them is not folded there. */
static bool is_misread(const struct plan_item *item)
{
    const struct use *use = item->use;
    return item->data_type == DATA_FLOAT16 && use && use->node && use->scope->parent &&
           (node_is(use->node, "MatMul") || node_is(use->node, "Gemm"));
}

/* This is the only place that names forms because options ask for them. */
enum form form_best(const struct plan_options *options, const struct layout *layout,
                    const struct plan_item *item)
{
    if (options->target == TARGET_GENERIC)
        return FORM_DEQUANTIZE;
    if (options->decode == DECODE_LOAD)
        return FORM_LOAD;
    if (options->decode == DECODE_PORTABLE)
        return FORM_PORTABLE;
    for (unsigned form = 0; form < FORMS; form++)
        if (is_wanted(&forms[form], options, layout, item))
            return (enum form)form;
    if (is_misread(item))
        return FORM_LOAD;
    bool fast = layout->consumer == CONSUMER_FUSED && !layout->activated &&
                options->target == TARGET_ONNXRUNTIME && !layout->integer &&
                fusing_pays(item);
    if (fast || options->decode != DECODE_RUN)
        return fast ? FORM_DEQUANTIZE : FORM_LOAD;
    /* ONNX Runtime 1.22 can't load FORM_LOAD. */
    return item->elements < options->load_below ? FORM_PORTABLE : FORM_DEQUANTIZE;
}

bool form_fuses(const struct plan_options *options, const struct layout *layout,
                const struct plan_item *item)
{
    const struct form_info *info = &forms[item->form];
    if (options->target != TARGET_ONNXRUNTIME)
        return false;
    if (info->fusion != FUSION_OWN)
        return info->fusion == FUSION_SHARED && info->consumer == layout->consumer;
    return layout->consumer == CONSUMER_FUSED && !layout->integer && !layout->activated &&
           (item->granularity == GRANULARITY_CHANNEL || has_fused_block(item));
}

/* Makes the codes unsigned where the form stores them in bytes. */
static void set_type(const struct form_info *info, struct plan_item *item)
{
    if (!info->unsigned_codes)
        return;
    if (item->scheme.type == QUANT_INT4)
        item->scheme.type = QUANT_UINT4;
    else if (item->scheme.type == QUANT_INT8)
        item->scheme.type = QUANT_UINT8;
}

void form_arrange(const struct plan_options *options, struct plan_item *item)
{
    const struct form_info *info = &forms[item->form];
    item->packing = is_narrow(item) ? info->packing : PACK_BYTES;
    item->zero_packing = item->packing == PACK_PAIRS ? PACK_PAIRS : PACK_BYTES;
    set_type(info, item);
    if (info->arrange)
        info->arrange(options, item);
}
