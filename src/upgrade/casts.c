/* Integer types that operators no longer support. The input is cast to a float type and
 * the result is cast back, which drops the fraction as before. Unknown types are taken to
 * be floats, because models nearly always have floats here. If the type is an integer
 * after all, the upgraded model does not load. */
#include "upgrade/families.h"

/* Casts the input to `inner`, and the output back to `outer`. */
static bool cast_around(struct rewrite *r, Onnx__NodeProto *node, int inner, int outer)
{
    const char *const input[] = {node_input(node, 0)};
    Onnx__NodeProto *to = node_before(r, node, "Cast", input, 1);
    const char *output = node_detach(r, node);
    if (!to || !output || !node_set_int(r->model, to, "to", inner) ||
        !node_set_input(r->model, node, 0, node_output(to, 0)))
        return false;
    const char *const back[] = {node_output(node, 0)};
    Onnx__NodeProto *from = node_after(r, "Cast", back, 1, output);
    return from && node_set_int(r->model, from, "to", outer);
}

static bool cast_integers(struct rewrite *r, Onnx__NodeProto *node, int inner)
{
    int element = type_of(&r->scope->types, node_input(node, 0)).element;
    if (element == DATA_UNDEFINED || data_type_is_float(element))
        return true;
    return cast_around(r, node, inner, element);
}

bool upgrade_erf_13(struct rewrite *r, Onnx__NodeProto *node)
{
    return cast_integers(r, node, DATA_FLOAT);
}

bool upgrade_reduce_log_28(struct rewrite *r, Onnx__NodeProto *node)
{
    return cast_integers(r, node, DATA_DOUBLE);
}
