/* Verification: the file is read as any reader would, and what its operators make of the
 * codes is compared with the weights. Knows nothing about how codes are packed. */
#include "compare/verification.h"
#include "compare/coded.h"
#include "core/map.h"
#include "core/pages.h"
#include "fill/pack.h"
#include "onnx/node.h"
#include "onnx/write.h"
#include "solve/solve.h"

#include <math.h>
#include <stdio.h>
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

/* ---- comparing --------------------------------------------------------- */

/* What two numbers of a type may differ by, relative to their size and at least. */
struct precision {
    double relative, least;
};

static struct precision precision_of(enum real_type type)
{
    static const struct precision precisions[] = {[REAL_FLOAT32] = {0x1p-23, 0x1p-149},
                                                  [REAL_FLOAT16] = {0x1p-10, 0x1p-24},
                                                  [REAL_BFLOAT16] = {0x1p-7, 0x1p-133},
                                                  [REAL_FLOAT64] = {0x1p-23, 0x1p-149}};
    return precisions[type];
}

/* What the codes of a group can stand for. */
struct grid {
    double scale, lowest, highest;
};

/* One item, and where the loop over its elements is. */
struct check {
    const struct plan_item *item;
    const uint8_t *scales, *zeros; /* in the file */
    struct precision precision, scale_precision;
    bool exchanged;           /* the decoded matrix is transposed */
    size_t outer, dim, inner; /* of the present element */
    struct grid *grids;       /* of neighbouring groups: */
    size_t first, count;      /* all of them, or those of a row of blocks */
    double noise, signal;
};

static void load_grids(struct check *c, size_t first)
{
    const struct quant_type_info *type = quant_type_info(c->item->scheme.type);
    for (size_t i = 0; i < c->count; i++) {
        struct grid *grid = &c->grids[i];
        int zero;
        grid->scale =
            (double)parameters_read(c->item, c->scales, c->zeros, first + i, &zero);
        grid->lowest = (type->lo - zero) * grid->scale;
        grid->highest = (type->hi - zero) * grid->scale;
    }
    c->first = first;
}

/* The group of the present element, counted from `first`. */
static size_t present_group(struct check *c)
{
    const struct quant_shape *shape = &c->item->shape;
    if (shape->block == 0)
        return c->dim;
    if (c->inner == 0 && c->dim % shape->block == 0)
        load_grids(c, (c->outer * quant_blocks(shape) + c->dim / shape->block) *
                          shape->inner);
    return c->inner;
}

static void advance(struct check *c)
{
    const struct quant_shape *shape = &c->item->shape;
    if (++c->inner < shape->inner)
        return;
    c->inner = 0;
    if (++c->dim < shape->dim)
        return;
    c->dim = 0;
    c->outer++;
}

/* What the solution says about an element. */
static double solved(const struct plan_item *item, size_t element, size_t group)
{
    const struct solution *s = item->solution;
    bool is_signed = quant_type_info(item->scheme.type)->lo < 0;
    int code = s->codes[element], zero = s->zeros[group];
    if (is_signed) {
        code = (int8_t)code;
        zero = (int8_t)zero;
    }
    return (code - zero) * (double)s->scales[group];
}

/* Whether the decoded value is as near to the element as its grid allows. */
static bool is_near(const struct check *c, double x, double decoded, size_t element,
                    size_t group)
{
    const struct grid *grid = &c->grids[group];
    const double rounding = 1e-4; /* of codes: x / scale is computed in float */
    double slack =
        (fabs(x) + fabs(decoded)) * c->precision.relative + 2 * c->precision.least;
    if (c->item->solution) {
        double want = solved(c->item, element, c->first + group);
        return fabs(want - decoded) <=
               slack + fabs(want) * 2 * c->scale_precision.relative;
    }
    x = x > grid->highest ? grid->highest : x < grid->lowest ? grid->lowest : x;
    return fabs(x - decoded) <= (0.5 + rounding) * grid->scale + slack;
}

static bool is_far(struct verifier *v, const struct check *c, size_t element, double x,
                   double decoded, size_t group)
{
    char how[160];
    snprintf(how, sizeof how,
             "decodes to %.9g where the weight has %.9g (element %zu, scale %.9g)",
             decoded, x, element, c->grids[group].scale);
    return differs(v, c->item->value->name, how);
}

static bool check_elements(struct verifier *v, struct check *c, const struct array *got)
{
    enum { LOOK = 1024 };
    const struct plan_item *item = c->item;
    const enum real_type type = data_type_real(item->data_type);
    size_t rows = c->exchanged ? (size_t)item->tensor->dims[0] : 1;
    size_t columns = (size_t)item->elements / rows;
    struct pages read = {0};
    float values[LOOK];
    bool ok = true;
    for (size_t at = 0, n; ok && at < item->elements; at += n) {
        const uint8_t *data = item->source->data + at * real_size(type);
        n = item->elements - at < LOOK ? (size_t)(item->elements - at) : LOOK;
        pages_read(&read, item->source->file, data, n * real_size(type));
        real_load(type, data, n, values);
        for (size_t i = 0; ok && i < n; i++) {
            size_t element = at + i, group = present_group(c), place = element;
            if (c->exchanged)
                place = element % columns * rows + element / columns;
            double x = (double)values[i], y = (double)got->values[place];
            ok = is_near(c, x, y, element, group) || is_far(v, c, element, x, y, group);
            advance(c);
            c->noise += (x - y) * (x - y);
            c->signal += x * x;
        }
        ok = ok && !cancelled(v->what->cancel, v->err);
    }
    pages_end(&read);
    return ok;
}

/* The errors that the report tells must be those of the file, relative to the weight:
 * sums of squares of tiny weights are told as 1. */
static bool check_noise(struct verifier *v, const struct check *c,
                        const struct quant_error *told)
{
    double rounding = c->precision.relative + c->scale_precision.relative;
    if (!(told->signal > 0) || !(c->signal > 0))
        return true;
    double said = told->noise / told->signal, found = c->noise / c->signal;
    return fabs(found - said) <= 0.01 * said + rounding * rounding ||
           differs(v, c->item->value->name, "has other errors than were measured");
}

/* Whether the decoded matrix is [inputs, outputs] where the source is the other way. */
static bool is_exchanged(const struct plan_item *item)
{
    return item->form == FORM_NBITS ? item->channel_axis == 0 : item->transposed;
}

static bool check_value(struct verifier *v, const struct plan_item *item,
                        const struct scope *place, const char *name)
{
    const struct plan *plan = v->what->plan;
    const struct item_tensors *stored =
        &v->what->tensors[(item->same ? item->same : item) - plan->items];
    struct check c = {
        .item = item,
        .scales = written_bytes(v, stored->scales),
        .zeros = written_bytes(v, stored->zeros),
        .precision = precision_of(data_type_real(item->data_type)),
        .scale_precision = precision_of(item->scheme.scale_type),
        .exchanged = is_exchanged(item),
        .count = item->shape.block ? item->shape.inner : item->shape.dim,
    };
    struct array got = {0};
    const struct value *value = find(v, place, name);
    bool ok = value && c.scales &&
              decode(v, value, item->form, stored->codes_name, &got) &&
              got.count == item->elements;
    if (!ok)
        differs(v, item->value->name, "can't be decoded from the file");
    if (ok && !(c.grids = calloc(c.count + 1, sizeof *c.grids)))
        ok = error_memory(v->err);
    if (ok && item->shape.block == 0)
        load_grids(&c, 0);
    ok = ok && check_elements(v, &c, &got) &&
         (!v->what->results ||
          check_noise(v, &c, &v->what->results[item - plan->items].error));
    array_free(&got);
    free(c.grids);
    return ok;
}

/* Whether the file has the rounded values of a constant that is stored as float16. */
static bool check_narrowed(struct verifier *v, const struct plan_item *item,
                           const uint8_t *written)
{
    enum { LOOK = 1024 };
    const enum real_type type = data_type_real(item->data_type);
    struct pages read = {0};
    float values[LOOK];
    uint16_t halves[LOOK];
    bool same = written != NULL;
    for (size_t at = 0, n; same && at < item->elements; at += n) {
        const uint8_t *data = item->source->data + at * real_size(type);
        n = item->elements - at < LOOK ? (size_t)(item->elements - at) : LOOK;
        pages_read(&read, item->source->file, data, n * real_size(type));
        real_load(type, data, n, values);
        real_store(REAL_FLOAT16, values, n, halves);
        same = memcmp(halves, written + at * sizeof *halves, n * sizeof *halves) == 0;
    }
    pages_end(&read);
    return same || differs(v, item->value->name, "has other float16 values in the file");
}

static bool check_item(struct verifier *v, const struct plan_item *item)
{
    const struct item_tensors *tensors = &v->what->tensors[item - v->what->plan->items];
    if (item->as_float16 && tensors->codes)
        return check_narrowed(v, item, written_bytes(v, tensors->codes));
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
