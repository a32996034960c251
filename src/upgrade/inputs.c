/* Attributes that became inputs: int64 lists and scalars. If the attribute is absent or
 * an empty list, the input is left out. */
#include "upgrade/families.h"

/* Moves a list of integers from an attribute to input `index`. */
static bool list_to_input(struct rewrite *r, Onnx__NodeProto *node, const char *attribute,
                          size_t index)
{
    const char *value;
    return attribute_to_value(r, node, attribute, ATTRIBUTE_INTS, &value) &&
           (!*value || node_set_input(r->model, node, index, value));
}

bool upgrade_squeeze_13(struct rewrite *r, Onnx__NodeProto *node)
{
    return list_to_input(r, node, "axes", 1);
}

/* All ten reductions. Absent axes mean all axes, before and after. */
bool upgrade_reduce(struct rewrite *r, Onnx__NodeProto *node)
{
    return list_to_input(r, node, "axes", 1);
}

bool upgrade_split_13(struct rewrite *r, Onnx__NodeProto *node)
{
    return list_to_input(r, node, "split", 1);
}

/* From opset 18 on, exactly one of the sizes and the number of parts must be given. */
bool upgrade_split_18(struct rewrite *r, Onnx__NodeProto *node)
{
    return *node_input(node, 1) ||
           node_set_int(r->model, node, "num_outputs", (int64_t)node->n_output);
}

/* This list may be empty, but it must be present. */
bool upgrade_unsqueeze_13(struct rewrite *r, Onnx__NodeProto *node)
{
    const char *value;
    if (!attribute_to_value(r, node, "axes", ATTRIBUTE_INTS, &value))
        return false;
    if (!*value)
        value = constant_ints(r, node, "axes", NULL, 0);
    return value && node_set_input(r->model, node, 1, value);
}

/* Writes absent axes out. They used to follow from the length of the other lists. The new
 * operator takes all axes of the data instead. */
static bool slice_axes(struct rewrite *r, Onnx__NodeProto *node)
{
    const Onnx__AttributeProto *starts = node_attribute(node, "starts");
    size_t count = starts && !is_reference(starts) ? starts->n_ints : 0;
    if (node_attribute(node, "axes") || count == 0)
        return list_to_input(r, node, "axes", 3);
    int64_t *axes = arena_array(r->model->arena, count, sizeof *axes);
    for (size_t i = 0; axes && i < count; i++)
        axes[i] = (int64_t)i;
    const char *value = axes ? constant_ints(r, node, "axes", axes, count) : NULL;
    return value && node_set_input(r->model, node, 3, value);
}

bool upgrade_slice_10(struct rewrite *r, Onnx__NodeProto *node)
{
    static const char *const required[] = {"starts", "ends"};
    if (!slice_axes(r, node))
        return false;
    for (size_t i = 0; i < 2; i++) {
        const char *value;
        if (!attribute_to_value(r, node, required[i], ATTRIBUTE_INTS, &value))
            return false;
        if (!*value)
            value = constant_ints(r, node, required[i], NULL, 0);
        if (!value || !node_set_input(r->model, node, i + 1, value))
            return false;
    }
    return true;
}

bool upgrade_topk_10(struct rewrite *r, Onnx__NodeProto *node)
{
    const char *value;
    return attribute_to_value(r, node, "k", ATTRIBUTE_ONE_INT, &value) &&
           (!*value || node_set_input(r->model, node, 1, value));
}

/* The axis is always written out, because its default changed from 1 to -2. */
bool upgrade_dft_20(struct rewrite *r, Onnx__NodeProto *node)
{
    const char *value;
    if (!attribute_to_value(r, node, "axis", ATTRIBUTE_INT, &value))
        return false;
    if (!*value)
        value = constant_int(r, node, "axis", 1);
    return value && node_set_input(r->model, node, 2, value);
}
