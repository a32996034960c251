/* New names for the same thing, and defaults that are written out. */
#include "upgrade/families.h"

bool upgrade_scatter_11(struct rewrite *r, Onnx__NodeProto *node)
{
    char *name = arena_string(r->model->arena, "ScatterElements");
    if (name)
        node->op_type = name;
    return name != NULL;
}

bool upgrade_roi_align_16(struct rewrite *r, Onnx__NodeProto *node)
{
    return node_set_string(r->model, node, "coordinate_transformation_mode",
                           "output_half_pixel");
}

bool upgrade_grid_sample_20(struct rewrite *r, Onnx__NodeProto *node)
{
    static const char *const names[][2] = {{"bilinear", "linear"}, {"bicubic", "cubic"}};
    if (is_reference(node_attribute(node, "mode")))
        return refuse(
            r, node,
            "attribute mode has other values now, and callers of the function set it");
    for (size_t i = 0; i < 2; i++)
        if (node_string_is(node, "mode", names[i][0], ""))
            return node_set_string(r->model, node, "mode", names[i][1]);
    return true;
}

/* The default did not change. It is written out because onnx's checker can't expand the
 * node otherwise. */
bool upgrade_mean_variance_13(struct rewrite *r, Onnx__NodeProto *node)
{
    static const int64_t axes[] = {0, 2, 3};
    return node_attribute(node, "axes") || node_set_ints(r->model, node, "axes", axes, 3);
}
