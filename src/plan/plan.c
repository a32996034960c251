/* Making the plan. Finds the float constants and asks a list of questions about each.
 * Those that pass get scheme, granularity and form. Changes nothing in the model. */
#include "plan/plan.h"
#include "core/pages.h"
#include "onnx/imports.h"
#include "onnx/node.h"
#include "plan/already.h"
#include "plan/equal.h"
#include "plan/experts.h"
#include "plan/forms.h"
#include "plan/neighbours.h"
#include "plan/outputs.h"
#include "plan/planner.h"
#include "plan/shape.h"
#include "plan/uses.h"

#include <string.h>

/* ---- one item ------------------------------------------------------- */

static bool add_item(struct planner *p, const struct plan_item *item)
{
    p->plan->quantized += item->quantize;
    p->plan->items[p->plan->count++] = *item;
    return true;
}

/* Refuses block sizes that ONNX Runtime up to 1.26 computes wrongly without a warning. */
static bool check_block(struct planner *p, const struct layout *layout)
{
    uint64_t block = p->own.block_size;
    bool wrong = p->own.granularity == GRANULARITY_BLOCKS && block > 256 &&
                 (block & (block - 1)) == 0;
    if (!wrong || layout->consumer != CONSUMER_FUSED || layout->activated ||
        p->own.target != TARGET_ONNXRUNTIME || p->own.decode == DECODE_LOAD ||
        p->own.decode == DECODE_PORTABLE)
        return true;
    return error_set(
        p->err, STATUS_INVALID,
        "blocks of %llu on '%s' of a MatMul or Gemm: ONNX Runtime up to 1.26 "
        "computes powers of two above 256 wrongly; use 16 to 256, or --target "
        "generic",
        (unsigned long long)block, p->item->value->name);
}

/* Whether the weight already has an item whose codes a copy would repeat. */
static bool has_codes(const struct planner *p)
{
    for (size_t i = p->first; i < p->plan->count; i++)
        if (!form_info(p->plan->items[i].form)->replaces_consumers)
            return true;
    return false;
}

/* Adds an item for one group of consumers. */
static bool add_group(void *context, const struct weight_use *first, bool alone,
                      bool copy)
{
    struct planner *p = context;
    struct plan_item item = *p->item;
    item.use = &first->use;
    item.alone = alone;
    item.copy = copy;
    item.behind_transpose = first->transposed;
    choose_form(&p->own, &first->layout, &item);
    item.again =
        copy && item.fused && form_info(item.form)->fusion == FUSION_OWN && has_codes(p);
    if (p->shared && !copy) {
        item.sharing = p->shared->own;
        item.sharing_bytes = p->shared->copy_bytes;
    }
    uint64_t bytes = plan_bytes(&item);
    item.quantize = bytes < item.bytes && item.bytes - bytes >= p->options->least_gain;
    if (!item.quantize)
        item.reason = bytes < item.bytes
                          ? "nodes and names would take more room than it saves"
                          : "scales and codes would take more room than it does";
    return add_item(p, &item);
}

/* If one form of a weight does not pay, the float values stay. Other forms would only
 * come on top, so the weight stays float in all of them. */
static void give_up_together(struct plan *plan, size_t first)
{
    const char *reason = NULL;
    for (size_t i = first; i < plan->count; i++)
        reason = plan->items[i].reason ? plan->items[i].reason : reason;
    if (!reason)
        return;
    for (size_t i = first; i < plan->count; i++)
        plan->quantized -= plan->items[i].quantize;
    plan->items[first].quantize = false;
    plan->items[first].reason = reason;
    plan->count = first + 1;
}

/* ONNX Runtime fuses no codes that two operators share. Copies may take a part of the
 * weight's bytes, and a part of the model's. */
static bool may_copy(const struct planner *p, const struct plan_item *item,
                     const struct weight_uses *uses)
{
    enum { OF_WEIGHT = 4, OF_MODEL = 10 };
    uint64_t bytes = uses->copy_bytes, limit = p->options->copy_bytes;
    if (limit == COPY_BYTES_DEFAULT) {
        if (bytes > item->bytes / OF_WEIGHT)
            return false;
        limit = p->model->bytes / OF_MODEL;
    }
    return bytes <= limit && p->copied <= limit - bytes;
}

/* Removes the items of the weight. */
static void ungroup(struct planner *p)
{
    while (p->plan->count > p->first)
        p->plan->quantized -= p->plan->items[--p->plan->count].quantize;
}

/* Groups the consumers. All forms of a weight together must be smaller than its values;
 * otherwise it gets fewer forms. */
static bool group(struct planner *p, const struct plan_item *item,
                  struct weight_uses *uses)
{
    struct plan *plan = p->plan;
    weight_uses_settle(&p->own, item, uses);
    p->first = plan->count;
    for (enum use_grouping how = may_copy(p, item, uses) ? GROUP_COPIES : GROUP_SHARED;;
         how++) {
        uint64_t bytes = 0, copied = 0;
        p->shared = how != GROUP_COPIES && uses->copy_bytes > 0 ? uses : NULL;
        if (!weight_uses_group(&p->own, how, uses, add_group, p))
            return false;
        for (size_t i = p->first; i < plan->count; i++) {
            bytes += plan_bytes(&plan->items[i]);
            copied += plan->items[i].again ? plan_bytes(&plan->items[i]) : 0;
        }
        if (bytes < item->bytes || plan->count == p->first + 1 || how == GROUP_ONE) {
            p->copied += copied;
            return true;
        }
        ungroup(p);
    }
}

static bool decide(struct planner *p, struct plan_item *item)
{
    struct weight_uses uses;
    uint64_t elements;
    /* The dims are impossible: reading the values sets the error. */
    if (item->tensor && !tensor_elements(item->tensor, &elements))
        return tensor_values(p->model, item->tensor, p->err) != NULL;
    item->reason = planner_reason(p, item, &uses);
    if (p->apart[item->value->number] && !item->reason)
        weight_uses_decode(&uses);
    if (p->err->status != STATUS_OK)
        return false;
    if (arena_exhausted(p->plan->arena))
        return error_memory(p->err);
    if (item->reason)
        item->source = NULL;
    if (item->reason)
        return add_item(p, item);
    p->item = item;
    for (size_t i = 0; i < uses.count; i++)
        if (!check_block(p, &uses.items[i].layout))
            return false;
    if (!group(p, item, &uses))
        return false;
    give_up_together(p->plan, p->first);
    return true;
}

static const Onnx__AttributeProto *constant_floats(const Onnx__NodeProto *node)
{
    return node_attribute(node, "value_floats");
}

/* Sets the fields that describe the value. False if it is no float constant. */
static bool is_float_constant(struct plan_item *item, struct value *value)
{
    bool constant = value->kind == VALUE_NODE && node_is(value->node, "Constant");
    *item =
        (struct plan_item){.value = value, .tensor = value->tensor, .use = value->uses};
    if (constant)
        item->tensor = value_constant(value);
    item->data_type = item->tensor ? item->tensor->data_type : DATA_FLOAT;
    if (constant && !item->tensor) {
        const Onnx__AttributeProto *floats = constant_floats(value->node);
        item->elements = floats ? floats->n_floats : 0;
        item->bytes = item->elements * sizeof(float);
        return floats != NULL;
    }
    if (!item->tensor || !data_type_is_float(item->data_type))
        return false;
    if (!tensor_elements(item->tensor, &item->elements))
        item->elements = 0;
    item->bytes = data_type_bytes(item->data_type, item->elements);
    return true;
}

/* ---- the plan ------------------------------------------------------- */

static void count_already(struct plan *plan, const struct value *value)
{
    int bits;
    const char *form;
    size_t kind = 0;
    if (!already_is_codes(value, &bits, &form))
        return;
    while (kind < plan->already_kinds && (plan->already[kind].bits != bits ||
                                          strcmp(plan->already[kind].form, form) != 0))
        kind++;
    if (kind == PLAN_ALREADY_KINDS)
        kind--;
    else if (kind == plan->already_kinds)
        plan->already[plan->already_kinds++] = (struct plan_already){bits, form, 0};
    plan->already[kind].weights++;
}

/* A weight has at most as many items as consumers. Consumers behind a Transpose are
 * counted instead of the Transpose. */
static size_t count_items(const struct graph_index *index)
{
    struct plan_item item;
    size_t total = 0;
    for (struct value *value = index->values; value; value = value->next) {
        size_t count = 0;
        if (!is_float_constant(&item, value))
            continue;
        for (const struct use *use = value->uses; use; use = use->next) {
            bool transpose = use->node && node_is(use->node, "Transpose");
            const struct value *after =
                transpose ? scope_find(use->scope, node_output(use->node, 0)) : NULL;
            count += after && after->use_count ? after->use_count : 1;
        }
        total += count ? count : 1;
    }
    return total;
}

/* From opset 21 on ONNX Runtime up to 1.32 does not load a model in which it moves
 * activations in int8: it makes their zero points unsigned, but not the output_dtype of
 * the nodes that it adds. */
static int64_t opset_max(struct model *model, const struct graph_index *index,
                         const struct plan_options *options)
{
    enum { OPSET_OUTPUT_DTYPE = 21 };
    int64_t opset = model_opset(model);
    bool stays = options->target == TARGET_ONNXRUNTIME && opset < OPSET_OUTPUT_DTYPE &&
                 neighbours_move_int8(index);
    return stays ? opset : 0;
}

static bool add_items(struct planner *p)
{
    struct plan *plan = p->plan;
    struct plan_item item;
    bool ok = true;
    plan->count = plan->quantized = plan->already_kinds = 0;
    plan->matched.include = plan->matched.exclude = 0;
    memset(plan->matched.rules, 0, p->options->rule_count * sizeof *plan->matched.rules);
    p->copied = 0;
    for (struct value *value = p->index->values; value && ok; value = value->next) {
        ok = !is_float_constant(&item, value) || decide(p, &item);
        count_already(plan, value);
    }
    return ok;
}

/* Operators of experts take codes of all their banks or of none. If some stay float, or
 * differ, all items are made once more. */
static bool add_all(struct planner *p)
{
    bool found = true;
    size_t values = p->index->value_count;
    p->apart = arena_array(p->plan->arena, values, sizeof *p->apart);
    p->shown = arena_array(p->plan->arena, values, sizeof *p->shown);
    if (!p->apart || !p->shown || !outputs_mark(p->index, p->shown, p->plan->arena))
        return error_memory(p->err);
    while (found)
        if (!add_items(p) || !experts_part(p->plan, p->apart, &found, p->err))
            return false;
    return true;
}

bool plan_make(struct model *model, const struct graph_index *index,
               const struct plan_options *options, struct plan *plan, struct error *err)
{
    struct planner p = {
        .model = model, .index = index, .options = options, .plan = plan, .err = err};
    size_t count = count_items(index);
    p.opset_max = opset_max(model, index, options);
    *plan = (struct plan){.arena = arena_create(ARENA_NO_CAP)};
    if (!plan->arena ||
        !(plan->items = arena_array(plan->arena, count, sizeof *plan->items)) ||
        !(plan->matched.rules =
              arena_array(plan->arena, options->rule_count, sizeof *plan->matched.rules)))
        return error_memory(err);
    bool ok = add_all(&p);
    pages_end(&p.sampled);
    evaluator_end(&p.evaluator);
    return ok && plan_find_equal(plan, err);
}

void plan_free(struct plan *plan)
{
    arena_destroy(plan->arena);
    *plan = (struct plan){0};
}

int64_t plan_opset(const struct plan *plan)
{
    int64_t opset = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_item *item = &plan->items[i];
        int64_t needed = item->quantize ? form_opset(item) : 0;
        opset = needed > opset ? needed : opset;
    }
    return opset;
}

int64_t plan_ir(const struct plan *plan)
{
    int64_t ir = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_item *item = &plan->items[i];
        int64_t needed = item->quantize ? form_ir(item) : 0;
        ir = needed > ir ? needed : ir;
    }
    return ir;
}
