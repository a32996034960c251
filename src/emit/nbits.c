/* The forms `nbits` and `lookup`: MatMulNBits and GatherBlockQuantized of com.microsoft.
 * These operators of ONNX Runtime read codes themselves. */
#include "emit/form_emitters.h"
#include "onnx/imports.h"
#include "onnx/node.h"

enum { INT8_ACTIVATIONS = 4 }; /* the accuracy_level of 8-bit activations */

/* ---- opset imports -------------------------------------------------- */

static bool import_in(struct model *model, struct imports imports)
{
    return imports_find(imports, MICROSOFT) || imports_add(model, imports, MICROSOFT, 1);
}

static bool import_domain(struct emitter *e, const struct scope *scope)
{
    while (scope->parent)
        scope = scope->parent;
    bool ok =
        import_in(e->model, imports_of_model(e->model)) &&
        (!scope->function || import_in(e->model, imports_of_function(scope->function)));
    return ok || error_memory(e->err);
}

/* ---- MatMulNBits ---------------------------------------------------- */

static int bits_of(const struct plan_item *item)
{
    return quant_type_info(item->scheme.type)->bits;
}

static int64_t channels(const struct plan_item *item)
{
    return item->tensor->dims[item->channel_axis];
}

static bool emit_nbits_tensors(struct emitter *e)
{
    const struct plan_item *item = e->item;
    int64_t blocks = (int64_t)item_blocks(item), n = channels(item), bits = bits_of(item);
    struct parameter_dims dims = {
        .codes = {n, blocks, (int64_t)item->shape.block * bits / 8},
        .codes_rank = 3,
        .scales = {n, blocks},
        .scales_rank = 2,
        .zeros = {n, (blocks * bits + 7) / 8},
        .zeros_rank = 2,
        .code_type = DATA_UINT8,
        .zero_type = DATA_UINT8,
    };
    return import_domain(e, item->value->scope) && emit_parameters(e, &dims) &&
           (e->scales = emit_scales(e));
}

static bool emit_nbits(struct emitter *e, const struct use *use)
{
    const struct plan_item *item = e->item;
    const char *bias = node_is(use->node, "Gemm") ? node_input(use->node, 2) : "";
    bool biased = *bias != '\0';
    struct op op = {
        .type = "MatMulNBits",
        .domain = MICROSOFT,
        .in = {node_input(use->node, 0), e->codes, e->scales,
               biased && !e->zeros ? "" : e->zeros, biased ? "" : NULL,
               biased ? bias : NULL},
        .out = node_output(use->node, 0),
        .ints = {{"K", (int64_t)item->shape.dim},
                 {"N", channels(item)},
                 {"bits", bits_of(item)},
                 {"block_size", (int64_t)item->shape.block},
                 {item->int8_activations ? "accuracy_level" : NULL, INT8_ACTIVATIONS}},
    };
    return import_domain(e, use->scope) && emit_op(e, &op);
}

/* ---- GatherBlockQuantized ------------------------------------------- */

static bool emit_lookup_tensors(struct emitter *e)
{
    const struct plan_item *item = e->item;
    if (item->in_bytes)
        return emit_nbits_tensors(e);
    const int64_t *table = item->tensor->dims;
    struct parameter_dims dims = {
        .codes = {table[0], table[1]},
        .codes_rank = 2,
        .scales = {table[0], (int64_t)item_blocks(item)},
        .scales_rank = 2,
        .zeros = {table[0], (int64_t)item_blocks(item)},
        .zeros_rank = 2,
        .code_type = code_data_type(item->scheme.type),
        .zero_type = code_data_type(item->scheme.type),
    };
    return import_domain(e, item->value->scope) && emit_parameters(e, &dims) &&
           (e->scales = emit_scales(e));
}

/* The codes as a table. MatMulNBits has them in [rows, blocks, bytes]. */
static const char *table_of_codes(struct emitter *e)
{
    const int64_t dims[] = {channels(e->item), (int64_t)e->item->shape.dim / 2};
    return e->item->in_bytes ? emit_reshape(e, e->codes, dims, 2, NULL) : e->codes;
}

static bool emit_lookup(struct emitter *e, const struct use *use)
{
    struct op op = {
        .type = "GatherBlockQuantized",
        .domain = MICROSOFT,
        .in = {table_of_codes(e), node_input(use->node, 1), e->scales, e->zeros},
        .out = node_output(use->node, 0),
        .ints = {{"gather_axis", 0},
                 {"quantize_axis", 1},
                 {"block_size", (int64_t)e->item->shape.block}},
    };
    return import_domain(e, use->scope) && emit_op(e, &op);
}

const struct form_emitter nbits_emitter = {.tensors = emit_nbits_tensors,
                                           .replace = emit_nbits};
const struct form_emitter lookup_emitter = {.tensors = emit_lookup_tensors,
                                            .replace = emit_lookup};
