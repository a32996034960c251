/* MoE and QMoE. They compute the same, but QMoE has one number of bits and one block size
 * for all its banks. It has fewer modes, too. */
#include "plan/experts.h"
#include "onnx/node.h"

#include <stdlib.h>
#include <string.h>

enum { COMMON_MIN = 16, COMMON_MAX = 256 };

/* The dims of a bank. NULL if it is no constant of rank 3. */
static const int64_t *bank_dims(const struct use *use, size_t bank)
{
    const struct value *value =
        input_value(use->scope, use->node, EXPERTS_FIRST + 2 * bank);
    const Onnx__TensorProto *tensor = value ? value_constant(value) : NULL;
    return tensor && tensor->n_dims == 3 ? tensor->dims : NULL;
}

static bool has_bank(const Onnx__NodeProto *node, size_t bank)
{
    return *node_input(node, EXPERTS_FIRST + 2 * bank) != '\0';
}

/* The largest block that divides the rows of all banks. 0: there is none. */
static uint64_t common_block(const struct use *use)
{
    uint64_t block = COMMON_MAX;
    for (size_t bank = 0; bank < EXPERTS_BANKS; bank++) {
        const int64_t *dims = bank_dims(use, bank);
        while (dims && block >= COMMON_MIN && (uint64_t)dims[2] % block != 0)
            block /= 2;
    }
    return block >= COMMON_MIN ? block : 0;
}

/* ---- what QMoE can do --------------------------------------------------- */

static bool is_gated(const Onnx__NodeProto *node)
{
    return node_string_is(node, "activation_type", "swiglu", "relu") &&
           node_int(node, "swiglu_fusion", 0) != 0;
}

static bool has_known_modes(const Onnx__NodeProto *node)
{
    static const char *const activations[] = {"relu", "gelu", "silu", "identity",
                                              "swiglu"};
    bool known = false;
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        known |= node_string_is(node, "activation_type", activations[i], "relu");
    return known && node_int(node, "use_sparse_mixer", 0) == 0 &&
           (is_gated(node) || node_int(node, "swiglu_fusion", 0) == 0);
}

/* Whether a constant input is a matrix with this many columns. */
static bool has_columns(const struct use *use, size_t input, int64_t columns)
{
    const struct value *value = input_value(use->scope, use->node, input);
    const Onnx__TensorProto *tensor = value ? value_constant(value) : NULL;
    return tensor && tensor->n_dims == 2 && tensor->dims[1] == columns;
}

/* Whether the router multiplies by a matrix with this many rows. */
static bool router_has_rows(const struct use *use, int64_t rows)
{
    enum { STEPS = 4 };
    const struct value *value = input_value(use->scope, use->node, 1);
    for (int i = 0; i < STEPS && value && value->kind == VALUE_NODE; i++) {
        const Onnx__NodeProto *node = value->node;
        bool product = node_is(node, "MatMul") || node_is(node, "Gemm");
        const struct value *weight = input_value(value->scope, node, product ? 1 : 0);
        if (product) {
            const Onnx__TensorProto *tensor = weight ? value_constant(weight) : NULL;
            size_t axis = node_int(node, "transB", 0) != 0;
            return tensor && tensor->n_dims == 2 && tensor->dims[axis] == rows;
        }
        value = weight;
    }
    return false;
}

/* Whether banks are [experts, outputs, inputs]. ONNX Runtime also takes [experts, inputs,
 * outputs], as old exporters wrote it. In case of doubt they are not. */
static bool is_usual(const struct use *use)
{
    const int64_t *up = bank_dims(use, 0), *down = bank_dims(use, 1);
    int64_t fused = is_gated(use->node) ? 2 : 1;
    if (!up || !down || up[0] != down[0] || up[2] != down[1] || up[1] != fused * down[2])
        return false;
    bool unlike = up[1] != down[2] || up[2] != fused * down[1] || up[1] == up[2];
    return unlike || has_columns(use, 3, up[1]) || has_columns(use, 5, down[1]) ||
           router_has_rows(use, up[2]);
}

bool experts_keep_shares(const Onnx__NodeProto *node)
{
    return node_int(node, "normalize_routing_weights", 0) == 0;
}

void experts_layout(const struct use *use, struct layout *layout)
{
    layout->block = common_block(use);
    layout->cut = layout->block != 0;
    layout->span = true;
    if (!has_known_modes(use->node) || !is_usual(use))
        layout->consumer = CONSUMER_PLAIN;
}

size_t experts_block(const struct plan_item *item)
{
    return item->whole ? 0 : item->shape.block;
}

/* ---- all banks or none --------------------------------------------------- */

/* What the banks of one operator have in common. */
struct tally {
    size_t banks;
    int bits;
    size_t block;
    bool differ;
};

static bool is_expert(const struct plan_item *item)
{
    return item->quantize && item->form == FORM_EXPERTS;
}

static struct tally *tally_of(struct map *tallies, struct arena *arena,
                              const struct use *use)
{
    const char *key = arena_printf(arena, "%p", (void *)use->node);
    struct tally *tally = key ? map_get(tallies, key) : NULL;
    if (key && !tally && (tally = arena_alloc(arena, sizeof *tally))) {
        *tally = (struct tally){0};
        if (!map_put(tallies, key, tally))
            tally = NULL;
    }
    return tally;
}

static bool count_banks(const struct plan *plan, struct map *tallies, struct arena *arena)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_item *item = &plan->items[i];
        int bits = quant_type_info(item->scheme.type)->bits;
        size_t block = experts_block(item);
        for (const struct use *use = is_expert(item) ? item->use : NULL; use;
             use = use->next) {
            struct tally *tally = tally_of(tallies, arena, use);
            if (!tally)
                return false;
            tally->differ |=
                tally->banks > 0 && (tally->bits != bits || tally->block != block);
            tally->bits = bits;
            tally->block = block;
            tally->banks++;
        }
    }
    return true;
}

static bool is_complete(const struct tally *tally, const Onnx__NodeProto *node)
{
    size_t banks = 0;
    for (size_t bank = 0; bank < EXPERTS_BANKS; bank++)
        banks += has_bank(node, bank);
    return tally->banks == banks && !tally->differ;
}

bool experts_part(const struct plan *plan, bool *apart, bool *found, struct error *err)
{
    struct map tallies = {0};
    struct arena *arena = arena_create(ARENA_NO_CAP);
    bool ok = arena && count_banks(plan, &tallies, arena);
    *found = false;
    for (size_t i = 0; ok && i < plan->count; i++) {
        const struct plan_item *item = &plan->items[i];
        for (const struct use *use = is_expert(item) ? item->use : NULL; ok && use;
             use = use->next) {
            const struct tally *tally = tally_of(&tallies, arena, use);
            bool parted = tally && !is_complete(tally, use->node);
            ok = tally != NULL;
            *found |= parted && !apart[item->value->number];
            apart[item->value->number] |= parted;
        }
    }
    map_free(&tallies);
    arena_destroy(arena);
    return ok || error_memory(err);
}
