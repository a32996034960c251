/* Corrected biases. Each is a tensor of its own: others may use the old one, which goes
 * when nobody does. */
#include "emit/bias_correction.h"
#include "onnx/names.h"
#include "onnx/node.h"
#include "plan/bias_site.h"
#include "solve/solve.h"

#include <math.h>
#include <string.h>

/* A bias that is being corrected; W and R of a recurrent operator share one. */
struct correction {
    Onnx__TensorProto *tensor;
    float *values;
    size_t count;
};

struct corrector {
    struct graph_edits *edits;
    struct map by_input; /* struct correction */
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

/* The use of the old tensor goes; the tensor itself, with the last one. */
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
                    const struct use *use)
{
    struct model *model = c->edits->model;
    struct bias_site site;
    if (!bias_site(item, use, &site))
        return true;
    const char *key = arena_printf(model->arena, "%p %zu", (void *)site.node, site.input);
    struct correction *made = key ? map_get(&c->by_input, key) : NULL;
    if (!made &&
        (!key || !(made = begin(c, item, &site)) || !map_put(&c->by_input, key, made)))
        return error_memory(c->edits->err);
    const struct solution *solution = item->solution;
    size_t outputs = solution->outputs;
    for (size_t i = 0; i < solution->groups * outputs; i++) {
        size_t at = i / outputs * site.group_stride + site.first + i % outputs;
        made->values[at] += solution->bias[i];
    }
    return store(model, made) || error_memory(c->edits->err);
}

/* Names, nodes and values of all corrections of an item. */
static size_t growth(const struct plan_item *item)
{
    enum { EACH = 4 << 10 };
    size_t uses = 0;
    for (const struct use *use = item->use; use; use = use->next)
        uses++;
    return uses * (EACH + item->solution->groups * item->solution->outputs * 32);
}

bool emit_biases(struct graph_edits *edits, const struct plan *plan)
{
    struct corrector c = {.edits = edits};
    bool ok = true;
    for (size_t i = 0; ok && i < plan->count; i++) {
        const struct plan_item *item = &plan->items[i];
        bool corrected = item->quantize && item->solution && item->solution->bias;
        if (corrected)
            arena_extend(edits->model->arena, growth(item));
        for (const struct use *use = item->use; ok && corrected && use; use = use->next)
            ok = correct(&c, item, use);
    }
    map_free(&c.by_input);
    return ok;
}
