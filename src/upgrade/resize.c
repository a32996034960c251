/* Upsample and Resize: where pixels lie, and which one is the nearest. Results are
 * those that all runtimes gave for the old operators; the old specification leaves
 * more open. */
#include "upgrade/families.h"

#include <string.h>

bool upgrade_upsample_9(struct rewrite *r, Onnx__NodeProto *node)
{
    const char *value;
    return attribute_to_value(r, node, "scales", ATTRIBUTE_FLOATS, &value) &&
           (!*value || node_set_input(r->model, node, 1, value));
}

/* ---- into the form of opset 11 -------------------------------------- */

/* From (X, scales) to (X, no roi, scales), with pixels as before opset 11. */
static bool to_asymmetric(struct rewrite *r, Onnx__NodeProto *node, const char *scales,
                          const char *nearest_mode)
{
    return node_set_input(r->model, node, 1, "") &&
           node_set_input(r->model, node, 2, scales) &&
           node_set_string(r->model, node, "coordinate_transformation_mode",
                           "asymmetric") &&
           node_set_string(r->model, node, "nearest_mode", nearest_mode);
}

/* Upsample only enlarges, and takes the pixel before as the nearest. Resize of opset 10
 * can't express this, so the node goes straight to opset 11. */
bool upgrade_upsample_10(struct rewrite *r, Onnx__NodeProto *node)
{
    char *name = arena_string(r->model->arena, "Resize");
    if (!name)
        return false;
    node->op_type = name;
    r->version = 11;
    return to_asymmetric(r, node, node_input(node, 1), "floor");
}

enum growth { GROWS, SHRINKS, MIXED };

/* Whether constant scales enlarge or shrink. Scales of 1 count as both. MIXED if
 * unknown. */
static bool growth_of(struct rewrite *r, const char *scales, enum growth *growth)
{
    const Onnx__TensorProto *tensor = type_of(&r->scope->types, scales).constant;
    *growth = MIXED;
    if (!tensor || tensor->data_type != DATA_FLOAT)
        return true;
    const struct payload *payload =
        tensor_values(r->model, tensor, r->scope->upgrade->err);
    if (!payload)
        return false;
    bool grows = false, shrinks = false;
    for (uint64_t at = 0; at < payload->size; at += sizeof(float)) {
        float scale;
        memcpy(&scale, payload->data + at, sizeof scale);
        grows = grows || scale > 1;
        shrinks = shrinks || !(scale >= 1);
    }
    *growth = !shrinks ? GROWS : grows ? MIXED : SHRINKS;
    return true;
}

/* The scales, with those below 1 (Max) or above 1 (Min) replaced by 1. */
static const char *cut_scales(struct rewrite *r, const Onnx__NodeProto *node,
                              const char *op_type, const char *scales)
{
    const float one = 1;
    const char *const inputs[] = {scales, constant_floats(r, node, "one", &one, 1)};
    const Onnx__NodeProto *cut =
        inputs[1] ? node_before(r, node, op_type, inputs, 2) : NULL;
    return cut ? node_output(cut, 0) : NULL;
}

/* Uses two nodes: the first enlarges, the second shrinks. */
static bool resize_twice(struct rewrite *r, Onnx__NodeProto *node)
{
    const char *scales = node_input(node, 1);
    const char *up = cut_scales(r, node, "Max", scales);
    const char *down = cut_scales(r, node, "Min", scales);
    const char *const inputs[] = {node_input(node, 0)};
    Onnx__NodeProto *first = node_before(r, node, "Resize", inputs, 1);
    return up && down && first && node_set_string(r->model, first, "mode", "nearest") &&
           to_asymmetric(r, first, up, "floor") &&
           node_set_input(r->model, node, 0, node_output(first, 0)) &&
           to_asymmetric(r, node, down, "ceil");
}

/* Opset 10 took the pixel before in dimensions that grow, and the pixel behind in those
 * that shrink. */
bool upgrade_resize_11(struct rewrite *r, Onnx__NodeProto *node)
{
    enum growth growth = GROWS;
    if (is_reference(node_attribute(node, "mode")))
        return refuse(r, node,
                      "the new form depends on mode, which callers of the function set");
    bool nearest = node_string_is(node, "mode", "nearest", "nearest");
    if (nearest && !growth_of(r, node_input(node, 1), &growth))
        return false;
    if (growth == MIXED)
        return resize_twice(r, node);
    return to_asymmetric(r, node, node_input(node, 1),
                         growth == GROWS ? "floor" : "ceil");
}

/* ---- from 11 to 13 -------------------------------------------------- */

/* tf_half_pixel_for_nn looks half a pixel further than half_pixel. For some modes the
 * other rounding makes up for this. */
static bool replace_tf_half_pixel(struct rewrite *r, Onnx__NodeProto *node)
{
    static const char *const rounding[][2] = {{"floor", "round_prefer_ceil"},
                                              {"round_prefer_floor", "ceil"}};
    static const char mode[] = "nearest_mode";
    bool nearest = !is_reference(node_attribute(node, "mode")) &&
                   node_string_is(node, "mode", "nearest", "nearest");
    bool literal = !is_reference(node_attribute(node, mode));
    for (size_t i = 0; nearest && literal && i < 2; i++)
        if (node_string_is(node, mode, rounding[i][0], "round_prefer_floor"))
            return node_set_string(r->model, node, mode, rounding[i][1]) &&
                   node_set_string(r->model, node, "coordinate_transformation_mode",
                                   "half_pixel");
    return refuse(r, node,
                  "tf_half_pixel_for_nn was removed, and nothing equals it for this mode "
                  "and rounding");
}

static bool is_empty(struct rewrite *r, const char *name)
{
    const Onnx__TensorProto *tensor = type_of(&r->scope->types, name).constant;
    return tensor && tensor->n_dims == 1 && tensor->dims[0] == 0;
}

/* An empty tensor used to mean "not given". Now only one of scales and sizes may be
 * present. */
static bool keep_scales_or_sizes(struct rewrite *r, Onnx__NodeProto *node)
{
    if (!*node_input(node, 3))
        return true;
    bool sizes = !is_empty(r, node_input(node, 3));
    return node_set_input(r->model, node, sizes ? 2 : 3, "");
}

bool upgrade_resize_13(struct rewrite *r, Onnx__NodeProto *node)
{
    static const char transformation[] = "coordinate_transformation_mode";
    if (is_reference(node_attribute(node, transformation)))
        return refuse(
            r, node,
            "tf_half_pixel_for_nn was removed, and callers of the function may set it");
    if (!keep_scales_or_sizes(r, node))
        return false;
    return !node_string_is(node, transformation, "tf_half_pixel_for_nn", "") ||
           replace_tf_half_pixel(r, node);
}
