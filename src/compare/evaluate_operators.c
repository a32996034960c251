/* Operators on constants, as far as decoding a weight is made of them: by nibble and by
 * other tools. Each takes its inputs, and gives what onnx says it gives, in float32. */
#include "compare/evaluate.h"
#include "onnx/node.h"
#include "onnx/tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool take(struct node_call *c, size_t index, struct array *out)
{
    return evaluate_input(c->e, c->scope, c->node, index, out);
}

static bool has(const struct node_call *c, size_t index)
{
    return *node_input(c->node, index) != '\0';
}

static bool make(struct node_call *c, struct array *out, const uint64_t *dims,
                 size_t rank)
{
    return array_make(out, dims, rank, c->e->limit, c->e->err);
}

/* An axis, counted from the end where it is negative. */
static bool find_axis(int64_t axis, size_t rank, size_t *out)
{
    if (axis < 0)
        axis += (int64_t)rank;
    *out = (size_t)axis;
    return axis >= 0 && (size_t)axis < rank;
}

/* Integers of an attribute, or of an input where newer opsets have them. */
static int64_t *ints_of(struct node_call *c, const char *name, size_t input,
                        size_t *count)
{
    const Onnx__AttributeProto *attribute = node_attribute(c->node, name);
    if (!attribute)
        return has(c, input) ? evaluate_ints(c, input, count) : NULL;
    int64_t *ints = malloc((attribute->n_ints + 1) * sizeof *ints);
    *count = attribute->n_ints;
    if (ints && *count > 0)
        memcpy(ints, attribute->ints, *count * sizeof *ints);
    return ints;
}

/* ---- shapes ----------------------------------------------------------- */

static bool identity(struct node_call *c, struct array *out)
{
    return take(c, 0, out);
}

static bool set_dims(struct array *array, const uint64_t *dims, size_t rank)
{
    uint64_t count = 1;
    if (rank > ARRAY_RANK_MAX)
        return false;
    for (size_t i = 0; i < rank; i++)
        if (__builtin_mul_overflow(count, dims[i], &count))
            return false;
    if (count != array->count)
        return false;
    memcpy(array->dims, dims, rank * sizeof *dims);
    array->rank = rank;
    return true;
}

/* The dims that Reshape is asked for: 0 stands for the input's own, -1 for the rest. */
static bool reshape_to(struct array *array, const int64_t *wanted, size_t rank, bool zero)
{
    uint64_t dims[ARRAY_RANK_MAX], known = 1;
    size_t rest = rank;
    for (size_t i = 0; i < rank; i++) {
        bool own = wanted[i] == 0 && !zero;
        if (wanted[i] < -1 || (own && i >= array->rank))
            return false;
        dims[i] = own ? array->dims[i] : (uint64_t)wanted[i];
        if (wanted[i] == -1)
            rest = i;
        else if (__builtin_mul_overflow(known, dims[i], &known))
            return false;
    }
    if (rest < rank)
        dims[rest] = known ? array->count / known : 0;
    return set_dims(array, dims, rank);
}

static bool reshape(struct node_call *c, struct array *out)
{
    size_t rank = 0;
    bool ok = take(c, 0, out);
    int64_t *wanted = ok ? ints_of(c, "shape", 1, &rank) : NULL;
    ok = wanted && rank <= ARRAY_RANK_MAX &&
         reshape_to(out, wanted, rank, node_int(c->node, "allowzero", 0) != 0);
    free(wanted);
    return ok;
}

static bool flatten(struct node_call *c, struct array *out)
{
    uint64_t dims[2] = {1, 1};
    int64_t axis = node_int(c->node, "axis", 1);
    if (!take(c, 0, out))
        return false;
    if (axis < 0)
        axis += (int64_t)out->rank;
    for (size_t i = 0; i < out->rank; i++)
        dims[(int64_t)i >= axis] *= out->dims[i];
    return set_dims(out, dims, 2);
}

static bool is_among(const int64_t *axes, size_t count, size_t axis, size_t rank)
{
    for (size_t i = 0; i < count; i++)
        if (axes[i] == (int64_t)axis || axes[i] + (int64_t)rank == (int64_t)axis)
            return true;
    return false;
}

static bool squeeze(struct node_call *c, struct array *out)
{
    uint64_t dims[ARRAY_RANK_MAX];
    size_t count = 0, rank = 0;
    if (!take(c, 0, out))
        return false;
    int64_t *axes = ints_of(c, "axes", 1, &count);
    for (size_t i = 0; i < out->rank; i++)
        if (axes ? !is_among(axes, count, i, out->rank) : out->dims[i] != 1)
            dims[rank++] = out->dims[i];
    free(axes);
    return set_dims(out, dims, rank);
}

static bool unsqueeze(struct node_call *c, struct array *out)
{
    uint64_t dims[ARRAY_RANK_MAX];
    size_t count = 0, next = 0;
    if (!take(c, 0, out))
        return false;
    int64_t *axes = ints_of(c, "axes", 1, &count);
    size_t rank = out->rank + count;
    bool ok = axes && count <= ARRAY_RANK_MAX && rank <= ARRAY_RANK_MAX;
    for (size_t i = 0; ok && i < rank; i++) {
        bool added = is_among(axes, count, i, rank);
        ok = added || next < out->rank;
        dims[i] = added || !ok ? 1 : out->dims[next++];
    }
    free(axes);
    return ok && set_dims(out, dims, rank);
}

/* ---- views ------------------------------------------------------------ */

/* `out` becomes what the view sees of it. */
static bool apply_view(struct node_call *c, struct array *out, const uint64_t *dims,
                       size_t rank, const struct array_view *view)
{
    struct array made;
    if (!make(c, &made, dims, rank))
        return false;
    array_fill(&made, out->values, view);
    array_free(out);
    *out = made;
    return true;
}

static bool transpose(struct node_call *c, struct array *out)
{
    const Onnx__AttributeProto *perm = node_attribute(c->node, "perm");
    struct array_view own, view = {0};
    uint64_t dims[ARRAY_RANK_MAX];
    if (!take(c, 0, out) || (perm && perm->n_ints != out->rank))
        return false;
    array_strides(out, &own);
    for (size_t i = 0; i < out->rank; i++) {
        int64_t from = perm ? perm->ints[i] : (int64_t)(out->rank - 1 - i);
        if (from < 0 || from >= (int64_t)out->rank)
            return false;
        dims[i] = out->dims[from];
        view.strides[i] = own.strides[from];
    }
    return apply_view(c, out, dims, out->rank, &view);
}

static int64_t clip(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

static bool slice_axis(const struct array *array, int64_t start, int64_t end,
                       int64_t step, size_t axis, uint64_t *dims, struct array_view *view)
{
    int64_t length = (int64_t)array->dims[axis];
    if (step == 0 || step == INT64_MIN)
        return false;
    bool back = step < 0;
    start = clip(start < 0 ? start + length : start, 0, back ? length - 1 : length);
    end = clip(end < 0 ? end + length : end, back ? -1 : 0, length);
    int64_t span = back ? start - end : end - start, size = back ? -step : step;
    dims[axis] = span > 0 ? (uint64_t)((span - 1) / size + 1) : 0;
    view->start += dims[axis] ? (uint64_t)(start * view->strides[axis]) : 0;
    view->strides[axis] *= dims[axis] > 1 ? step : 1;
    return true;
}

static bool slice(struct node_call *c, struct array *out)
{
    size_t starts_n = 0, ends_n = 0, axes_n = 0, steps_n = 0, axis;
    uint64_t dims[ARRAY_RANK_MAX];
    struct array_view view;
    if (!take(c, 0, out))
        return false;
    int64_t *starts = ints_of(c, "starts", 1, &starts_n);
    int64_t *ends = ints_of(c, "ends", 2, &ends_n);
    int64_t *axes = ints_of(c, "axes", 3, &axes_n);
    int64_t *steps = has(c, 4) ? evaluate_ints(c, 4, &steps_n) : NULL;
    bool ok = starts && ends && starts_n == ends_n && (!axes || axes_n == starts_n) &&
              (!steps || steps_n == starts_n);
    memcpy(dims, out->dims, sizeof dims);
    array_strides(out, &view);
    for (size_t i = 0; ok && i < starts_n; i++)
        ok = find_axis(axes ? axes[i] : (int64_t)i, out->rank, &axis) &&
             slice_axis(out, starts[i], ends[i], steps ? steps[i] : 1, axis, dims, &view);
    free(starts), free(ends), free(axes), free(steps);
    return ok && apply_view(c, out, dims, out->rank, &view);
}

static bool expand(struct node_call *c, struct array *out)
{
    uint64_t dims[ARRAY_RANK_MAX];
    struct array_view view;
    size_t count = 0;
    if (!take(c, 0, out))
        return false;
    int64_t *wanted = evaluate_ints(c, 1, &count);
    size_t rank = count > out->rank ? count : out->rank;
    bool ok = wanted && rank <= ARRAY_RANK_MAX;
    for (size_t i = 0; ok && i < rank; i++) {
        uint64_t own = i + out->rank >= rank ? out->dims[i + out->rank - rank] : 1;
        int64_t asked = i + count >= rank ? wanted[i + count - rank] : 1;
        ok = asked >= 0;
        dims[i] = own == 1 ? (uint64_t)asked : own;
    }
    free(wanted);
    return ok && array_broadcast(out, dims, rank, &view) &&
           apply_view(c, out, dims, rank, &view);
}

/* Puts `from` into `out`, `offset` elements from its begin. */
static void put(struct array *out, const struct array *from, uint64_t offset)
{
    struct array_view own, target;
    uint64_t at[ARRAY_RANK_MAX] = {0};
    if (from->count == 0)
        return;
    array_strides(out, &target);
    array_strides(from, &own);
    uint64_t row = from->rank ? from->dims[from->rank - 1] : 1;
    for (uint64_t i = 0; i < from->count; i += row) {
        uint64_t to = offset;
        for (size_t d = 0; d + 1 < from->rank; d++)
            to += at[d] * (uint64_t)target.strides[d];
        memcpy(out->values + to, from->values + i, row * sizeof *out->values);
        for (size_t d = from->rank > 0 ? from->rank - 1 : 0; d-- > 0;) {
            if (++at[d] < from->dims[d])
                break;
            at[d] = 0;
        }
    }
}

static bool concat_dims(struct node_call *c, struct array *parts, size_t count,
                        uint64_t *dims, size_t *axis)
{
    for (size_t i = 0; i < count; i++) {
        if (!take(c, i, &parts[i]) || parts[i].rank != parts[0].rank)
            return false;
        if (i == 0) {
            if (!find_axis(node_int(c->node, "axis", 0), parts[0].rank, axis))
                return false;
            memcpy(dims, parts[0].dims, sizeof parts[0].dims);
            continue;
        }
        for (size_t d = 0; d < parts[0].rank; d++)
            if (d != *axis && parts[i].dims[d] != dims[d])
                return false;
        dims[*axis] += parts[i].dims[*axis];
    }
    return count > 0;
}

static bool concat(struct node_call *c, struct array *out)
{
    size_t count = c->node->n_input, axis = 0;
    uint64_t dims[ARRAY_RANK_MAX], offset = 0;
    struct array *parts = calloc(count + 1, sizeof *parts);
    struct array_view view;
    bool ok = parts && concat_dims(c, parts, count, dims, &axis) &&
              make(c, out, dims, parts[0].rank);
    if (ok)
        array_strides(out, &view);
    for (size_t i = 0; ok && i < count; i++) {
        put(out, &parts[i], offset);
        offset += parts[i].dims[axis] * (uint64_t)view.strides[axis];
    }
    for (size_t i = 0; parts && i < count; i++)
        array_free(&parts[i]);
    free(parts);
    return ok;
}

static bool pad(struct node_call *c, struct array *out)
{
    uint64_t dims[ARRAY_RANK_MAX], offset = 0;
    struct array made = {0};
    struct array_view view;
    size_t count = 0;
    if (!take(c, 0, out) || has(c, 2) || has(c, 3))
        return false; /* of others than 0, or along some axes: decoding needs none */
    int64_t *pads = ints_of(c, "pads", 1, &count);
    bool ok = pads && count == 2 * out->rank;
    for (size_t i = 0; ok && i < out->rank; i++) {
        ok = pads[i] >= 0 && pads[i + out->rank] >= 0;
        dims[i] = out->dims[i] + (uint64_t)pads[i] + (uint64_t)pads[i + out->rank];
    }
    ok = ok && make(c, &made, dims, out->rank);
    if (ok) {
        if (made.count > 0)
            memset(made.values, 0, made.count * sizeof *made.values);
        array_strides(&made, &view);
        for (size_t i = 0; i < out->rank; i++)
            offset += (uint64_t)pads[i] * (uint64_t)view.strides[i];
        put(&made, out, offset);
        array_free(out);
        *out = made;
    }
    free(pads);
    return ok;
}

static bool shape(struct node_call *c, struct array *out)
{
    const struct value *value = input_value(c->scope, c->node, 0);
    struct array of = {0};
    if (value && value == c->e->rows) {
        of.rank = 1;
        of.dims[0] = c->e->row_count;
    } else if (!take(c, 0, &of)) {
        return false;
    }
    uint64_t rank = of.rank;
    bool ok = make(c, out, &rank, 1);
    for (size_t i = 0; ok && i < rank; i++)
        out->values[i] = (float)of.dims[i];
    array_free(&of);
    return ok;
}

/* Rows by indices that are known, or all rows where they are not. */
static bool gather(struct node_call *c, struct array *out)
{
    size_t count = 0, axis;
    if (!take(c, 0, out))
        return false;
    if (input_value(c->scope, c->node, 1) == c->e->rows && c->e->rows) {
        c->e->row_count = out->rank > 0 ? out->dims[0] : 0;
        return out->rank > 0;
    }
    int64_t *indices = evaluate_ints(c, 1, &count);
    bool ok = indices && count == 1 &&
              find_axis(node_int(c->node, "axis", 0), out->rank, &axis);
    if (ok) { /* one index: a slice, whose axis goes where the index is a scalar */
        struct array_view view;
        struct array index = {0};
        uint64_t dims[ARRAY_RANK_MAX];
        memcpy(dims, out->dims, sizeof dims);
        array_strides(out, &view);
        int64_t at = indices[0] < 0 ? indices[0] + (int64_t)dims[axis] : indices[0];
        ok = at >= 0 && at < (int64_t)dims[axis] && take(c, 1, &index) &&
             index.rank < 2 && slice_axis(out, at, at + 1, 1, axis, dims, &view) &&
             apply_view(c, out, dims, out->rank, &view);
        if (ok && index.rank == 0) {
            memmove(dims + axis, dims + axis + 1, (out->rank - axis - 1) * sizeof *dims);
            ok = set_dims(out, dims, out->rank - 1);
        }
        array_free(&index);
    }
    free(indices);
    return ok;
}

/* ---- arithmetic ------------------------------------------------------- */

static bool output_dims(const struct array *a, const struct array *b, uint64_t *dims,
                        size_t *rank)
{
    *rank = a->rank > b->rank ? a->rank : b->rank;
    for (size_t i = 0; i < *rank; i++) {
        uint64_t x = i + a->rank >= *rank ? a->dims[i + a->rank - *rank] : 1;
        uint64_t y = i + b->rank >= *rank ? b->dims[i + b->rank - *rank] : 1;
        if (x != y && x != 1 && y != 1)
            return false;
        dims[i] = x == 1 ? y : x;
    }
    return true;
}

/* An operand with all the elements of the result. */
static bool spread(struct node_call *c, struct array *operand, const uint64_t *dims,
                   size_t rank)
{
    struct array_view view;
    struct array probe = {.rank = rank};
    memcpy(probe.dims, dims, rank * sizeof *dims);
    if (operand->rank == rank && memcmp(operand->dims, dims, rank * sizeof *dims) == 0)
        return true;
    return array_broadcast(operand, dims, rank, &view) &&
           apply_view(c, operand, dims, rank, &view);
}

static void combine(char operation, float *a, const float *b, uint64_t count)
{
    switch (operation) {
    case '+':
        for (uint64_t i = 0; i < count; i++)
            a[i] += b[i];
        break;
    case '-':
        for (uint64_t i = 0; i < count; i++)
            a[i] -= b[i];
        break;
    case '*':
        for (uint64_t i = 0; i < count; i++)
            a[i] *= b[i];
        break;
    default:
        for (uint64_t i = 0; i < count; i++)
            a[i] /= b[i];
        break;
    }
}

static bool binary(struct node_call *c, struct array *out, char operation)
{
    uint64_t dims[ARRAY_RANK_MAX];
    struct array b = {0};
    size_t rank;
    bool ok = take(c, 0, out) && take(c, 1, &b) && output_dims(out, &b, dims, &rank) &&
              spread(c, out, dims, rank) && spread(c, &b, dims, rank);
    if (ok)
        combine(operation, out->values, b.values, out->count);
    array_free(&b);
    return ok;
}

static bool add(struct node_call *c, struct array *out)
{
    return binary(c, out, '+');
}
static bool subtract(struct node_call *c, struct array *out)
{
    return binary(c, out, '-');
}
static bool multiply(struct node_call *c, struct array *out)
{
    return binary(c, out, '*');
}
static bool divide(struct node_call *c, struct array *out)
{
    return binary(c, out, '/');
}

static bool round_down(struct node_call *c, struct array *out)
{
    if (!take(c, 0, out))
        return false;
    for (uint64_t i = 0; i < out->count; i++)
        out->values[i] = floorf(out->values[i]);
    return true;
}

static bool cast(struct node_call *c, struct array *out)
{
    int to = (int)node_int(c->node, "to", DATA_FLOAT);
    if (!take(c, 0, out))
        return false;
    bool narrow = to == DATA_FLOAT16 || to == DATA_BFLOAT16;
    for (uint64_t i = 0; i < out->count; i++)
        out->values[i] = narrow ? real_round(data_type_real(to), out->values[i])
                         : data_type_is_float(to) ? out->values[i]
                                                  : truncf(out->values[i]);
    return true;
}

/* ---- codes ------------------------------------------------------------ */

/* How the elements of an array see the parameters of its groups. */
struct grouping {
    uint64_t outer, length, inner, block;
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
    uint64_t blocks = block ? (g->length + block - 1) / block : 0;
    return scales->count == (block ? g->outer * blocks * g->inner : g->length);
}

/* Where the parameters of the run [o][d] begin, and the step from one to the next. */
static uint64_t group_at(const struct grouping *g, uint64_t o, uint64_t d, uint64_t *step)
{
    uint64_t blocks = g->block ? (g->length + g->block - 1) / g->block : 0;
    *step = g->block ? 1 : 0;
    return g->block ? (o * blocks + d / g->block) * g->inner : d;
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
    bool ok = take(c, 0, x) && take(c, 1, scales) && (!has(c, 2) || take(c, 2, zeros));
    if (!find_axis(node_int(c->node, "axis", 1), x->rank, axis))
        *axis = 0; /* one scale for all needs none */
    return ok;
}

static bool dequantize_linear(struct node_call *c, struct array *out)
{
    struct array scales = {0}, zeros = {0};
    size_t axis;
    int64_t block = node_int(c->node, "block_size", 0);
    bool ok = take_parameters(c, out, &scales, &zeros, &axis) && block >= 0 &&
              dequantize(out, &scales, has(c, 2) ? &zeros : NULL, axis, (uint64_t)block);
    array_free(&scales);
    array_free(&zeros);
    return ok;
}

/* The range of an integer type that has `bits` bits. */
static void code_range(int type, float *lo, float *hi)
{
    unsigned bits = data_type_bits(type);
    bool is_signed = data_type_name(type)[0] == 'i';
    *lo = is_signed ? -(float)(1u << (bits - 1)) : 0;
    *hi = *lo + (float)((1u << bits) - 1);
}

static int code_type(struct node_call *c)
{
    const struct value *zero = input_value(c->scope, c->node, 2);
    const Onnx__TensorProto *tensor = zero ? value_constant(zero) : NULL;
    int type = (int)node_int(c->node, "output_dtype", 0);
    return tensor ? tensor->data_type : type ? type : DATA_UINT8;
}

/* Codes that are made when the model runs: (x / scale) rounded, plus the zero point. */
static bool quantize_linear(struct node_call *c, struct array *out)
{
    struct array scales = {0}, zeros = {0};
    struct grouping g;
    size_t axis;
    float lo, hi;
    int64_t block = node_int(c->node, "block_size", 0);
    int type = code_type(c);
    unsigned bits = data_type_bits(type);
    bool ok = bits > 0 && bits <= 16 && !data_type_is_float(type) && block >= 0 &&
              take_parameters(c, out, &scales, &zeros, &axis) &&
              group(out, &scales, axis, (uint64_t)block, &g) &&
              (zeros.count == 0 || zeros.count == scales.count);
    if (ok)
        code_range(type, &lo, &hi);
    for (uint64_t i = 0; ok && i < out->count; i++) {
        uint64_t step, inner = g.single ? 1 : g.inner, run = i / inner;
        uint64_t at = g.single ? 0 : group_at(&g, run / g.length, run % g.length, &step);
        at += !g.single && step ? i % inner : 0;
        float zero = zeros.count ? zeros.values[at] : 0;
        float code = rintf(out->values[i] / scales.values[at]) + zero;
        out->values[i] = code < lo ? lo : code > hi ? hi : code;
    }
    if (ok) /* from here on it is what stands for the weight */
        c->e->codes = (struct source){c->e->real.name, data_type_name(type), out->count};
    array_free(&scales);
    array_free(&zeros);
    return ok;
}

/* ---- the table -------------------------------------------------------- */

/* com.microsoft's, TensorRT's TRT_INT4DequantizeLinear, Quark's Extended... */
bool evaluate_is_decoder(const Onnx__NodeProto *node)
{
    static const char decoder[] = "DequantizeLinear";
    const char *type = or_empty(node->op_type);
    size_t length = strlen(type), tail = sizeof decoder - 1;
    return length >= tail && strcmp(type + length - tail, decoder) == 0;
}

evaluate_fn *evaluate_operator(const Onnx__NodeProto *node)
{
    static const struct {
        const char *type;
        evaluate_fn *fn;
    } table[] = {
        {"Add", add},
        {"Cast", cast},
        {"Concat", concat},
        {"Div", divide},
        {"Expand", expand},
        {"Flatten", flatten},
        {"Floor", round_down},
        {"Gather", gather},
        {"Identity", identity},
        {"Mul", multiply},
        {"Pad", pad},
        {"Reshape", reshape},
        {"Shape", shape},
        {"Slice", slice},
        {"Squeeze", squeeze},
        {"Sub", subtract},
        {"Transpose", transpose},
        {"Unsqueeze", unsqueeze},
        {"QuantizeLinear", quantize_linear},
    };
    const char *type = or_empty(node->op_type);
    if (evaluate_is_decoder(node))
        return dequantize_linear;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(type, table[i].type) == 0 &&
            (domain_is_standard(node->domain) || table[i].fn == quantize_linear))
            return table[i].fn;
    return NULL;
}
