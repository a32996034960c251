/* Trials. Weights of the main graph become inputs by name; those of bodies, and of
 * Constant nodes, become initializers of the main graph first, which bodies see, too. */
#include "calibrate/trials.h"
#include "core/arena.h"
#include "onnx/names.h"
#include "onnx/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Before this IR version initializers can't be overridden, even if they are inputs. */
enum { OVERRIDABLE_IR = 4 };

struct trial_maker {
    struct model *model;
    const struct plan *plan;
    const struct observer *observer;
    struct trials *trials;
    struct map sites;  /* observed sites, by key */
    struct map biases; /* struct trial_bias, by node and input */
    struct map order;  /* of nodes in the model, by address */
    size_t nodes;
    struct error *err;
};

/* An item, and where it is used. */
struct placed {
    size_t node, input, index;
    const struct observed_site *site;
    struct bias_site bias; /* as it is before anything changes */
    bool biased;
};

/* ---- inputs ------------------------------------------------------------ */

static Onnx__TypeProto *type_of(struct arena *arena, const Onnx__TensorProto *tensor)
{
    Onnx__TypeProto *any = arena_alloc(arena, sizeof *any);
    Onnx__TypeProto__Tensor *type = arena_alloc(arena, sizeof *type);
    Onnx__TensorShapeProto *shape = arena_alloc(arena, sizeof *shape);
    Onnx__TensorShapeProto__Dimension **dims =
        arena_array(arena, tensor->n_dims + 1, sizeof *dims);
    if (!any || !type || !shape || !dims)
        return NULL;
    onnx__type_proto__init(any);
    onnx__type_proto__tensor__init(type);
    onnx__tensor_shape_proto__init(shape);
    for (size_t i = 0; i < tensor->n_dims; i++) {
        dims[i] = arena_alloc(arena, sizeof *dims[i]);
        if (!dims[i])
            return NULL;
        onnx__tensor_shape_proto__dimension__init(dims[i]);
        dims[i]->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        dims[i]->dim_value = tensor->dims[i];
    }
    shape->dim = dims;
    shape->n_dim = tensor->n_dims;
    type->has_elem_type = true;
    type->elem_type = tensor->data_type;
    type->shape = shape;
    any->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    any->tensor_type = type;
    return any;
}

/* An input whose default the initializer of that name is. */
static bool add_input(struct trial_maker *m, const Onnx__TensorProto *tensor)
{
    enum { INPUT_GROWTH = 4 << 10 };
    Onnx__GraphProto *graph = m->model->proto->graph;
    arena_extend(m->model->arena, INPUT_GROWTH + (graph->n_input + 2) * sizeof(void *));
    Onnx__ValueInfoProto *info = arena_alloc(m->model->arena, sizeof *info);
    void *added = info;
    if (!info)
        return error_memory(m->err);
    onnx__value_info_proto__init(info);
    info->name = tensor->name;
    info->type = type_of(m->model->arena, tensor);
    return (info->type && list_insert(m->model, &graph->input, &graph->n_input,
                                      graph->n_input, &added, 1)) ||
           error_memory(m->err);
}

static bool add_initializer(struct trial_maker *m, Onnx__TensorProto *tensor)
{
    Onnx__GraphProto *graph = m->model->proto->graph;
    void *added = tensor;
    arena_extend(m->model->arena, (graph->n_initializer + 2) * sizeof(void *));
    return list_insert(m->model, &graph->initializer, &graph->n_initializer,
                       graph->n_initializer, &added, 1) ||
           error_memory(m->err);
}

/* A tensor like another, with a name of its own, in the main graph. */
static Onnx__TensorProto *copy_tensor(struct trial_maker *m, const Onnx__TensorProto *old,
                                      const char *base)
{
    arena_extend(m->model->arena, sizeof *old + strlen(base) * 4 + 1024);
    Onnx__TensorProto *copy = arena_alloc(m->model->arena, sizeof *copy);
    const char *name = name_fresh(m->model, base, "trial");
    if (!copy || !name) {
        error_memory(m->err);
        return NULL;
    }
    *copy = *old;
    copy->name = (char *)(uintptr_t)name;
    return add_initializer(m, copy) ? copy : NULL;
}

static bool make_weight(struct trial_maker *m, const struct plan_item *item,
                        struct trial *trial)
{
    const struct value *value = item->value;
    Onnx__TensorProto *tensor = item->tensor;
    bool at_home = value->kind == VALUE_INITIALIZER && !value->scope->parent;
    if (!at_home && !(tensor = copy_tensor(m, tensor, value->name)))
        return false;
    for (const struct use *use = value->uses; !at_home && use; use = use->next)
        if (use->node && !node_set_input(m->model, use->node, use->input, tensor->name))
            return error_memory(m->err);
    trial->name = arena_string(m->trials->arena, tensor->name);
    return trial->name ? value->is_input || add_input(m, tensor) : error_memory(m->err);
}

/* ---- biases ------------------------------------------------------------ */

static bool read_bias(struct trial_maker *m, const Onnx__TensorProto *tensor,
                      struct trial_bias *bias)
{
    struct payload *payload = tensor_values(m->model, tensor, m->err);
    if (payload)
        real_load(data_type_real(tensor->data_type), payload->data, bias->count,
                  bias->values);
    return payload != NULL;
}

static Onnx__TensorProto *new_bias(struct trial_maker *m, const struct plan_item *item,
                                   const struct trial_bias *bias)
{
    size_t size = bias->count * real_size(data_type_real(item->data_type));
    arena_extend(m->model->arena, size + strlen(item->value->name) * 4 + 1024);
    const char *name = name_fresh(m->model, item->value->name, "bias");
    void *zeros = arena_alloc(m->model->arena, size);
    Onnx__TensorProto *tensor =
        name ? tensor_new(m->model, name, item->data_type, bias->dims, bias->rank) : NULL;
    if (!zeros || !tensor || !tensor_set_values(m->model, tensor, zeros, size)) {
        error_memory(m->err);
        return NULL;
    }
    return add_initializer(m, tensor) ? tensor : NULL;
}

static bool begin_bias(struct trial_maker *m, const struct plan_item *item,
                       const struct bias_site *site, struct trial_bias *bias)
{
    const Onnx__TensorProto *old = site->old ? value_constant(site->old) : NULL;
    *bias = (struct trial_bias){.rank = site->rank, .count = 1};
    for (size_t i = 0; i < site->rank; i++) {
        bias->dims[i] = site->dims[i];
        bias->count *= (size_t)site->dims[i];
    }
    bias->values = arena_array(m->trials->arena, bias->count, sizeof *bias->values);
    if (!bias->values)
        return error_memory(m->err);
    if (old && !read_bias(m, old, bias))
        return false;
    Onnx__TensorProto *tensor =
        old ? copy_tensor(m, old, site->old->name) : new_bias(m, item, bias);
    if (!tensor || !node_set_input(m->model, site->node, site->input, tensor->name) ||
        !(bias->name = arena_string(m->trials->arena, tensor->name)))
        return error_memory(m->err);
    if (old && old->n_dims <= 2) {
        bias->rank = old->n_dims;
        for (size_t i = 0; i < bias->rank; i++)
            bias->dims[i] = old->dims[i];
    }
    return add_input(m, tensor);
}

static bool make_bias(struct trial_maker *m, const struct plan_item *item,
                      const struct placed *placed, struct trial *trial)
{
    struct arena *arena = m->trials->arena;
    const struct bias_site *site = &placed->bias;
    if (!placed->biased)
        return true;
    const char *key = arena_printf(arena, "%p %zu", (void *)site->node, site->input);
    struct trial_bias *bias = key ? map_get(&m->biases, key) : NULL;
    if (key && !bias) {
        bias = arena_alloc(arena, sizeof *bias);
        if (!bias || !begin_bias(m, item, site, bias) || !map_put(&m->biases, key, bias))
            return error_memory(m->err);
    }
    trial->bias = bias;
    trial->group_stride = site->group_stride;
    trial->first = site->first;
    return bias || error_memory(m->err);
}

/* ---- the order --------------------------------------------------------- */

/* Numbers nodes as they run: those of a body at the place of its node. */
static bool number_nodes(struct trial_maker *m, const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_node; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        const char *key = arena_printf(m->trials->arena, "%p", (const void *)node);
        if (!key || !map_put(&m->order, key, (void *)(uintptr_t)++m->nodes))
            return error_memory(m->err);
        for (size_t j = 0; j < node->n_attribute; j++)
            if (node->attribute[j]->g && !number_nodes(m, node->attribute[j]->g))
                return false;
    }
    return true;
}

static size_t number_of(const struct trial_maker *m, const Onnx__NodeProto *node)
{
    char key[24];
    snprintf(key, sizeof key, "%p", (const void *)node);
    return (size_t)(uintptr_t)map_get(&m->order, key);
}

static int by_place(const void *left, const void *right)
{
    const struct placed *a = left, *b = right;
    if (a->node != b->node)
        return a->node < b->node ? -1 : 1;
    if (a->input != b->input)
        return a->input < b->input ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

/* The observed site of an item that is used at one place; NULL: none. */
static bool find_site(const struct trial_maker *m, const struct plan_item *item,
                      const struct observed_site **found)
{
    struct site site;
    struct site_matrix matrix;
    struct arena *scratch = arena_create(ARENA_NO_CAP);
    *found = NULL;
    if (scratch && item->use && !item->use->next &&
        site_make(scratch, item, item->use, &site, &matrix))
        *found = map_get(&m->sites, site.key);
    bool ok = scratch && !arena_exhausted(scratch);
    arena_destroy(scratch);
    return ok || error_memory(m->err);
}

static bool has_trial(const struct plan_item *item)
{
    const struct scope *scope = item->value->scope;
    while (scope->parent)
        scope = scope->parent;
    return item->quantize && item->alone && !item->same && item->use && item->use->node &&
           !scope->function;
}

/* Items stored once for several would change together: they have none. */
static void leave_shared(const struct plan *plan, bool *has)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->items[i].same)
            has[plan->items[i].same - plan->items] = false;
}

static bool place(const struct trial_maker *m, const struct plan_item *item, size_t index,
                  struct placed *placed)
{
    *placed = (struct placed){
        .node = number_of(m, item->use->node), .input = item->use->input, .index = index};
    /* Of weights that one operator alone uses. */
    placed->biased = !item->use->next && bias_site(item, item->use, &placed->bias) &&
                     (!placed->bias.old || value_constant(placed->bias.old)->n_dims <= 2);
    return find_site(m, item, &placed->site);
}

/* The items that have a trial, in the order in which they run. */
static struct placed *place_items(struct trial_maker *m, size_t *count)
{
    const struct plan *plan = m->plan;
    struct placed *placed = malloc((plan->count + 1) * sizeof *placed);
    bool *has = calloc(plan->count + 1, sizeof *has);
    for (size_t i = 0; has && i < plan->count; i++)
        has[i] = has_trial(&plan->items[i]);
    if (has)
        leave_shared(plan, has);
    *count = 0;
    bool ok = placed && has;
    for (size_t i = 0; ok && i < plan->count; i++)
        if (has[i])
            ok = place(m, &plan->items[i], i, &placed[(*count)++]);
    if (ok)
        qsort(placed, *count, sizeof *placed, by_place);
    if (!ok) {
        free(placed);
        placed = NULL;
    }
    free(has);
    return placed;
}

static bool make_trials(struct trial_maker *m, const struct placed *placed, size_t count)
{
    struct trials *trials = m->trials;
    for (size_t i = 0; i < count; i++) {
        struct trial *trial = &trials->list[trials->count++];
        const struct plan_item *item = &m->plan->items[placed[i].index];
        bool same = i > 0 && placed[i].site && placed[i].site == placed[i - 1].site;
        trials->steps += !same;
        *trial = (struct trial){
            .item = placed[i].index, .step = trials->steps - 1, .site = placed[i].site};
        if (!make_weight(m, item, trial) || !make_bias(m, item, &placed[i], trial))
            return false;
    }
    return true;
}

bool trials_make(struct model *model, const struct plan *plan,
                 const struct observer *observer, struct trials *trials,
                 struct error *err)
{
    struct trial_maker m = {
        .model = model, .plan = plan, .observer = observer, .trials = trials, .err = err};
    struct placed *placed = NULL;
    size_t count = 0;
    *trials = (struct trials){.arena = arena_create(ARENA_NO_CAP)};
    trials->list = trials->arena
                       ? arena_array(trials->arena, plan->count + 1, sizeof *trials->list)
                       : NULL;
    bool ok = trials->list || error_memory(err);
    for (size_t i = 0; ok && i < observer->site_count; i++)
        ok = map_put(&m.sites, observer->sites[i].site.key,
                     (void *)(uintptr_t)&observer->sites[i]) ||
             error_memory(err);
    ok = ok && number_nodes(&m, model->proto->graph);
    if (ok && !(placed = place_items(&m, &count)))
        ok = error_memory(err);
    ok = ok && make_trials(&m, placed, count);
    if (model->proto->ir_version < OVERRIDABLE_IR)
        model->proto->ir_version = OVERRIDABLE_IR;
    names_forget(model);
    free(placed);
    map_free(&m.sites);
    map_free(&m.biases);
    map_free(&m.order);
    if (!ok)
        trials_free(trials);
    return ok;
}

void trials_free(struct trials *trials)
{
    arena_destroy(trials->arena);
    *trials = (struct trials){0};
}
