/* Types that operators no longer support. Inputs are cast to another type and the result
 * is cast back. Unknown types are taken to need no cast, because models nearly always
 * have floats here. If that is wrong, the upgraded model does not load. */
#include "upgrade/families.h"

static bool cast_input(struct rewrite *r, Onnx__NodeProto *node, size_t index, int type)
{
    const char *const input[] = {node_input(node, index)};
    Onnx__NodeProto *cast = node_before(r, node, "Cast", input, 1);
    return cast && node_set_int(r->model, cast, "to", type) &&
           node_set_input(r->model, node, index, node_output(cast, 0));
}

static bool cast_output(struct rewrite *r, Onnx__NodeProto *node, int type)
{
    const char *output = node_detach(r, node);
    const char *const back[] = {node_output(node, 0)};
    Onnx__NodeProto *cast = output ? node_after(r, "Cast", back, 1, output) : NULL;
    return cast && node_set_int(r->model, cast, "to", type);
}

/* ---- integers --------------------------------------------------------
 * The cast back drops the fraction, as the operator did. */

static bool cast_integers(struct rewrite *r, Onnx__NodeProto *node, int inner)
{
    int element = type_of(&r->scope->types, node_input(node, 0)).element;
    if (element == DATA_UNDEFINED || data_type_is_float(element))
        return true;
    return cast_input(r, node, 0, inner) && cast_output(r, node, element);
}

bool upgrade_erf_13(struct rewrite *r, Onnx__NodeProto *node)
{
    return cast_integers(r, node, DATA_FLOAT);
}

bool upgrade_reduce_log_28(struct rewrite *r, Onnx__NodeProto *node)
{
    return cast_integers(r, node, DATA_DOUBLE);
}

/* ---- floats of two types --------------------------------------------- */

static int wider(int one, int other)
{
    unsigned bits = data_type_bits(one), other_bits = data_type_bits(other);
    return bits > other_bits ? one : bits < other_bits ? other : DATA_FLOAT;
}

/* In ONNX Runtime's own LayerNormalization the data may have another float type than
 * scale and bias, whose type the output has. It computed in the wider one. */
bool upgrade_layer_normalization_17(struct rewrite *r, Onnx__NodeProto *node)
{
    const struct types *types = &r->scope->types;
    int data = type_of(types, node_input(node, 0)).element;
    int scale = type_of(types, node_input(node, 1)).element;
    if (!data_type_is_float(data) || !data_type_is_float(scale) || data == scale)
        return true;
    int wide = wider(data, scale);
    for (size_t i = 0; i < node->n_input; i++)
        if ((i == 0 ? data : scale) != wide && *node_input(node, i) &&
            !cast_input(r, node, i, wide))
            return false;
    return scale == wide || cast_output(r, node, scale);
}
