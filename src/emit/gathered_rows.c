/* The form `rows`, for embedding tables. Rows of codes are gathered and then decoded, by
 * standard operators. Only the rows in use cost time. */
#include "emit/arithmetic.h"
#include "emit/form_emitters.h"
#include "onnx/node.h"

/* The blocks in one row. A table has the dims [rows, width]. */
static size_t row_blocks(const struct plan_item *item)
{
    return item->granularity == GRANULARITY_BLOCKS ? item_blocks(item) : 1;
}

static bool emit_rows_tensors(struct emitter *e)
{
    const struct plan_item *item = e->item;
    struct parameter_dims dims = {.code_type = DATA_UINT8, .zero_type = DATA_UINT8};
    size_t blocks = row_blocks(item), row = item->row;
    int64_t bytes = (int64_t)(item->packing == PACK_HALVES ? (row + 1) / 2 : row);
    size_t n = 0;
    dims.codes[n] = dims.scales[n] = dims.zeros[n] = item->tensor->dims[0];
    if (blocks > 1) {
        n++;
        dims.codes[n] = dims.scales[n] = dims.zeros[n] = (int64_t)blocks;
    }
    n++;
    dims.codes[n] = bytes;
    dims.scales[n] = dims.zeros[n] = 1;
    dims.codes_rank = dims.scales_rank = dims.zeros_rank = n + 1;
    return emit_parameters(e, &dims);
}

static const char *gather(struct emitter *e, const char *table, const char *indices)
{
    return emit_op(
        e, &(struct op){.type = "Gather", .in = {table, indices}, .ints = {{"axis", 0}}});
}

/* Reshapes [.., blocks, block] to [.., width]: the shape of the indices, then the width.
 */
static const char *join_blocks(struct emitter *e, const char *value, const char *indices,
                               const char *out)
{
    const int64_t width = e->item->tensor->dims[1];
    const char *shape = emit_unary(e, "Shape", indices, NULL);
    const char *last = emit_ints(e, &width, 1);
    shape = emit_op(
        e, &(struct op){.type = "Concat", .in = {shape, last}, .ints = {{"axis", 0}}});
    return emit_binary(e, "Reshape", value, shape, out);
}

static bool emit_rows(struct emitter *e, const struct use *use)
{
    const struct plan_item *item = e->item;
    const char *indices = node_input(use->node, 1), *out = node_output(use->node, 0);
    bool joined = row_blocks(item) > 1, narrow = item->packing == PACK_HALVES;
    const char *codes = gather(e, e->codes, indices);
    codes = narrow ? emit_unpack(e, codes, -1, item->row, NULL)
                   : emit_cast(e, codes, DATA_FLOAT, NULL);
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
