/* DequantizeLinear and QuantizeLinear. */
#include "constants/evaluate_operators.h"
#include "onnx/node.h"

#include <math.h>

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
    bool ok = call_array(c, 0, x) && call_array(c, 1, scales) &&
              (!call_has(c, 2) || call_array(c, 2, zeros));
    if (!call_axis(node_int(c->node, "axis", 1), x->rank, axis))
        *axis = 0; /* one scale for all needs none */
    return ok;
}

/* In a dry evaluation: the dims of the input, with that type. */
static bool give_shape(struct node_call *c, int data_type, struct constant *out)
{
    struct constant from;
    return call_input(c, 0, &from) &&
           constant_shape(out, data_type, from.dims, from.rank, c->e->limit);
}

static int type_of_input(struct node_call *c, size_t index)
{
    const struct value *value = input_value(c->scope, c->node, index);
    struct constant of;
    return value && evaluate_shape_of(c->e, value, &of) ? of.data_type : DATA_UNDEFINED;
}

bool evaluate_dequantize_linear(struct node_call *c, struct constant *out)
{
    struct array x = {0}, scales = {0}, zeros = {0};
    size_t axis;
    int64_t block = node_int(c->node, "block_size", 0);
    int type = type_of_input(c, 1);
    if (!data_type_is_float(type) || block < 0)
        return false;
    if (c->e->dry)
        return give_shape(c, type, out);
    bool ok =
        take_parameters(c, &x, &scales, &zeros, &axis) &&
        dequantize(&x, &scales, call_has(c, 2) ? &zeros : NULL, axis, (uint64_t)block) &&
        call_give(c, out, type, &x);
    array_free(&x);
    array_free(&scales);
    array_free(&zeros);
    return ok;
}

/* ---- QuantizeLinear ----------------------------------------------------- */

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
    int type = (int)node_int(c->node, "output_dtype", 0);
    if (call_has(c, 2))
        return type_of_input(c, 2);
    return type ? type : DATA_UINT8;
}

/* Whether codes of the type can be made: integers of at most 16 bits, and floats of 16.
 */
static bool is_code_type(int type)
{
    unsigned bits = data_type_bits(type);
    const char *name = data_type_name(type);
    bool real = data_type_is_float(type) && bits == 16;
    return real || (bits > 0 && bits <= 16 && (*name == 'i' || *name == 'u'));
}

static void make_codes(struct array *x, const struct grouping *g,
                       const struct array *scales, const struct array *zeros, int type)
{
    for (uint64_t i = 0; i < x->count; i++) {
        uint64_t step = 0, inner = g->single ? 1 : g->inner, run = i / inner;
        uint64_t at =
            g->single ? 0 : group_at(g, run / g->length, run % g->length, &step);
        at += !g->single && step ? i % inner : 0;
        float zero = zeros->count ? zeros->values[at] : 0;
        x->values[i] = encode(type, x->values[i] / scales->values[at], zero);
    }
}

/* (x / scale) rounded, plus the zero point. */
bool evaluate_quantize_linear(struct node_call *c, struct constant *out)
{
    struct array x = {0}, scales = {0}, zeros = {0};
    struct grouping g;
    size_t axis;
    int64_t block = node_int(c->node, "block_size", 0);
    int type = code_type(c);
    if (!is_code_type(type) || block < 0)
        return false;
    if (c->e->dry)
        return give_shape(c, type, out);
    bool ok = take_parameters(c, &x, &scales, &zeros, &axis) &&
              group(&x, &scales, axis, (uint64_t)block, &g) &&
              (zeros.count == 0 || zeros.count == scales.count);
    uint64_t count = x.count;
    if (ok) {
        make_codes(&x, &g, &scales, &zeros, type);
        ok = call_give(c, out, type, &x);
    }
    if (ok) /* from here on it is what stands for the weight */
        c->e->codes = (struct source){c->e->real.name, data_type_name(type), count};
    array_free(&x);
    array_free(&scales);
    array_free(&zeros);
    return ok;
}
