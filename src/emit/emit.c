/* Emission, weight by weight: the emitters of the forms, and what all forms share. That
 * is names, new inputs for consumers, and removing what is no longer used. */
#include "emit/emit.h"
#include "emit/bias_correction.h"
#include "emit/float16.h"
#include "emit/form_emitters.h"
#include "onnx/names.h"
#include "onnx/node.h"
#include "plan/uses.h"

/* How much the model may grow for each consumer of a weight, in bytes. Most take a kB. */
enum { USE_GROWTH = 16 << 10 };

static const struct form_emitter *const emitters[FORMS] = {
    [FORM_NBITS] = &nbits_emitter,           [FORM_EXPERTS] = &experts_emitter,
    [FORM_LOOKUP] = &lookup_emitter,         [FORM_ROWS] = &rows_emitter,
    [FORM_DEQUANTIZE] = &dequantize_emitter, [FORM_LOAD] = &load_emitter,
    [FORM_PORTABLE] = &portable_emitter,
};

/* Notes that a use behind a Transpose is gone. Removes the Transpose with its last use.
 */
static bool count_rewired(struct emitter *e, struct value *through)
{
    if (!through || !edit_moves_last(e->edits, through))
        return true;
    edit_of_value(e->edits, through)->is_gone = true;
    struct graph_edit *edit = edit_of(e->edits, through->scope);
    return edit && edit_remove_node(edit, through->node);
}

/* ---- forms that make a value ----------------------------------------- */

/* Whether consumers get a new name. They must if the value is not the same as before, or
 * if another item keeps the old name. */
static bool needs_own_name(const struct plan_item *item)
{
    bool other =
        !item->alone || item->transposed || item->use->scope != item->value->scope;
    for (const struct use *use = item->use; use && item->fused && !other; use = use->next)
        other = use_through(item, use) != NULL;
    return item->fused && other;
}

/* Gives the consumers the new name. Fused consumers take the weight as [K, N]. */
static bool rewire(struct emitter *e, const char *output)
{
    for (const struct use *use = e->item->use; use; use = use->next) {
        struct value *through = use_through(e->item, use);
        if (!node_set_input(e->model, use->node, use->input, output))
            return error_memory(e->err);
        if (node_is(use->node, "Gemm"))
            node_remove(use->node, "transB");
        if (!count_rewired(e, through))
            return false;
    }
    return true;
}

static bool emit_value(struct emitter *e)
{
    const struct plan_item *item = e->item;
    struct value *value = item->value;
    const char *output = value->name;
    bool own = needs_own_name(item);
    if (own && !(output = name_fresh(e->model, output, "weight")))
        return error_memory(e->err);
    /* A weight that a body captures is fused only if all its nodes are in the body. */
    bool captured = own && item->use->scope != value->scope;
    if (captured && !(e->owner = edit_of(e->edits, item->use->scope)))
        return false;
    e->site = e->owner;
    e->anchor = value->kind == VALUE_NODE && !captured ? value->node : NULL;
    e->output = output;
    e->own->decoded = output;
    e->own->place = captured ? item->use->scope : value->scope;
    if (!own)
        edit_of_value(e->edits, value)->is_gone = false;
    if (item->same)
        return emit_unary(e, "Identity", item->same->value->name, output) != NULL;
    return emitters[item->form]->decode(e, output) && (!own || rewire(e, output));
}

/* ---- forms that replace their consumers -------------------------------- */

/* The scope for the codes. If all consumers are in one body, it is that body. */
static struct scope *common_scope(const struct plan_item *item)
{
    for (const struct use *use = item->use; use; use = use->next)
        if (use->scope != item->use->scope)
            return item->value->scope;
    return item->use->scope;
}

/* Makes the tensors, unless another item has made them. */
static bool make_tensors(struct emitter *e)
{
    if (!e->item->same) {
        if (!emitters[e->item->form]->tensors(e))
            return false;
        e->own->codes_name = e->codes;
        e->own->scales_name = e->scales;
        e->own->zeros_name = e->zeros;
    }
    e->codes = e->stored->codes_name;
    e->scales = e->stored->scales_name;
    e->zeros = e->stored->zeros_name;
    return true;
}

static bool emit_consumers(struct emitter *e)
{
    e->replaced =
        NULL; /* no node is replaced: a Constant node's tensor becomes initializers */
    e->site = e->owner = edit_of(e->edits, common_scope(e->item));
    if (!e->owner || !make_tensors(e))
        return false;
    for (const struct use *use = e->item->use; use; use = use->next) {
        e->site = edit_of(e->edits, use->scope);
        e->replaced = e->anchor = use->node;
        e->output = node_output(use->node, 0);
        if (!e->site || !emitters[e->item->form]->replace(e, use) ||
            !edit_remove_node(e->site, use->node) ||
            !count_rewired(e, use_through(e->item, use)))
            return false;
    }
    return true;
}

/* ---- all of them ------------------------------------------------------ */

static bool emit_item(struct graph_edits *edits, struct map *attributes,
                      const struct plan *plan, struct item_tensors *tensors,
                      size_t number)
{
    const struct plan_item *item = &plan->items[number];
    struct value *value = item->value;
    struct emitter e = {.edits = edits,
                        .model = edits->model,
                        .item = item,
                        .own = &tensors[number],
                        .stored =
                            &tensors[(item->same ? item->same : item) - plan->items],
                        .owner = edit_of(edits, value->scope),
                        .attributes = attributes,
                        .err = edits->err};
    if (!e.owner)
        return false;
    if (item->as_float16)
        return emit_float16(&e);
    struct value_edit *change = edit_of_value(edits, value);
    if (!change->is_replaced) {
        /* This is the first item of the weight. The values go; the name may stay. */
        change->is_replaced = change->is_gone = true;
        if (value->kind == VALUE_NODE) {
            e.replaced = value->node;
            if (!edit_remove_node(e.owner, value->node))
                return false;
        }
    }
    return emitters[item->form]->decode ? emit_value(&e) : emit_consumers(&e);
}

/* Counts the consumers of all items that are quantized, and the Casts. */
static size_t count_uses(const struct plan *plan)
{
    size_t count = plan->as_float16;
    for (size_t i = 0; i < plan->count; i++)
        for (const struct use *use = plan->items[i].use; use; use = use->next)
            count += plan->items[i].quantize;
    return count;
}

bool emit_plan(struct model *model, const struct graph_index *index,
               const struct plan *plan, struct item_tensors **tensors, struct error *err)
{
    struct graph_edits edits;
    struct map attributes = {0};
    *tensors = arena_array(plan->arena, plan->count, sizeof **tensors);
    if (!*tensors)
        return error_memory(err);
    arena_extend(model->arena, count_uses(plan) * USE_GROWTH);
    bool ok = edits_begin(&edits, model, index, err) && emit_biases(&edits, plan);
    for (size_t i = 0; ok && i < plan->count; i++)
        ok = !(plan->items[i].quantize || plan->items[i].as_float16) ||
             emit_item(&edits, &attributes, plan, *tensors, i);
    map_free(&attributes);
    names_forget(model);
    ok = ok && err->status == STATUS_OK && edits_apply(&edits);
    edits_end(&edits);
    return ok;
}
