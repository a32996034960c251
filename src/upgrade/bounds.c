/* Attributes that became inputs with the type of the data: the bounds of Clip and the
 * value of Pad. The attributes are always float. */
#include "upgrade/families.h"

#include <float.h>
#include <string.h>

/* An absent bound used to mean the largest float. Now it means the largest number of the
 * data's type. If these differ, the bound is written out. */
static bool clip_default(struct rewrite *r, Onnx__NodeProto *node, const char *name,
                         float absent, const char **value)
{
    int element = type_of(&r->scope->types, node_input(node, 0)).element;
    if (element == DATA_FLOAT || !data_type_is_float(element))
        return true;
    *value = constant_like(r, node, name, absent, node_input(node, 0));
    return *value != NULL;
}

bool upgrade_clip_11(struct rewrite *r, Onnx__NodeProto *node)
{
    static const struct bound {
        const char *name;
        float absent;
    } bounds[] = {{"min", -FLT_MAX}, {"max", FLT_MAX}};
    for (size_t i = 0; i < 2; i++) {
        const char *value;
        if (!attribute_to_scalar(r, node, bounds[i].name, node_input(node, 0), &value))
            return false;
        if (!*value && !clip_default(r, node, bounds[i].name, bounds[i].absent, &value))
            return false;
        if (*value && !node_set_input(r->model, node, i + 1, value))
            return false;
    }
    return true;
}

/* Whether the node needs no value: only mode constant pads with a value, and 0 is the
 * default. */
static bool pad_needs_no_value(const Onnx__NodeProto *node)
{
    const Onnx__AttributeProto *mode = node_attribute(node, "mode");
    const Onnx__AttributeProto *value = node_attribute(node, "value");
    static const float zero = 0;
    bool is_zero =
        !value || (!is_reference(value) && memcmp(&value->f, &zero, sizeof zero) == 0);
    return is_zero ||
           (!is_reference(mode) && !node_string_is(node, "mode", "constant", "constant"));
}

bool upgrade_pad_11(struct rewrite *r, Onnx__NodeProto *node)
{
    const char *pads, *value = "";
    if (!attribute_to_value(r, node, "pads", ATTRIBUTE_INTS, &pads))
        return false;
    if (!*pads)
        pads = constant_ints(r, node, "pads", NULL, 0);
    if (!pads || !node_set_input(r->model, node, 1, pads))
        return false;
    if (pad_needs_no_value(node)) {
        node_remove(node, "value");
        return true;
    }
    return attribute_to_scalar(r, node, "value", node_input(node, 0), &value) &&
           (!*value || node_set_input(r->model, node, 2, value));
}
