/* Nodes, attributes and lists of them. */
#include "onnx/node.h"

#include <string.h>

bool domain_is_standard(const char *domain)
{
    return !domain || !*domain || strcmp(domain, "ai.onnx") == 0;
}

bool domain_same(const char *a, const char *b)
{
    return domain_is_standard(a) ? domain_is_standard(b) : strcmp(a, or_empty(b)) == 0;
}

bool node_is(const Onnx__NodeProto *node, const char *op_type)
{
    return name_is(or_empty(node->op_type), op_type) && domain_is_standard(node->domain);
}

bool node_is_one_of(const Onnx__NodeProto *node, const char *const *op_types)
{
    for (; *op_types; op_types++)
        if (node_is(node, *op_types))
            return true;
    return false;
}

bool node_is_in(const Onnx__NodeProto *node, const char *domain, const char *op_type)
{
    return name_is(or_empty(node->op_type), op_type) && domain_same(domain, node->domain);
}

const char *node_input(const Onnx__NodeProto *node, size_t index)
{
    return index < node->n_input ? or_empty(node->input[index]) : "";
}

const char *node_output(const Onnx__NodeProto *node, size_t index)
{
    return index < node->n_output ? or_empty(node->output[index]) : "";
}

const char *node_label(struct model *model, const Onnx__NodeProto *node)
{
    if (*or_empty(node->name))
        return node->name;
    const char *label =
        arena_printf(model->arena, "(unnamed, makes '%s')", node_output(node, 0));
    return label ? label : "(unnamed)";
}

/* ---- attributes ----------------------------------------------------- */

Onnx__AttributeProto *node_attribute(const Onnx__NodeProto *node, const char *name)
{
    for (size_t i = 0; i < node->n_attribute; i++)
        if (name_is(or_empty(node->attribute[i]->name), name))
            return node->attribute[i];
    return NULL;
}

int64_t node_int(const Onnx__NodeProto *node, const char *name, int64_t absent)
{
    const Onnx__AttributeProto *attribute = node_attribute(node, name);
    return attribute ? attribute->i : absent;
}

float node_float(const Onnx__NodeProto *node, const char *name, float absent)
{
    const Onnx__AttributeProto *attribute = node_attribute(node, name);
    return attribute ? attribute->f : absent;
}

bool node_string_is(const Onnx__NodeProto *node, const char *name, const char *value,
                    const char *absent)
{
    const Onnx__AttributeProto *attribute = node_attribute(node, name);
    if (!attribute)
        return strcmp(value, absent) == 0;
    return attribute->s.len == strlen(value) &&
           memcmp(attribute->s.data, value, attribute->s.len) == 0;
}

/* Empties the attribute of that name, or adds one at the end. */
static Onnx__AttributeProto *attribute_fresh(struct model *model, Onnx__NodeProto *node,
                                             const char *name)
{
    Onnx__AttributeProto *attribute = node_attribute(node, name);
    if (!attribute) {
        attribute = arena_alloc(model->arena, sizeof *attribute);
        void *added = attribute;
        if (!attribute || !list_insert(model, &node->attribute, &node->n_attribute,
                                       node->n_attribute, &added, 1))
            return NULL;
    }
    onnx__attribute_proto__init(attribute);
    attribute->name = arena_string(model->arena, name);
    attribute->has_type = true;
    return attribute->name ? attribute : NULL;
}

bool node_set_int(struct model *model, Onnx__NodeProto *node, const char *name,
                  int64_t value)
{
    Onnx__AttributeProto *attribute = attribute_fresh(model, node, name);
    if (!attribute)
        return false;
    attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    attribute->has_i = true;
    attribute->i = value;
    return true;
}

bool node_set_ints(struct model *model, Onnx__NodeProto *node, const char *name,
                   const int64_t *values, size_t count)
{
    Onnx__AttributeProto *attribute = attribute_fresh(model, node, name);
    int64_t *copy = arena_array(model->arena, count, sizeof *copy);
    if (!attribute || !copy)
        return false;
    if (count > 0)
        memcpy(copy, values, count * sizeof *copy);
    attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
    attribute->ints = copy;
    attribute->n_ints = count;
    return true;
}

bool node_set_string(struct model *model, Onnx__NodeProto *node, const char *name,
                     const char *value)
{
    Onnx__AttributeProto *attribute = attribute_fresh(model, node, name);
    char *copy = arena_string(model->arena, value);
    if (!attribute || !copy)
        return false;
    attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
    attribute->has_s = true;
    attribute->s.data = (uint8_t *)copy;
    attribute->s.len = strlen(copy);
    return true;
}

bool node_set_tensor(struct model *model, Onnx__NodeProto *node, const char *name,
                     Onnx__TensorProto *value)
{
    Onnx__AttributeProto *attribute = attribute_fresh(model, node, name);
    if (!attribute)
        return false;
    attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
    attribute->t = value;
    return true;
}

static bool has_other_name(void *name, const void *item)
{
    const Onnx__AttributeProto *attribute = item;
    return strcmp(or_empty(attribute->name), name) != 0;
}

bool node_remove(Onnx__NodeProto *node, const char *name)
{
    size_t before = node->n_attribute;
    list_filter(&node->attribute, &node->n_attribute, has_other_name,
                (void *)(uintptr_t)name);
    return node->n_attribute < before;
}

Onnx__AttributeProto *node_take(Onnx__NodeProto *node, const char *name)
{
    Onnx__AttributeProto *attribute = node_attribute(node, name);
    node_remove(node, name);
    return attribute;
}

/* ---- nodes ---------------------------------------------------------- */

static char **names_copy(struct model *model, const char *const *names, size_t count)
{
    char **copy = arena_array(model->arena, count, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++)
        copy[i] = (char *)(uintptr_t)names[i];
    return copy;
}

Onnx__NodeProto *node_new(struct model *model, const char *op_type, const char *name,
                          const char *const *inputs, size_t input_count,
                          const char *const *outputs, size_t output_count)
{
    Onnx__NodeProto *node = arena_alloc(model->arena, sizeof *node);
    if (!node)
        return NULL;
    onnx__node_proto__init(node);
    node->op_type = (char *)(uintptr_t)op_type;
    node->name = (char *)(uintptr_t)name;
    node->input = names_copy(model, inputs, input_count);
    node->n_input = input_count;
    node->output = names_copy(model, outputs, output_count);
    node->n_output = output_count;
    return node->input && node->output ? node : NULL;
}

bool node_set_input(struct model *model, Onnx__NodeProto *node, size_t index,
                    const char *name)
{
    static char empty[] = "";
    while (node->n_input <= index) {
        void *added = empty;
        if (!list_insert(model, &node->input, &node->n_input, node->n_input, &added, 1))
            return false;
    }
    node->input[index] = (char *)(uintptr_t)name;
    return true;
}

/* ---- lists ---------------------------------------------------------- */

bool list_insert(struct model *model, void *items, size_t *n, size_t at,
                 void *const *added, size_t count)
{
    void **old;
    memcpy(&old, items, sizeof old);
    void **list = arena_array(model->arena, *n + count, sizeof *list);
    if (!list)
        return false;
    if (at > 0)
        memcpy(list, old, at * sizeof *list);
    if (count > 0)
        memcpy(list + at, added, count * sizeof *list);
    if (*n > at)
        memcpy(list + at + count, old + at, (*n - at) * sizeof *list);
    memcpy(items, &list, sizeof list);
    *n += count;
    return true;
}

void list_filter(void *items, size_t *n, bool (*keep)(void *, const void *),
                 void *context)
{
    void **list;
    size_t kept = 0;
    memcpy(&list, items, sizeof list);
    for (size_t i = 0; i < *n; i++)
        if (keep(context, list[i]))
            list[kept++] = list[i];
    *n = kept;
}
