/* Verification: the file is read as any reader would, and what its operators make of the
 * codes is compared with the weights. Knows nothing about how codes are packed. */
#include "compare/verification.h"
#include "compare/coded.h"
#include "compare/verify_elements.h"
#include "core/map.h"
#include "core/pages.h"
#include "onnx/node.h"
#include "onnx/write.h"

#include <stdlib.h>
#include <string.h>

/* A payload of the model in memory, and the same one in the file. */
struct pair {
    const struct payload *planned, *written;
};

struct verifier {
    const struct verification *what;
    const char *path;
    struct model *written;
    struct graph_index index;
    struct evaluator evaluator;
    struct map scopes; /* of the written model, by path */
    struct pair *pairs;
    size_t pair_count;
    struct error *err;
};

static bool differs(struct verifier *v, const char *name, const char *how)
{
    return error_set(v->err, STATUS_WRITE,
                     "%s: verification failed: '%s' %s: the disk, the memory or nibble "
                     "itself is at fault; nothing was replaced",
                     v->path, name, how);
}

/* ---- tensors that are stored as they are ------------------------------- */

struct tensor_list {
    const Onnx__TensorProto **items;
    size_t count, room;
};

static bool list_tensor(void *context, Onnx__TensorProto *tensor)
{
    struct tensor_list *list = context;
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 256;
        const Onnx__TensorProto **items = realloc(list->items, room * sizeof *items);
        if (!items)
            return false;
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = tensor;
    return true;
}

/* External tensors of the model in memory keep their payload, too. */
static const struct payload *payload_of(const Onnx__TensorProto *tensor)
{
    bool external = tensor->has_data_location &&
                    tensor->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    return tensor->has_raw_data || external ? tensor_payload(tensor) : NULL;
}

/* Whether two tensors without payload are the same message. */
static bool same_message(struct verifier *v, const Onnx__TensorProto *a,
                         const Onnx__TensorProto *b)
{
    size_t size = onnx__tensor_proto__get_packed_size(a);
    if (onnx__tensor_proto__get_packed_size(b) != size)
        return false;
    uint8_t *bytes = malloc(2 * size + 1);
    if (!bytes)
        return error_memory(v->err);
    onnx__tensor_proto__pack(a, bytes);
    onnx__tensor_proto__pack(b, bytes + size);
    bool same = memcmp(bytes, bytes + size, size) == 0;
    free(bytes);
    return same;
}

static bool same_kind(const Onnx__TensorProto *a, const Onnx__TensorProto *b)
{
    return strcmp(or_empty(a->name), or_empty(b->name)) == 0 &&
           a->data_type == b->data_type && a->n_dims == b->n_dims &&
           (a->n_dims == 0 || memcmp(a->dims, b->dims, a->n_dims * sizeof *a->dims) == 0);
}

/* Reserved payloads were filled behind the model's back: their size is all that it
 * knows. */
static bool check_tensor(struct verifier *v, const Onnx__TensorProto *planned,
                         const Onnx__TensorProto *written)
{
    const struct payload *a = payload_of(planned), *b = payload_of(written);
    const char *name = or_empty(planned->name);
    if (!same_kind(planned, written) || !a != !b || (a && a->size != b->size))
        return differs(v, name, "is another tensor in the file");
    bool same = !a ? same_message(v, planned, written)
                   : !a->data || pages_equal(a->file, a->data, b->file, b->data, a->size);
    if (!same)
        return differs(v, name, "has other bytes in the file");
    if (a)
        v->pairs[v->pair_count++] = (struct pair){a, b};
    return !cancelled(v->what->cancel, v->err);
}

static int by_planned(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct pair *)a)->planned;
    uintptr_t y = (uintptr_t)((const struct pair *)b)->planned;
    return x < y ? -1 : x > y;
}

static bool check_tensors(struct verifier *v)
{
    struct tensor_list planned = {0}, written = {0};
    bool ok = (model_tensors(v->what->model, list_tensor, &planned) &&
               model_tensors(v->written, list_tensor, &written) &&
               (v->pairs = calloc(planned.count + 1, sizeof *v->pairs))) ||
              error_memory(v->err);
    if (ok && planned.count != written.count)
        ok = differs(v, "the graph", "has another number of tensors in the file");
    for (size_t i = 0; ok && i < planned.count; i++)
        ok = check_tensor(v, planned.items[i], written.items[i]);
    if (ok && v->pair_count > 1)
        qsort(v->pairs, v->pair_count, sizeof *v->pairs, by_planned);
    free(planned.items);
    free(written.items);
    return ok;
}

/* The bytes in the file. NULL: the item has no such tensor. */
static const uint8_t *written_bytes(const struct verifier *v,
                                    const struct payload *planned)
{
    const struct pair key = {.planned = planned};
    const struct pair *found =
        planned ? bsearch(&key, v->pairs, v->pair_count, sizeof key, by_planned) : NULL;
    return found ? found->written->data : NULL;
}

/* ---- decoding ---------------------------------------------------------- */

static bool index_scopes(struct verifier *v)
{
    for (struct scope *scope = v->index.scopes; scope; scope = scope->next)
        if (!map_put(&v->scopes, scope->path, scope))
            return error_memory(v->err);
    return true;
}

static const struct value *find(const struct verifier *v, const struct scope *place,
                                const char *name)
{
    const struct scope *scope = map_get(&v->scopes, place->path);
    return scope ? map_get(&scope->values, name) : NULL;
}

/* The indices by which rows of codes are gathered. Also constant ones are taken for
 * unknown: then the evaluator gives the whole table. */
static const struct value *row_indices(const struct value *value)
{
    while (value && value->kind == VALUE_NODE) {
        if (node_is(value->node, "Gather"))
            return input_value(value->scope, value->node, 1);
        value = input_value(value->scope, value->node, 0);
    }
    return NULL;
}

/* The use of codes by an operator that takes them itself. It may take others, too: those
 * with this name count, or else the first ones. */
static const struct coded_operator *find_codes(const struct value *value,
                                               const char *codes, struct use *use)
{
    const struct coded_operator *found = NULL;
    bool named = false;
    *use = (struct use){.node = value->node, .scope = value->scope};
    for (size_t i = 0; value->kind == VALUE_NODE && i < value->node->n_input; i++) {
        const struct coded_operator *row = coded_operator(value->node, i);
        bool meant = row && codes && strcmp(node_input(value->node, i), codes) == 0;
        if (!row || named || (found && !meant))
            continue;
        found = row;
        use->input = i;
        named = meant;
    }
    return found;
}

static bool decode(struct verifier *v, const struct value *value, enum form form,
                   const char *codes, struct array *out)
{
    struct evaluator *e = &v->evaluator;
    struct use use;
    const struct coded_operator *row = find_codes(value, codes, &use);
    evaluator_reset(e);
    e->rows = form == FORM_ROWS ? row_indices(value) : NULL;
    return row ? coded_weight(e, &use, row, out) : evaluate_array(e, value, out);
}

/* ---- items ------------------------------------------------------------- */

static bool check_value(struct verifier *v, const struct plan_item *item,
                        const struct scope *place, const char *name)
{
    const struct plan *plan = v->what->plan;
    const struct item_tensors *stored =
        &v->what->tensors[(item->same ? item->same : item) - plan->items];
    const struct fill_result *results = v->what->results;
    struct stored_item file = {
        .item = item,
        .scales = written_bytes(v, stored->scales),
        .zeros = written_bytes(v, stored->zeros),
        .told = results ? &results[item - plan->items].error : NULL,
        .cancel = v->what->cancel,
    };
    char how[DIFFERENCE_SIZE] = "can't be decoded from the file";
    struct array got = {0};
    const struct value *value = find(v, place, name);
    bool ok = value && file.scales &&
              decode(v, value, item->form, stored->codes_name, &got) &&
              got.count == item->elements && elements_agree(&file, &got, how, v->err);
    array_free(&got);
    return ok || (v->err->status == STATUS_OK && differs(v, item->value->name, how));
}

static bool check_item(struct verifier *v, const struct plan_item *item)
{
    const struct item_tensors *tensors = &v->what->tensors[item - v->what->plan->items];
    if (item->as_float16 && tensors->codes) {
        const uint8_t *written = written_bytes(v, tensors->codes);
        return (written && narrowed_agree(item, written)) ||
               differs(v, item->value->name, "has other float16 values in the file");
    }
    if (!item->quantize)
        return true;
    if (tensors->decoded)
        return check_value(v, item, tensors->place, tensors->decoded);
    for (const struct use *use = item->use; use; use = use->next)
        if (!check_value(v, item, use->scope, node_output(use->node, 0)))
            return false;
    return true;
}

static bool check_weights(struct verifier *v)
{
    if (v->what->plan->quantized > 0 &&
        (!graph_index(v->written, &v->index, v->err) || !index_scopes(v)))
        return false;
    evaluator_init(&v->evaluator, v->written, &v->index, v->err);
    for (size_t i = 0; i < v->what->plan->count; i++)
        if (!check_item(v, &v->what->plan->items[i]))
            return false;
    return true;
}

/* Everything but the payloads: names, nodes, attributes. */
static bool check_graph(struct verifier *v, const struct file *file)
{
    struct model *model = v->what->model;
    bool same = v->what->copied ? file->size == model->file->size &&
                                      pages_equal(file, file->data, model->file,
                                                  model->file->data, file->size)
                                : model_is_written(model, file);
    return same || differs(v, "the graph", "has other bytes in the file");
}

bool verify_written(const struct verification *what, struct file *file, struct error *err)
{
    struct verifier v = {.what = what, .path = file->path, .err = err};
    v.written = model_load(file, err);
    bool ok =
        v.written && check_graph(&v, file) && check_tensors(&v) && check_weights(&v);
    map_free(&v.scopes);
    free(v.pairs);
    graph_index_free(&v.index);
    model_free(v.written);
    return ok;
}
