/* Normalizations and Dropout: the meaning of their attributes and further outputs. Nodes
 * in training mode stay in it. */
#include "onnx/names.h"
#include "upgrade/families.h"

/* ---- BatchNormalization --------------------------------------------- */

/* With spatial = 0 each feature has its own statistics. This equals channels of a
 * flattened input. */
static bool flatten_features(struct rewrite *r, Onnx__NodeProto *node)
{
    const char *const input[] = {node_input(node, 0)};
    const Onnx__NodeProto *shape = node_before(r, node, "Shape", input, 1);
    const Onnx__NodeProto *flat = node_before(r, node, "Flatten", input, 1);
    const char *output = node_detach(r, node);
    const int64_t all = -1;
    const char *list = constant_ints(r, node, "shape", &all, 1);
    if (!shape || !flat || !output || !list ||
        !node_set_input(r->model, node, 0, node_output(flat, 0)))
        return false;
    for (size_t i = 1; i < 5; i++) {
        const char *const statistic[] = {node_input(node, i), list};
        const Onnx__NodeProto *vector = node_before(r, node, "Reshape", statistic, 2);
        if (!vector || !node_set_input(r->model, node, i, node_output(vector, 0)))
            return false;
    }
    const char *const back[] = {node_output(node, 0), node_output(shape, 0)};
    Onnx__NodeProto *reshape = node_after(r, "Reshape", back, 2, output);
    return reshape && node_set_int(r->model, reshape, "allowzero", 1);
}

bool upgrade_batch_normalization_9(struct rewrite *r, Onnx__NodeProto *node)
{
    if (is_reference(node_attribute(node, "spatial")))
        return refuse(
            r, node, "attribute spatial was removed, and callers of the function set it");
    bool spatial = node_int(node, "spatial", 1) != 0;
    node_remove(node, "spatial");
    if (spatial)
        return true;
    if (node->n_output > 1)
        return refuse(r, node, "spatial = 0 can't be combined with outputs of training");
    return flatten_features(r, node);
}

/* Sets *used: whether any output from number `first` on is present and used. */
static bool uses_outputs(struct rewrite *r, const Onnx__NodeProto *node, size_t first,
                         bool *used)
{
    *used = false;
    for (size_t i = first; i < node->n_output && !*used; i++)
        if (*node_output(node, i) &&
            !survey_is_used(&r->scope->upgrade->survey, node_output(node, i), used))
            return false;
    return true;
}

static bool has_outputs(const Onnx__NodeProto *node, size_t first)
{
    for (size_t i = first; i < node->n_output; i++)
        if (*node_output(node, i))
            return true;
    return false;
}

/* Further outputs, even unused ones, meant training with the statistics of the batch. */
bool upgrade_batch_normalization_14(struct rewrite *r, Onnx__NodeProto *node)
{
    bool used;
    if (!has_outputs(node, 1))
        return node_cut_outputs(r, node, 1);
    if (!uses_outputs(r, node, 3, &used))
        return false;
    if (used)
        return refuse(r, node,
                      "outputs saved_mean and saved_var were removed, and they are used");
    while (node->n_output < 3) {
        static char none[] = "";
        void *added = none;
        if (!list_insert(r->model, &node->output, &node->n_output, node->n_output, &added,
                         1))
            return false;
    }
    for (size_t i = 1; i < 3; i++) {
        if (*node_output(node, i))
            continue;
        const char *name = name_fresh(r->model, node_output(node, 0), "running");
        if (!name)
            return false;
        node->output[i] = (char *)(uintptr_t)name;
    }
    return node_cut_outputs(r, node, 3) &&
           node_set_int(r->model, node, "training_mode", 1);
}

/* ---- GroupNormalization --------------------------------------------- */

/* Repeats each group's entry for each of its channels: Reshape(Expand(Unsqueeze(entries,
 * 1), [groups, channels / groups]), -1). */
static const char *repeat_entries(struct rewrite *r, const Onnx__NodeProto *node,
                                  const char *entries, const char *shape,
                                  const char *list)
{
    const int64_t one = 1;
    const char *const column[] = {entries, constant_ints(r, node, "axes", &one, 1)};
    const Onnx__NodeProto *unsqueeze =
        column[1] ? node_before(r, node, "Unsqueeze", column, 2) : NULL;
    const char *const expanded[] = {unsqueeze ? node_output(unsqueeze, 0) : "", shape};
    const Onnx__NodeProto *expand =
        unsqueeze ? node_before(r, node, "Expand", expanded, 2) : NULL;
    const char *const flat[] = {expand ? node_output(expand, 0) : "", list};
    const Onnx__NodeProto *reshape =
        expand ? node_before(r, node, "Reshape", flat, 2) : NULL;
    return reshape ? node_output(reshape, 0) : NULL;
}

/* Computes [groups, channels / groups] from the shapes of the data and of the scale. */
static const char *shape_of_groups(struct rewrite *r, const Onnx__NodeProto *node)
{
    const char *const data[] = {node_input(node, 0)}, *const scale[] = {
                                                          node_input(node, 1)};
    Onnx__NodeProto *channels = node_before(r, node, "Shape", data, 1);
    Onnx__NodeProto *groups = node_before(r, node, "Shape", scale, 1);
    if (!channels || !groups || !node_set_int(r->model, channels, "start", 1) ||
        !node_set_int(r->model, channels, "end", 2))
        return NULL;
    const char *const sizes[] = {node_output(channels, 0), node_output(groups, 0)};
    const Onnx__NodeProto *size = node_before(r, node, "Div", sizes, 2);
    const char *const parts[] = {sizes[1], size ? node_output(size, 0) : ""};
    Onnx__NodeProto *shape = size ? node_before(r, node, "Concat", parts, 2) : NULL;
    return shape && node_set_int(r->model, shape, "axis", 0) ? node_output(shape, 0)
                                                             : NULL;
}

bool upgrade_group_normalization_21(struct rewrite *r, Onnx__NodeProto *node)
{
    const int64_t all = -1;
    const char *list = constant_ints(r, node, "shape", &all, 1);
    const char *shape = shape_of_groups(r, node);
    for (size_t i = 1; list && shape && i < 3; i++) {
        const char *repeated = repeat_entries(r, node, node_input(node, i), shape, list);
        if (!repeated || !node_set_input(r->model, node, i, repeated))
            return false;
    }
    /* From opset 21 on, the first stage is computed in float by default. */
    bool is_double =
        type_of(&r->scope->types, node_input(node, 0)).element == DATA_DOUBLE;
    return list && shape &&
           (!is_double || node_set_int(r->model, node, "stash_type", DATA_DOUBLE));
}

/* ---- Dropout -------------------------------------------------------- */

/* Without training, Dropout passes its data unchanged, and the contents of the mask were
 * unspecified. */
static bool drop_mask(struct rewrite *r, Onnx__NodeProto *node, const char *reason)
{
    bool used;
    if (!uses_outputs(r, node, 1, &used))
        return false;
    return used ? refuse(r, node, reason) : node_cut_outputs(r, node, 1);
}

bool upgrade_dropout_10(struct rewrite *r, Onnx__NodeProto *node)
{
    return drop_mask(r, node, "the type of the mask changed, and the mask is used");
}

bool upgrade_dropout_12(struct rewrite *r, Onnx__NodeProto *node)
{
    node_remove(node, "ratio");
    return drop_mask(r, node, "the contents of the mask changed, and the mask is used");
}
