/* One table of the operators, and how each turns codes into numbers. What they compute
 * besides is of no interest here. */
#include "compare/coded.h"
#include "onnx/node.h"

#include <string.h>

enum { NONE = -1 };

/* Which axis of the codes has a scale for each index. */
enum channel_axis { FIRST, LAST, BY_TRANS_B, GATES };

typedef bool decode_fn(struct evaluator *e, const struct use *use,
                       const struct coded_operator *row, struct array *out);

struct coded_operator {
    const char *type;
    int codes, scales, zeros; /* inputs */
    enum channel_axis axis;
    decode_fn *decode;
};

static bool decode_plain(struct evaluator *e, const struct use *use,
                         const struct coded_operator *row, struct array *out);
static bool decode_integer(struct evaluator *e, const struct use *use,
                           const struct coded_operator *row, struct array *out);
static bool decode_nbits(struct evaluator *e, const struct use *use,
                         const struct coded_operator *row, struct array *out);
static bool decode_lookup(struct evaluator *e, const struct use *use,
                          const struct coded_operator *row, struct array *out);
static bool decode_experts(struct evaluator *e, const struct use *use,
                           const struct coded_operator *row, struct array *out);

static const struct coded_operator table[] = {
    {"ConvInteger", 1, NONE, 3, FIRST, decode_integer},
    {"DynamicQuantizeLSTM", 1, 8, 9, GATES, decode_plain},
    {"DynamicQuantizeLSTM", 2, 10, 11, GATES, decode_plain},
    {"DynamicQuantizeMatMul", 1, 2, 3, LAST, decode_plain},
    {"GatherBlockQuantized", 0, 2, 3, LAST, decode_lookup},
    {"MatMulInteger", 1, NONE, 3, LAST, decode_integer},
    {"MatMulIntegerToFloat", 1, 3, 5, LAST, decode_plain},
    {"MatMulNBits", 1, 2, 3, LAST, decode_nbits},
    {"QAttention", 1, 4, 7, LAST, decode_plain},
    {"QGemm", 3, 4, 5, BY_TRANS_B, decode_plain},
    {"QLinearAdd", 0, 1, 2, FIRST, decode_plain},
    {"QLinearAdd", 3, 4, 5, FIRST, decode_plain},
    {"QLinearConv", 3, 4, 5, FIRST, decode_plain},
    {"QLinearMatMul", 3, 4, 5, LAST, decode_plain},
    {"QLinearMul", 0, 1, 2, FIRST, decode_plain},
    {"QLinearMul", 3, 4, 5, FIRST, decode_plain},
    {"QMoE", 2, 3, 11, LAST, decode_experts},
    {"QMoE", 5, 6, 12, LAST, decode_experts},
    {"QMoE", 8, 9, 13, LAST, decode_experts},
};

const struct coded_operator *coded_operator(const Onnx__NodeProto *node, size_t input)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].type, or_empty(node->op_type)) == 0 &&
            table[i].codes == (int)input)
            return &table[i];
    return NULL;
}

bool takes_codes(const Onnx__NodeProto *node)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].type, or_empty(node->op_type)) == 0)
            return true;
    return false;
}

int64_t coded_bits(const Onnx__NodeProto *node)
{
    return strcmp(or_empty(node->op_type), "MatMulNBits") == 0 ? node_int(node, "bits", 4)
                                                               : 0;
}

/* ---- one scale for all, or for each channel ---------------------------- */

static size_t channel_axis(const struct use *use, const struct coded_operator *row,
                           const struct array *codes)
{
    bool first = row->axis == FIRST ||
                 (row->axis == BY_TRANS_B && node_int(use->node, "transB", 0) != 0);
    return first || codes->rank == 0 ? 0 : codes->rank - 1;
}

/* Scales [directions, gates] of codes [directions, inputs, gates]. */
static bool dequantize_gates(struct array *codes, const struct array *scales,
                             const struct array *zeros)
{
    if (codes->rank != 3)
        return false;
    uint64_t each = codes->dims[1] * codes->dims[2], gates = codes->dims[2];
    bool by_gate = scales->count == codes->dims[0] * gates;
    if (!by_gate && scales->count != codes->dims[0])
        return false;
    for (uint64_t i = 0; i < codes->count; i++) {
        uint64_t direction = i / each;
        uint64_t at = by_gate ? direction * gates + i % gates : direction;
        float zero = zeros && at < zeros->count ? zeros->values[at] : 0;
        codes->values[i] = (codes->values[i] - zero) * scales->values[at];
    }
    return true;
}

static bool input_or_none(struct evaluator *e, const struct use *use, int index,
                          struct array *out)
{
    *out = (struct array){0};
    return index == NONE || !*node_input(use->node, (size_t)index) ||
           evaluate_input(e, use->scope, use->node, (size_t)index, out);
}

static bool apply(const struct use *use, const struct coded_operator *row,
                  struct array *codes, const struct array *scales, struct array *zeros)
{
    const struct array *used = zeros->count > 0 ? zeros : NULL;
    if (row->axis == GATES)
        return dequantize_gates(codes, scales, used);
    return dequantize(codes, scales, used, channel_axis(use, row, codes), 0);
}

static bool decode_plain(struct evaluator *e, const struct use *use,
                         const struct coded_operator *row, struct array *out)
{
    struct array scales, zeros = {0};
    bool ok = evaluate_input(e, use->scope, use->node, (size_t)row->codes, out) &&
              input_or_none(e, use, row->scales, &scales) &&
              input_or_none(e, use, row->zeros, &zeros) &&
              apply(use, row, out, &scales, &zeros);
    array_free(&scales);
    array_free(&zeros);
    return ok;
}

/* ---- MatMulInteger, ConvInteger: the scale comes behind ---------------- */

/* The only user of a node's output; NULL where there are more. */
static const struct use *only_use(const struct use *use)
{
    const struct value *value = scope_find(use->scope, node_output(use->node, 0));
    return value && value->uses && !value->uses->next ? value->uses : NULL;
}

/* The Mul behind the Cast behind the operator. */
static const struct use *scaling(const struct use *use)
{
    const struct use *next = only_use(use);
    if (next && next->node && node_is(next->node, "Cast"))
        next = only_use(next);
    return next && next->node && node_is(next->node, "Mul") ? next : NULL;
}

const Onnx__NodeProto *coded_result(const struct use *use)
{
    const struct coded_operator *row = coded_operator(use->node, use->input);
    const struct use *mul = row && row->decode == decode_integer ? scaling(use) : NULL;
    return mul ? mul->node : use->node;
}

/* The constant one of a product's factors, that is, the weight's scale. */
static bool constant_factor(struct evaluator *e, const struct scope *scope,
                            const Onnx__NodeProto *node, struct array *out)
{
    return evaluate_input(e, scope, node, 1, out) ||
           evaluate_input(e, scope, node, 0, out);
}

static bool decode_integer(struct evaluator *e, const struct use *use,
                           const struct coded_operator *row, struct array *out)
{
    const struct use *mul = scaling(use);
    struct array scales = {0}, zeros = {0};
    if (!mul)
        return false;
    const struct value *other = input_value(mul->scope, mul->node, 1 - mul->input);
    bool product = other && other->kind == VALUE_NODE && node_is(other->node, "Mul");
    bool ok = evaluate_input(e, use->scope, use->node, (size_t)row->codes, out) &&
              input_or_none(e, use, row->zeros, &zeros) &&
              (product ? constant_factor(e, other->scope, other->node, &scales)
                       : other && evaluate_array(e, other, &scales)) &&
              apply(use, row, out, &scales, &zeros);
    array_free(&scales);
    array_free(&zeros);
    return ok;
}

/* ---- blocks ------------------------------------------------------------ */

/* Codes of `bits` bits, the first one lowest, out of bytes that were read as numbers. */
static float unpack(const float *bytes, uint64_t index, unsigned bits)
{
    unsigned each = 8 / bits, byte = (unsigned)bytes[index / each];
    return (float)(byte >> (bits * (index % each)) & ((1u << bits) - 1));
}

struct coded_blocks {
    uint64_t channels, length, block, per_channel; /* blocks of a channel */
    unsigned bits;
    uint64_t zero_bytes; /* of a channel's packed zero points; 0: they are not packed */
};

static float block_zero(const struct coded_blocks *b, const struct array *zeros,
                        uint64_t channel, uint64_t block)
{
    if (zeros->count == 0)
        return (float)(1u << (b->bits - 1));
    if (b->zero_bytes == 0)
        return zeros->values[channel * b->per_channel + block];
    return unpack(zeros->values + channel * b->zero_bytes, block, b->bits);
}

/* [channels, blocks, bytes] -> [length, channels], as MatMul has it. */
static void unpack_nbits(const struct coded_blocks *b, const struct array *codes,
                         const struct array *scales, const struct array *zeros,
                         struct array *out)
{
    uint64_t bytes = b->block * b->bits / 8;
    for (uint64_t n = 0; n < b->channels; n++)
        for (uint64_t k = 0; k < b->length; k++) {
            uint64_t block = k / b->block, at = n * b->per_channel + block;
            float code = unpack(codes->values + at * bytes, k % b->block, b->bits);
            out->values[k * b->channels + n] =
                (code - block_zero(b, zeros, n, block)) * scales->values[at];
        }
}

static bool read_blocks(const struct use *use, struct coded_blocks *b)
{
    int64_t k = node_int(use->node, "K", 0), n = node_int(use->node, "N", 0);
    int64_t size = node_int(use->node, "block_size", 128);
    int64_t bits = node_int(use->node, "bits", 4);
    if (k <= 0 || n <= 0 || size < 8 || (bits != 2 && bits != 4 && bits != 8))
        return false;
    *b = (struct coded_blocks){.channels = (uint64_t)n,
                               .length = (uint64_t)k,
                               .block = (uint64_t)size,
                               .bits = (unsigned)bits};
    b->per_channel = (b->length + b->block - 1) / b->block;
    return true;
}

/* Zero points are packed, one for each byte of codes' channel, or not packed. */
static bool zeros_fit(struct coded_blocks *b, const struct array *zeros)
{
    uint64_t packed = (b->per_channel * b->bits + 7) / 8;
    bool is_packed = zeros->count == b->channels * packed;
    b->zero_bytes = is_packed && b->bits < 8 ? packed : 0;
    return zeros->count == 0 || is_packed || zeros->count == b->channels * b->per_channel;
}

static bool decode_nbits(struct evaluator *e, const struct use *use,
                         const struct coded_operator *row, struct array *out)
{
    struct array codes = {0}, scales = {0}, zeros = {0};
    struct coded_blocks b;
    bool ok = read_blocks(use, &b) &&
              evaluate_input(e, use->scope, use->node, (size_t)row->codes, &codes) &&
              input_or_none(e, use, row->scales, &scales) &&
              input_or_none(e, use, row->zeros, &zeros) && zeros_fit(&b, &zeros) &&
              codes.count == b.channels * b.per_channel * (b.block * b.bits / 8) &&
              scales.count == b.channels * b.per_channel &&
              array_make(out, (uint64_t[]){b.length, b.channels}, 2, e->limit, e->err);
    if (ok)
        unpack_nbits(&b, &codes, &scales, &zeros, out);
    array_free(&codes);
    array_free(&scales);
    array_free(&zeros);
    return ok;
}

/* uint8 tensors hold two 4-bit codes a byte, along the last axis. */
static bool widen(struct evaluator *e, struct array *codes, unsigned bits)
{
    uint64_t dims[ARRAY_RANK_MAX];
    struct array wide;
    if (bits == 8 || codes->rank == 0)
        return true;
    memcpy(dims, codes->dims, sizeof dims);
    dims[codes->rank - 1] *= 8 / bits;
    if (!array_make(&wide, dims, codes->rank, e->limit, e->err))
        return false;
    for (uint64_t i = 0; i < wide.count; i++)
        wide.values[i] = unpack(codes->values, i, bits);
    array_free(codes);
    *codes = wide;
    return true;
}

/* The zero point of every group that has none of its own. */
static bool middle(struct evaluator *e, const struct array *scales, float zero,
                   struct array *zeros)
{
    if (!array_make(zeros, scales->dims, scales->rank, e->limit, e->err))
        return false;
    for (uint64_t i = 0; i < zeros->count; i++)
        zeros->values[i] = zero;
    return true;
}

static bool decode_lookup(struct evaluator *e, const struct use *use,
                          const struct coded_operator *row, struct array *out)
{
    struct array scales = {0}, zeros = {0};
    int64_t size = node_int(use->node, "block_size", 128);
    int64_t axis = node_int(use->node, "quantize_axis", 1);
    bool ok = size > 0 &&
              evaluate_input(e, use->scope, use->node, (size_t)row->codes, out) &&
              input_or_none(e, use, row->scales, &scales) &&
              input_or_none(e, use, row->zeros, &zeros);
    bool bytes = ok && strcmp(e->codes.type, "uint8") == 0;
    unsigned bits = bytes ? (unsigned)node_int(use->node, "bits", 4) : 8;
    axis += axis < 0 ? (int64_t)out->rank : 0;
    ok = ok && (bits == 4 || bits == 8) && axis >= 0 && widen(e, out, bits) &&
         (zeros.count == 0 || zeros.count == scales.count || widen(e, &zeros, bits)) &&
         (zeros.count > 0 || !bytes ||
          middle(e, &scales, (float)(1 << (bits - 1)), &zeros));
    ok = ok && dequantize(out, &scales, zeros.count ? &zeros : NULL, (size_t)axis,
                          (uint64_t)size);
    array_free(&scales);
    array_free(&zeros);
    return ok;
}

/* Scales are [experts, outputs] or [experts, outputs, blocks]. Zero points are packed: in
 * rows of blocks, or for all outputs of an expert. */
static bool decode_experts(struct evaluator *e, const struct use *use,
                           const struct coded_operator *row, struct array *out)
{
    struct array scales = {0}, zeros = {0};
    int64_t bits = node_int(use->node, "expert_weight_bits", 4);
    bool ok = (bits == 4 || bits == 8) &&
              evaluate_input(e, use->scope, use->node, (size_t)row->codes, out) &&
              input_or_none(e, use, row->scales, &scales) &&
              input_or_none(e, use, row->zeros, &zeros) && out->rank == 3 &&
              (scales.rank == 2 || scales.rank == 3) && widen(e, out, (unsigned)bits);
    int64_t size = ok ? node_int(use->node, "block_size", (int64_t)out->dims[2]) : 0;
    if (ok && scales.rank == 2)
        scales.dims[scales.rank++] = 1;
    ok = ok && size > 0 &&
         (zeros.count == 0 || zeros.count == scales.count ||
          widen(e, &zeros, (unsigned)bits)) &&
         (zeros.count > 0 || middle(e, &scales, (float)(1 << (bits - 1)), &zeros)) &&
         zeros.count == scales.count;
    if (ok) {
        zeros.rank = scales.rank;
        memcpy(zeros.dims, scales.dims, sizeof zeros.dims);
    }
    ok = ok && dequantize(out, &scales, &zeros, 2, (uint64_t)size);
    array_free(&scales);
    array_free(&zeros);
    return ok;
}

bool coded_weight(struct evaluator *e, const struct use *use,
                  const struct coded_operator *row, struct array *out)
{
    *out = (struct array){0};
    if (row->decode(e, use, row, out))
        return true;
    array_free(out);
    return false;
}
