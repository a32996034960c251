/* Corrected biases. Each is a new tensor, since others may use the old one. An old tensor
 * that nothing uses any more is removed. */
#include "emit/bias_correction.h"
#include "emit/float16.h"
#include "onnx/names.h"
#include "onnx/node.h"
#include "plan/bias_site.h"
#include "solve/solve.h"

#include <math.h>
#include <string.h>

/* A bias that is being corrected. W and R of a recurrent operator share one. */
struct correction {
    struct correction *next;
    Onnx__TensorProto *tensor;
    const struct scope *scope; /* where the tensor is */
    float *values;
    size_t count;
};

struct corrector {
    struct graph_edits *edits;
    struct map by_input;    /* struct correction */
    struct correction *all; /* the newest first */
};

static float *old_values(struct model *model, const struct value *old, size_t count,
                         struct error *err)
{
    float *values = arena_array(model->arena, count, sizeof *values);
    if (!values) {
        error_memory(err);
        return NULL;
    }
    if (old) {
        const Onnx__TensorProto *tensor = value_constant(old);
        const struct payload *payload = tensor_values(model, tensor, err);
        if (!payload)
            return NULL;
        real_load(data_type_real(tensor->data_type), payload->data, count, values);
    }
    return values;
}

/* Takes away one use of the old tensor. The tensor is removed with the last one. */
static bool leave_old(struct graph_edits *edits, struct value *old)
{
    if (!old || !edit_moves_last(edits, old))
        return true;
    struct graph_edit *edit = edit_of(edits, old->scope);
    *edit_of_value(edits, old) = (struct value_edit){old->use_count, true, true};
    return edit && (old->kind != VALUE_NODE || edit_remove_node(edit, old->node));
}

static struct correction *begin(struct corrector *c, const struct plan_item *item,
                                const struct bias_site *site)
{
    struct model *model = c->edits->model;
    struct error *err = c->edits->err;
    const Onnx__TensorProto *old = site->old ? value_constant(site->old) : NULL;
    const int64_t *dims = old ? old->dims : site->dims;
    size_t rank = old ? old->n_dims : site->rank;
    struct correction *made = arena_alloc(model->arena, sizeof *made);
    const char *name = name_fresh(model, site->old ? site->old->name : item->value->name,
                                  site->old ? "corrected" : "bias");
    if (!made || !name) {
        error_memory(err);
        return NULL;
    }
    made->count = 1;
    for (size_t i = 0; i < site->rank; i++)
        made->count *= (size_t)site->dims[i];
    made->values = old_values(model, site->old, made->count, err);
    made->tensor = tensor_new(model, name, item->data_type, dims, rank);
    struct graph_edit *edit = edit_of(c->edits, site->scope);
    if (!made->values || !made->tensor || !edit ||
        !node_set_input(model, site->node, site->input, name) ||
        !edit_add_tensor(edit, made->tensor) || !leave_old(c->edits, site->old)) {
        error_memory(err);
        return NULL;
    }
    made->scope = site->scope;
    made->next = c->all;
    c->all = made;
    return made;
}

static bool store(struct model *model, const struct correction *made)
{
    enum real_type type = data_type_real(made->tensor->data_type);
    uint64_t size = made->count * real_size(type);
    void *bytes = arena_alloc(model->arena, size);
    if (!bytes)
        return false;
    real_store(type, made->values, made->count, bytes);
    return tensor_set_values(model, made->tensor, bytes, size);
}

static bool correct(struct corrector *c, const struct plan_item *item,
                    const struct bias_site *site)
{
    struct model *model = c->edits->model;
    const char *key =
        arena_printf(model->arena, "%p %zu", (void *)site->node, site->input);
    struct correction *made = key ? map_get(&c->by_input, key) : NULL;
    if (!made &&
        (!key || !(made = begin(c, item, site)) || !map_put(&c->by_input, key, made)))
        return error_memory(c->edits->err);
    const struct solution *solution = item->solution;
    size_t outputs = solution->outputs;
    for (size_t i = 0; i < solution->groups * outputs; i++) {
        size_t at = i / outputs * site->group_stride + site->first + i % outputs;
        made->values[at] += solution->bias[i];
    }
    return store(model, made) || error_memory(c->edits->err);
}

static size_t count_item_uses(const struct plan_item *item)
{
    size_t uses = 0;
    for (const struct use *use = item->use; use; use = use->next)
        uses++;
    return uses;
}

/* How much the model may grow by the corrections of an item. */
static size_t growth(const struct plan_item *item)
{
    enum { EACH = 4 << 10 };
    return count_item_uses(item) *
           (EACH + item->solution->groups * item->solution->outputs * 32);
}

/* The sites of an item's uses. */
static size_t find_sites(const struct plan_item *item, struct bias_site *sites)
{
    size_t count = 0;
    for (const struct use *use = item->use; use; use = use->next)
        count += bias_site(item, use, &sites[count]);
    return count;
}

/* The sites of all items are found first: the first correction changes what the
 * operator's other weight would find. */
bool emit_biases(struct graph_edits *edits, const struct plan *plan)
{
    struct corrector c = {.edits = edits};
    struct arena *arena = arena_create(ARENA_NO_CAP);
    if (!arena)
        return error_memory(edits->err);
    struct bias_site **sites = arena_array(arena, plan->count + 1, sizeof *sites);
    size_t *counts = arena_array(arena, plan->count + 1, sizeof *counts);
    bool ok = (sites && counts) || error_memory(edits->err);
    for (size_t i = 0; ok && i < plan->count; i++) {
        const struct plan_item *item = &plan->items[i];
        if (!item->quantize || !item->solution || !item->solution->bias)
            continue;
        arena_extend(edits->model->arena, growth(item));
        sites[i] = arena_array(arena, count_item_uses(item) + 1, sizeof **sites);
        ok = sites[i] || error_memory(edits->err);
        counts[i] = ok ? find_sites(item, sites[i]) : 0;
    }
    for (size_t i = 0; ok && i < plan->count; i++)
        for (size_t k = 0; ok && k < counts[i]; k++)
            ok = correct(&c, &plan->items[i], &sites[i][k]);
    for (struct correction *made = c.all; ok && plan->wants_float16 && made;
         made = made->next)
        ok = emit_float16_tensor(edits, made->scope, made->tensor, made->values,
                                 made->count);
    map_free(&c.by_input);
    arena_destroy(arena);
    return ok;
}
