/* DequantizeLinear and QuantizeLinear. */
#include "compare/evaluate_operators.h"
#include "onnx/node.h"
#include "onnx/tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How the elements of an array see the parameters of its groups. */
struct grouping {
    uint64_t outer, length, inner, block, blocks;
    bool single; /* one scale for all */
};

static bool group(const struct array *codes, const struct array *scales, size_t axis,
                  uint64_t block, struct grouping *g)
{
    *g = (struct grouping){.outer = 1, .inner = 1, .block = block, .single = true};
    if (scales->count == 1 && (block == 0 || codes->count == 0))
        return true;
    if (axis >= codes->rank)
        return false;
    g->single = false;
    g->length = codes->dims[axis];
    for (size_t i = 0; i < axis; i++)
        g->outer *= codes->dims[i];
    for (size_t i = axis + 1; i < codes->rank; i++)
        g->inner *= codes->dims[i];
    g->blocks = block ? g->length / block + (g->length % block != 0) : 0;
    return scales->count == (block ? g->outer * g->blocks * g->inner : g->length);
}

/* Where the parameters of the run [o][d] begin, and the step from one to the next. */
static uint64_t group_at(const struct grouping *g, uint64_t o, uint64_t d, uint64_t *step)
{
    *step = g->block ? 1 : 0;
    return g->block ? (o * g->blocks + d / g->block) * g->inner : d;
}

bool dequantize(struct array *codes, const struct array *scales,
                const struct array *zeros, size_t axis, uint64_t block)
{
    struct grouping g;
    if (!group(codes, scales, axis, block, &g) ||
        (zeros && zeros->count != scales->count && zeros->count != 1))
        return false;
    bool one_zero = zeros && zeros->count == 1;
    float *x = codes->values;
    if (g.single) {
        for (uint64_t i = 0; i < codes->count; i++)
            x[i] = (x[i] - (zeros ? zeros->values[0] : 0)) * scales->values[0];
        return true;
    }
    for (uint64_t o = 0; o < g.outer; o++)
        for (uint64_t d = 0; d < g.length; d++) {
            uint64_t step, at = group_at(&g, o, d, &step);
            for (uint64_t i = 0; i < g.inner; i++, x++, at += step) {
                float zero = zeros ? zeros->values[one_zero ? 0 : at] : 0;
                *x = (*x - zero) * scales->values[at];
            }
        }
    return true;
}

/* Reads the scale and zero point, and finds the axis. */
static bool take_parameters(struct node_call *c, struct array *x, struct array *scales,
                            struct array *zeros, size_t *axis)
{
    *zeros = (struct array){0};
    bool ok = call_input(c, 0, x) && call_input(c, 1, scales) &&
              (!call_has(c, 2) || call_input(c, 2, zeros));
    if (!call_axis(node_int(c->node, "axis", 1), x->rank, axis))
        *axis = 0; /* one scale for all needs none */
    return ok;
}

bool evaluate_dequantize_linear(struct node_call *c, struct array *out)
{
    struct array scales = {0}, zeros = {0};
    size_t axis;
    int64_t block = node_int(c->node, "block_size", 0);
    bool ok =
        take_parameters(c, out, &scales, &zeros, &axis) && block >= 0 &&
        dequantize(out, &scales, call_has(c, 2) ? &zeros : NULL, axis, (uint64_t)block);
    array_free(&scales);
    array_free(&zeros);
    return ok;
}

/* x / scale plus the zero point, as a code of the type. */
static float encode(int type, float x, float zero)
{
    if (data_type_is_float(type)) /* Quark's operators have codes of 16-bit floats */
        return real_round(data_type_real(type), x + zero);
    unsigned bits = data_type_bits(type);
    bool is_signed = data_type_name(type)[0] == 'i';
    float lo = is_signed ? -(float)(1u << (bits - 1)) : 0;
    float hi = lo + (float)((1u << bits) - 1), code = rintf(x) + zero;
    return code < lo ? lo : code > hi ? hi : code;
}

static int code_type(struct node_call *c)
{
    const struct value *zero = input_value(c->scope, c->node, 2);
    const Onnx__TensorProto *tensor = zero ? value_constant(zero) : NULL;
    int type = (int)node_int(c->node, "output_dtype", 0);
    return tensor ? tensor->data_type : type ? type : DATA_UINT8;
}

/* Codes that are made when the model runs: (x / scale) rounded, plus the zero point. */
bool evaluate_quantize_linear(struct node_call *c, struct array *out)
{
    struct array scales = {0}, zeros = {0};
    struct grouping g;
    size_t axis;
    int64_t block = node_int(c->node, "block_size", 0);
    int type = code_type(c);
    unsigned bits = data_type_bits(type);
    bool ok = bits > 0 && bits <= 16 && (!data_type_is_float(type) || bits == 16) &&
              block >= 0 && take_parameters(c, out, &scales, &zeros, &axis) &&
              group(out, &scales, axis, (uint64_t)block, &g) &&
              (zeros.count == 0 || zeros.count == scales.count);
    for (uint64_t i = 0; ok && i < out->count; i++) {
        uint64_t step, inner = g.single ? 1 : g.inner, run = i / inner;
        uint64_t at = g.single ? 0 : group_at(&g, run / g.length, run % g.length, &step);
        at += !g.single && step ? i % inner : 0;
        float zero = zeros.count ? zeros.values[at] : 0;
        out->values[i] = encode(type, out->values[i] / scales.values[at], zero);
    }
    if (ok) /* from here on it is what stands for the weight */
        c->e->codes = (struct source){c->e->real.name, data_type_name(type), out->count};
    array_free(&scales);
    array_free(&zeros);
    return ok;
}
