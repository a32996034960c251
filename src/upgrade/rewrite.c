/* What the rewrites share: refusals, new nodes and constants. It makes Constant, CastLike
 * and Reshape nodes, and knows no other operator. */
#include "upgrade/rewrite.h"
#include "onnx/names.h"

#include <stdio.h>
#include <string.h>

bool list_reserve(struct model *model, struct list *list, size_t capacity)
{
    void **items = arena_array(model->arena, capacity, sizeof *items);
    if (!items)
        return false;
    if (list->count > 0)
        memcpy(items, list->items, list->count * sizeof *items);
    list->items = items;
    list->capacity = capacity;
    return true;
}

bool list_append(struct model *model, struct list *list, void *item)
{
    size_t capacity = list->capacity ? list->capacity * 2 : 4;
    if (list->count == list->capacity && !list_reserve(model, list, capacity))
        return false;
    list->items[list->count++] = item;
    return true;
}

/* ---- refusing ------------------------------------------------------- */

void refuse_node(const struct upgrade_scope *scope, const Onnx__NodeProto *node,
                 const char *reason)
{
    struct refusals *refusals = &scope->upgrade->refusals;
    char line[512];
    bool inside = scope->function != NULL;
    snprintf(line, sizeof line, "\n  %.200s (%.60s)%s%.100s: %.120s",
             node_label(scope->upgrade->model, node), or_empty(node->op_type),
             inside ? " in function " : "", inside ? or_empty(scope->function->name) : "",
             reason);
    size_t length = strlen(line);
    refusals->count++;
    if (refusals->listed + 1 < refusals->count ||
        length >= sizeof refusals->lines - refusals->length)
        return;
    memcpy(refusals->lines + refusals->length, line, length + 1);
    refusals->length += length;
    refusals->listed++;
}

bool refuse(struct rewrite *r, const Onnx__NodeProto *node, const char *reason)
{
    if (!r->is_refused)
        refuse_node(r->scope, node, reason);
    r->is_refused = true;
    return true;
}

bool is_reference(const Onnx__AttributeProto *attribute)
{
    return attribute && *or_empty(attribute->ref_attr_name);
}

/* ---- new nodes ------------------------------------------------------ */

/* Finds a base for fresh names: the first output, or the operator. */
static const char *base_of(const Onnx__NodeProto *node)
{
    for (size_t i = 0; i < node->n_output; i++)
        if (*or_empty(node->output[i]))
            return node->output[i];
    return or_empty(node->op_type);
}

static Onnx__NodeProto *make(struct rewrite *r, const char *op_type, const char *name,
                             const char *const *inputs, size_t count, const char *output)
{
    return name ? node_new(r->model, op_type, name, inputs, count, &output, 1) : NULL;
}

Onnx__NodeProto *node_before(struct rewrite *r, const Onnx__NodeProto *node,
                             const char *op_type, const char *const *inputs, size_t count)
{
    const char *output = name_fresh(r->model, base_of(node), op_type);
    Onnx__NodeProto *made = make(r, op_type, output, inputs, count, output);
    return made && list_append(r->model, &r->before, made) ? made : NULL;
}

Onnx__NodeProto *node_after(struct rewrite *r, const char *op_type,
                            const char *const *inputs, size_t count, const char *output)
{
    const char *name = name_fresh(r->model, output, op_type);
    Onnx__NodeProto *made = make(r, op_type, name, inputs, count, output);
    return made && list_append(r->model, &r->after, made) ? made : NULL;
}

bool node_cut_outputs(struct rewrite *r, Onnx__NodeProto *node, size_t count)
{
    for (size_t i = count; i < node->n_output; i++)
        if (*or_empty(node->output[i]) &&
            !map_put(&r->scope->upgrade->dropped, node->output[i], node))
            return false;
    if (node->n_output > count)
        node->n_output = count;
    return true;
}

const char *node_detach(struct rewrite *r, Onnx__NodeProto *node)
{
    if (node->n_output == 0) {
        refuse(r, node, "it has no outputs");
        return NULL;
    }
    const char *old = or_empty(node->output[0]);
    const char *fresh = name_fresh(r->model, old, "raw");
    if (!fresh)
        return NULL;
    node->output[0] = (char *)(uintptr_t)fresh;
    return old;
}

/* ---- constants ------------------------------------------------------ */

/* The value of a constant. `data` has the type `type`, except for scalars of float16,
 * bfloat16 and double: their data is a float. */
struct literal {
    int type;
    size_t rank; /* 0 or 1 */
    int64_t count;
    const void *data;
    size_t size;
};

/* Makes a key for a small constant, so that equal ones are stored once. "" for long
 * ones. */
static void key_of(char *key, size_t size, const struct literal *literal)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *data = literal->data;
    int length = snprintf(key, size, "%d/%zu:", literal->type, literal->rank);
    size_t used = length < 0 ? 0 : (size_t)length;
    if (used + 2 * literal->size >= size) {
        *key = '\0';
        return;
    }
    for (size_t i = 0; i < literal->size; i++) {
        key[used++] = digits[data[i] >> 4];
        key[used++] = digits[data[i] & 15];
    }
    key[used] = '\0';
}

static const char *constant_known(const struct upgrade_scope *scope, const char *key)
{
    const char *name = NULL;
    for (; *key && scope && !name; scope = scope->outer)
        name = map_get(&scope->constants, key);
    return name;
}

/* Makes a Constant node. It has no inputs, so it is appended to the scope's nodes at
 * once. So it comes before the rewritten node and before all nodes that are made for
 * it. */
static Onnx__NodeProto *constant_node(struct rewrite *r, const char *output)
{
    Onnx__NodeProto *made = make(r, "Constant", output, NULL, 0, output);
    return made && list_append(r->model, &r->scope->nodes, made) ? made : NULL;
}

/* Puts the tensor where it belongs: into an initializer or a Constant node. */
static bool add_constant(struct rewrite *r, Onnx__TensorProto *tensor, const char *name)
{
    struct upgrade_scope *scope = r->scope;
    if (!types_of_constant(&scope->types, scope->upgrade->arena, tensor))
        return false;
    if (scope->is_graph)
        return list_append(r->model, &scope->initializers, tensor);
    Onnx__NodeProto *node = constant_node(r, name);
    return node && node_set_tensor(r->model, node, "value", tensor);
}

static Onnx__TensorProto *literal_tensor(struct model *model, const char *name,
                                         const struct literal *literal)
{
    if (literal->rank == 0 && data_type_is_float(literal->type)) {
        float value;
        memcpy(&value, literal->data, sizeof value);
        return tensor_new_float(model, name, literal->type, value);
    }
    Onnx__TensorProto *tensor =
        tensor_new(model, name, literal->type, &literal->count, literal->rank);
    void *copy = arena_alloc(model->arena, literal->size);
    if (!tensor || !copy)
        return NULL;
    if (literal->size > 0)
        memcpy(copy, literal->data, literal->size);
    return tensor_set_values(model, tensor, copy, literal->size) ? tensor : NULL;
}

/* Returns the name of a constant with that value: an existing one, or a new one. */
static const char *constant_add(struct rewrite *r, const Onnx__NodeProto *node,
                                const char *suffix, const struct literal *literal)
{
    char key[256];
    key_of(key, sizeof key, literal);
    const char *name = constant_known(r->scope, key);
    if (name)
        return name;
    name = name_fresh(r->model, base_of(node), suffix);
    Onnx__TensorProto *tensor = name ? literal_tensor(r->model, name, literal) : NULL;
    if (!tensor || !add_constant(r, tensor, name))
        return NULL;
    const char *copy = *key ? arena_string(r->model->arena, key) : "";
    bool noted =
        copy && (!*copy || map_put(&r->scope->constants, copy, (void *)(uintptr_t)name));
    return noted ? name : NULL;
}

const char *constant_ints(struct rewrite *r, const Onnx__NodeProto *node,
                          const char *suffix, const int64_t *values, size_t count)
{
    return constant_add(
        r, node, suffix,
        &(struct literal){DATA_INT64, 1, (int64_t)count, values, count * sizeof *values});
}

const char *constant_int(struct rewrite *r, const Onnx__NodeProto *node,
                         const char *suffix, int64_t value)
{
    return constant_add(r, node, suffix,
                        &(struct literal){DATA_INT64, 0, 1, &value, sizeof value});
}

const char *constant_floats(struct rewrite *r, const Onnx__NodeProto *node,
                            const char *suffix, const float *values, size_t count)
{
    return constant_add(
        r, node, suffix,
        &(struct literal){DATA_FLOAT, 1, (int64_t)count, values, count * sizeof *values});
}

/* Casts a float value to the type of `like`, which isn't known here. */
static const char *cast_like(struct rewrite *r, const Onnx__NodeProto *node,
                             const char *value, const char *like)
{
    const char *const inputs[] = {value, like};
    const Onnx__NodeProto *cast =
        value ? node_before(r, node, "CastLike", inputs, 2) : NULL;
    return cast ? node_output(cast, 0) : NULL;
}

const char *constant_like(struct rewrite *r, const Onnx__NodeProto *node,
                          const char *suffix, float value, const char *like)
{
    int element = type_of(&r->scope->types, like).element;
    bool known = data_type_is_float(element);
    const char *name = constant_add(
        r, node, suffix,
        &(struct literal){known ? element : DATA_FLOAT, 0, 1, &value, sizeof value});
    return known ? name : cast_like(r, node, name, like);
}

/* ---- attributes that become inputs ----------------------------------- */

static const struct attribute_row {
    const char *constant; /* the attribute of Constant for such a value */
    Onnx__AttributeProto__AttributeType type;
} attribute_rows[] = {
    [ATTRIBUTE_INTS] = {"value_ints", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS},
    [ATTRIBUTE_FLOATS] = {"value_floats", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS},
    [ATTRIBUTE_INT] = {"value_int", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT},
    [ATTRIBUTE_ONE_INT] = {"value_int", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT},
};

/* Makes a Constant node that refers to an attribute of the function, which callers
 * set. */
static const char *reference_value(struct rewrite *r, const Onnx__NodeProto *node,
                                   const Onnx__AttributeProto *attribute,
                                   const char *constant,
                                   Onnx__AttributeProto__AttributeType type)
{
    const char *name = name_fresh(r->model, base_of(node), or_empty(attribute->name));
    Onnx__NodeProto *made = name ? constant_node(r, name) : NULL;
    Onnx__AttributeProto *value = arena_alloc(r->model->arena, sizeof *value);
    void *added = value;
    if (!made || !value ||
        !list_insert(r->model, &made->attribute, &made->n_attribute, 0, &added, 1))
        return NULL;
    onnx__attribute_proto__init(value);
    value->name = (char *)(uintptr_t)constant;
    value->has_type = true;
    value->type = type;
    value->ref_attr_name = attribute->ref_attr_name;
    return name;
}

/* Whether every caller gives the referenced attribute, or it has a default. Otherwise
 * refuses. */
static bool reference_is_sure(struct rewrite *r, const Onnx__NodeProto *node,
                              const Onnx__AttributeProto *attribute)
{
    const Onnx__FunctionProto *function = r->scope->function;
    if (function && survey_is_given(&r->scope->upgrade->survey, function,
                                    or_empty(attribute->ref_attr_name)))
        return true;
    const char *reason = arena_printf(
        r->model->arena,
        "attribute %.30s becomes an input, and not all callers of the function give it",
        or_empty(attribute->name));
    refuse(r, node, reason ? reason : "an attribute becomes an input");
    return false;
}

static const char *literal_value(struct rewrite *r, const Onnx__NodeProto *node,
                                 const Onnx__AttributeProto *attribute,
                                 enum attribute_kind kind)
{
    const char *suffix = or_empty(attribute->name);
    switch (kind) {
    case ATTRIBUTE_INTS:
        return attribute->n_ints == 0
                   ? ""
                   : constant_ints(r, node, suffix, attribute->ints, attribute->n_ints);
    case ATTRIBUTE_FLOATS:
        return attribute->n_floats == 0
                   ? ""
                   : constant_floats(r, node, suffix, attribute->floats,
                                     attribute->n_floats);
    case ATTRIBUTE_INT:
        return constant_int(r, node, suffix, attribute->i);
    case ATTRIBUTE_ONE_INT:
        return constant_ints(r, node, suffix, &attribute->i, 1);
    }
    return NULL;
}

static const char *referenced_value(struct rewrite *r, const Onnx__NodeProto *node,
                                    const Onnx__AttributeProto *attribute,
                                    enum attribute_kind kind)
{
    const struct attribute_row *row = &attribute_rows[kind];
    const char *value = reference_value(r, node, attribute, row->constant, row->type);
    if (!value || kind != ATTRIBUTE_ONE_INT)
        return value;
    const int64_t one = 1;
    const char *const inputs[] = {value, constant_ints(r, node, "shape", &one, 1)};
    const Onnx__NodeProto *list =
        inputs[1] ? node_before(r, node, "Reshape", inputs, 2) : NULL;
    return list ? node_output(list, 0) : NULL;
}

bool attribute_to_value(struct rewrite *r, Onnx__NodeProto *node, const char *name,
                        enum attribute_kind kind, const char **value)
{
    const Onnx__AttributeProto *attribute = node_take(node, name);
    *value = "";
    if (!attribute)
        return true;
    if (is_reference(attribute) && !reference_is_sure(r, node, attribute))
        return false;
    *value = is_reference(attribute) ? referenced_value(r, node, attribute, kind)
                                     : literal_value(r, node, attribute, kind);
    return *value != NULL;
}

bool attribute_to_scalar(struct rewrite *r, Onnx__NodeProto *node, const char *name,
                         const char *like, const char **value)
{
    const Onnx__AttributeProto *attribute = node_take(node, name);
    *value = "";
    if (!attribute)
        return true;
    if (is_reference(attribute)) {
        if (!reference_is_sure(r, node, attribute))
            return false;
        const char *given = reference_value(r, node, attribute, "value_float",
                                            ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
        *value = given ? cast_like(r, node, given, like) : NULL;
    } else {
        *value = constant_like(r, node, name, attribute->f, like);
    }
    return *value != NULL;
}
