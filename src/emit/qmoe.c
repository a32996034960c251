/* The form `experts`: QMoE of com.microsoft in place of MoE. All banks of an operator
 * have items of their own. The first one makes the node, and each gives it its codes. */
#include "emit/form_emitters.h"
#include "onnx/node.h"
#include "plan/experts.h"

/* The inputs of QMoE. Behind those are others that nibble does not use. */
enum { INPUT_ROUTER = 1, INPUT_SHARES = 14, EACH = 3 }; /* codes, scales, bias */

static int bits_of(const struct plan_item *item)
{
    return quant_type_info(item->scheme.type)->bits;
}

static bool emit_experts_tensors(struct emitter *e)
{
    const struct plan_item *item = e->item;
    const int64_t *bank = item->tensor->dims;
    size_t block = experts_block(item);
    struct parameter_dims dims = {
        .codes = {bank[0], bank[1], bank[2] * bits_of(item) / 8},
        .codes_rank = 3,
        .scales = {bank[0], bank[1], (int64_t)item_blocks(item)},
        .scales_rank = block ? 3 : 2,
        .code_type = DATA_UINT8,
        .zero_type = DATA_UINT8,
    };
    return emit_parameters(e, &dims) && (e->scales = emit_scales(e));
}

/* The shares of the experts. Without this input QMoE makes those that it takes add up to
 * 1, at least on CPUs. */
static const char *emit_shares(struct emitter *e, const Onnx__NodeProto *old)
{
    return emit_op(e, &(struct op){.type = "Softmax",
                                   .in = {node_input(old, INPUT_ROUTER)},
                                   .ints = {{"axis", 1}}});
}

static Onnx__NodeProto *make_node(struct emitter *e, const Onnx__NodeProto *old)
{
    struct model *model = e->model;
    const char *shares = experts_keep_shares(old) ? emit_shares(e, old) : NULL;
    Onnx__NodeProto *node = emit_like(e, "QMoE", MICROSOFT);
    size_t block = experts_block(e->item);
    bool ok = node && node_set_int(model, node, "expert_weight_bits", bits_of(e->item)) &&
              (!block || node_set_int(model, node, "block_size", (int64_t)block));
    for (size_t i = 0; ok && i < EXPERTS_FIRST; i++)
        ok = node_set_input(model, node, i, node_input(old, i));
    for (size_t i = 0; ok && i < EXPERTS_BANKS; i++) {
        const char *bias = node_input(old, EXPERTS_FIRST + 2 * i + 1);
        ok = !*bias || node_set_input(model, node, EXPERTS_FIRST + EACH * i + 2, bias);
    }
    ok = ok && (!shares || node_set_input(model, node, INPUT_SHARES, shares));
    return ok ? node : NULL;
}

static bool emit_experts(struct emitter *e, const struct use *use)
{
    struct model *model = e->model;
    size_t at = EXPERTS_FIRST + (use->input - EXPERTS_FIRST) / 2 * EACH;
    const char *key = arena_printf(model->arena, "QMoE %p", (void *)use->node);
    Onnx__NodeProto *node = key ? map_get(e->attributes, key) : NULL;
    bool ok =
        key &&
        (node || ((node = make_node(e, use->node)) && map_put(e->attributes, key, node)));
    return (ok && node_set_input(model, node, at, e->codes) &&
            node_set_input(model, node, at + 1, e->scales)) ||
           error_memory(e->err);
}

const struct form_emitter experts_emitter = {.tensors = emit_experts_tensors,
                                             .replace = emit_experts};
