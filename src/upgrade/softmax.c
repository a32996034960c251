/* Softmax, LogSoftmax and Hardmax. Up to opset 12 they flatten the input to a matrix, cut
 * at `axis`. From 13 on they work along one axis. Both are the same for the last axis
 * only. */
#include "upgrade/families.h"

/* Whether only the last axis lies behind the cut. */
static bool cuts_last(struct rewrite *r, const Onnx__NodeProto *node)
{
    const Onnx__AttributeProto *axis = node_attribute(node, "axis");
    int64_t cut = node_int(node, "axis", 1);
    int rank = type_of(&r->scope->types, node_input(node, 0)).rank;
    return !is_reference(axis) && (cut == -1 || (rank > 0 && cut == rank - 1));
}

/* Without knowing the shape of the input, this is always right: Reshape(Op(Flatten(x,
 * axis), -1), Shape(x)). */
bool upgrade_softmax_13(struct rewrite *r, Onnx__NodeProto *node)
{
    if (cuts_last(r, node))
        return node_set_int(r->model, node, "axis", -1);
    const char *const input[] = {node_input(node, 0)};
    const Onnx__NodeProto *shape = node_before(r, node, "Shape", input, 1);
    Onnx__NodeProto *flat = node_before(r, node, "Flatten", input, 1);
    const char *output = node_detach(r, node);
    if (!shape || !flat || !output)
        return false;
    /* The attribute moves unchanged, even if it is a reference. Both operators default to
     * 1. */
    void *axis = node_take(node, "axis");
    if (axis && !list_insert(r->model, &flat->attribute, &flat->n_attribute, 0, &axis, 1))
        return false;
    const char *const back[] = {node_output(node, 0), node_output(shape, 0)};
    Onnx__NodeProto *reshape = node_after(r, "Reshape", back, 2, output);
    return reshape && node_set_int(r->model, reshape, "allowzero", 1) &&
           node_set_input(r->model, node, 0, node_output(flat, 0)) &&
           node_set_int(r->model, node, "axis", -1);
}
