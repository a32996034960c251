/* The form `rows`, for embedding tables. Rows of codes are gathered and then decoded, by
 * standard operators. Only the rows in use cost time. */
#include "emit/arithmetic.h"
#include "emit/form_emitters.h"
#include "onnx/node.h"

#include <string.h>

/* The blocks along the axis. A table has the dims [rows, width], and a bank the dims
 * [matrices, .., width]. */
static size_t row_blocks(const struct plan_item *item)
{
    return item->granularity == GRANULARITY_BLOCKS ? item_blocks(item) : 1;
}

/* Rows that are columns of the weight: [rows, blocks, block], and in pairs of codes
 * [rows, blocks, block / 2, 1]. Scales have 1 in place of all of a block. */
static bool emit_columns_tensors(struct emitter *e)
{
    const struct plan_item *item = e->item;
    int64_t rows = item->tensor->dims[1], blocks = (int64_t)item_blocks(item);
    int64_t block = (int64_t)item->shape.block;
    bool narrow = item->packing == PACK_PAIRS;
    struct parameter_dims dims = {.codes = {rows, blocks, narrow ? block / 2 : block, 1},
                                  .scales = {rows, blocks, 1, 1},
                                  .code_type = DATA_UINT8,
                                  .zero_type = DATA_UINT8};
    dims.codes_rank = dims.scales_rank = dims.zeros_rank = narrow ? 4 : 3;
    memcpy(dims.zeros, dims.scales, sizeof dims.zeros);
    return emit_parameters(e, &dims);
}

/* Codes are [rows, .., blocks, block, ..], with the last axis in bytes. Scales have 1 in
 * place of the block. */
static bool emit_rows_tensors(struct emitter *e)
{
    const struct plan_item *item = e->item;
    if (item->transposed)
        return emit_columns_tensors(e);
    struct parameter_dims dims = {.code_type = DATA_UINT8, .zero_type = DATA_UINT8};
    size_t blocks = row_blocks(item), row = item->row, rank = item->tensor->n_dims, n = 0;
    size_t axis = item->granularity == GRANULARITY_BLOCKS ? item->axis : rank - 1;
    for (size_t i = 0; i < rank; i++) {
        bool cut = i == axis && blocks > 1;
        if (cut)
            dims.codes[n] = dims.scales[n] = (int64_t)blocks, n++;
        dims.codes[n] = cut ? (int64_t)item->shape.block : item->tensor->dims[i];
        dims.scales[n] = i == axis ? 1 : item->tensor->dims[i];
        n++;
    }
    dims.codes[n - 1] = (int64_t)(item->packing == PACK_HALVES ? (row + 1) / 2 : row);
    memcpy(dims.zeros, dims.scales, sizeof dims.zeros);
    dims.codes_rank = dims.scales_rank = dims.zeros_rank = n;
    return emit_parameters(e, &dims);
}

static const char *gather(struct emitter *e, const char *table, const char *indices)
{
    return emit_op(
        e, &(struct op){.type = "Gather", .in = {table, indices}, .ints = {{"axis", 0}}});
}

/* Joins blocks again: the shape of the indices, then the dims of a row. */
static const char *join_blocks(struct emitter *e, const char *value, const char *indices,
                               const char *out)
{
    const Onnx__TensorProto *table = e->item->tensor;
    const char *shape = emit_unary(e, "Shape", indices, NULL);
    bool turned = e->item->transposed;
    const char *last =
        emit_ints(e, table->dims + !turned, turned ? 1 : table->n_dims - 1);
    shape = emit_op(
        e, &(struct op){.type = "Concat", .in = {shape, last}, .ints = {{"axis", 0}}});
    return emit_binary(e, "Reshape", value, shape, out);
}

/* GatherND has its coordinates along a last axis of length 1. */
static const char *plain_indices(struct emitter *e, const struct use *use)
{
    const int64_t last = -1;
    const char *indices = node_input(use->node, 1);
    if (!node_is(use->node, "GatherND"))
        return indices;
    return emit_binary(e, "Squeeze", indices, emit_ints(e, &last, 1), NULL);
}

static bool emit_rows(struct emitter *e, const struct use *use)
{
    const struct plan_item *item = e->item;
    const char *indices = plain_indices(e, use), *out = node_output(use->node, 0);
    bool joined = row_blocks(item) > 1 || item->transposed;
    const char *codes = gather(e, e->codes, indices);
    /* Two halves of a row or, in pairs, two codes side by side. */
    size_t row = item->packing == PACK_PAIRS ? 2 : item->row;
    codes = item->packing == PACK_BYTES ? emit_cast(e, codes, DATA_FLOAT, NULL)
                                        : emit_unpack(e, codes, -1, row, NULL);
    const char *zeros = e->zeros
                            ? emit_cast(e, gather(e, e->zeros, indices), DATA_FLOAT, NULL)
                            : emit_zero(e);
    const char *scales = gather(e, e->scales, indices);
    if (item->scheme.scale_type != REAL_FLOAT32)
        scales = emit_cast(e, scales, DATA_FLOAT, NULL);
    const char *value = emit_decode(e, codes, zeros, scales, joined ? NULL : out);
    return (joined ? join_blocks(e, value, indices, out) : value) != NULL;
}

const struct form_emitter rows_emitter = {.tensors = emit_rows_tensors,
                                          .replace = emit_rows};
