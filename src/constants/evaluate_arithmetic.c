/* Arithmetic on elements, with broadcasting. Everything is computed in double and rounded
 * once to the type of the result. For +, -, *, / and the square root of narrower floats
 * this is the same as computing in their own type. */
#include "constants/evaluate_operators.h"
#include "onnx/node.h"

#include <math.h>
#include <string.h>

/* ---- one operand ------------------------------------------------------ */

static double reciprocal(double x)
{
    return 1 / x;
}
static double negative(double x)
{
    return -x;
}
static double relu(double x)
{
    return x < 0 ? 0 : x;
}
static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}
static double sign(double x)
{
    return x > 0 ? 1 : x < 0 ? -1 : x;
}
static double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

typedef double unary_fn(double x);
static const struct {
    const char *op_type;
    unary_fn *fn;
} unary_operators[] = {
    {"Abs", fabs},
    {"Ceil", ceil},
    {"Exp", exp},
    {"Floor", floor},
    {"Log", log},
    {"Neg", negative},
    {"Reciprocal", reciprocal},
    {"Relu", relu},
    {"Round", rint},
    {"Sigmoid", sigmoid},
    {"Sign", sign},
    {"Softplus", softplus},
    {"Sqrt", sqrt},
    {"Tanh", tanh},
};

/* Calls fn for the values of `from`, piece by piece, and stores what it makes of them. */
typedef void map_fn(const void *context, double *values, size_t count);
static bool map_values(struct node_call *c, struct constant *out, int data_type,
                       map_fn *fn, const void *context)
{
    struct constant from = *out;
    double values[EVALUATE_STEP];
    bool ok = call_make(c, out, data_type, from.dims, from.rank);
    uint64_t count = ok && !c->e->dry ? constant_elements(&from) : 0;
    for (uint64_t at = 0; at < count; at += EVALUATE_STEP) {
        size_t n = count - at < EVALUATE_STEP ? (size_t)(count - at) : EVALUATE_STEP;
        constant_load(&from, at, n, values);
        fn(context, values, n);
        constant_store(data_type, values, n,
                       call_bytes(out) + at * constant_width(data_type));
    }
    constant_free(&from);
    return ok;
}

static void map_unary(const void *context, double *values, size_t count)
{
    unary_fn *const *fn = context;
    for (size_t i = 0; i < count; i++)
        values[i] = (*fn)(values[i]);
}

bool evaluate_unary(struct node_call *c, struct constant *out)
{
    size_t row = 0;
    while (strcmp(unary_operators[row].op_type, c->node->op_type) != 0)
        row++;
    return call_input(c, 0, out) &&
           map_values(c, out, out->data_type, map_unary, &unary_operators[row].fn);
}

struct bounds {
    double least, most;
};

static void map_clip(const void *context, double *values, size_t count)
{
    const struct bounds *bounds = context;
    for (size_t i = 0; i < count; i++) {
        values[i] = values[i] < bounds->least ? bounds->least : values[i];
        values[i] = values[i] > bounds->most ? bounds->most : values[i];
    }
}

/* A bound of Clip: an attribute before opset 11, a scalar input since then. */
static bool get_bound(struct node_call *c, const char *name, size_t input, double *bound)
{
    const Onnx__AttributeProto *attribute = node_attribute(c->node, name);
    struct constant one;
    if (attribute)
        *bound = (double)attribute->f;
    if (attribute || !call_has(c, input))
        return true;
    bool ok = call_input(c, input, &one) && constant_elements(&one) == 1;
    if (ok && !c->e->dry)
        constant_load(&one, 0, 1, bound);
    constant_free(&one);
    return ok;
}

bool evaluate_clip(struct node_call *c, struct constant *out)
{
    struct bounds bounds = {-HUGE_VAL, HUGE_VAL};
    return call_input(c, 0, out) && get_bound(c, "min", 1, &bounds.least) &&
           get_bound(c, "max", 2, &bounds.most) &&
           map_values(c, out, out->data_type, map_clip, &bounds);
}

static void map_cast(const void *context, double *values, size_t count)
{
    const int *to = context; /* integers take what is left of the point */
    for (size_t i = 0; !data_type_is_float(*to) && *to != DATA_BOOL && i < count; i++)
        values[i] = trunc(values[i]);
}

static bool cast(struct node_call *c, struct constant *out, int to)
{
    bool code = !data_type_is_float(out->data_type) && out->data_type != DATA_BOOL &&
                data_type_bits(out->data_type) <= 8;
    const char *name = data_type_name(to);
    bool number = data_type_is_float(to) || to == DATA_BOOL || *name == 'i' ||
                  (*name == 'u' && data_type_bits(to) > 0);
    if (!number || (code && c->e->stores))
        return false;
    return to == out->data_type || map_values(c, out, to, map_cast, &to);
}

bool evaluate_cast(struct node_call *c, struct constant *out)
{
    return call_input(c, 0, out) && cast(c, out, (int)node_int(c->node, "to", 0));
}

bool evaluate_cast_like(struct node_call *c, struct constant *out)
{
    const struct value *like = input_value(c->scope, c->node, 1);
    struct constant target;
    return like && evaluate_shape_of(c->e, like, &target) && call_input(c, 0, out) &&
           cast(c, out, target.data_type);
}

/* ---- two operands ----------------------------------------------------- */

/* onnx takes the remainder of integer division towards zero. */
typedef void binary_fn(double *a, const double *b, size_t count, bool integers);
#define BINARY(name, expression)                                              \
    static void name(double *a, const double *b, size_t count, bool integers) \
    {                                                                         \
        (void)integers;                                                       \
        for (size_t i = 0; i < count; i++)                                    \
            a[i] = expression;                                                \
    }
BINARY(add, a[i] + b[i])
BINARY(subtract, a[i] - b[i])
BINARY(multiply, a[i] * b[i])
BINARY(divide, integers ? trunc(a[i] / b[i]) : a[i] / b[i])
BINARY(power, b[i] == 2 ? a[i] * a[i] : pow(a[i], b[i]))
BINARY(greater, a[i] > b[i] || isnan(a[i]) ? a[i] : b[i])
BINARY(lesser, a[i] < b[i] || isnan(a[i]) ? a[i] : b[i])

static const struct {
    const char *op_type;
    binary_fn *fn;
} binary_operators[] = {
    {"Add", add},   {"Sub", subtract}, {"Mul", multiply}, {"Div", divide},
    {"Pow", power}, {"Max", greater},  {"Min", lesser},   {"Sum", add},
};

static bool output_dims(const struct constant *a, const struct constant *b,
                        uint64_t *dims, size_t *rank)
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

/* out = out (operator) b. Frees both operands. */
static bool combine(struct node_call *c, binary_fn *fn, struct constant *out,
                    struct constant *b)
{
    uint64_t dims[CONSTANT_RANK_MAX];
    struct constant a = *out;
    double x[EVALUATE_STEP], y[EVALUATE_STEP];
    size_t rank, width = constant_width(a.data_type);
    *out = (struct constant){0};
    /* Pow alone has operands of two types. */
    bool ok = (a.data_type == b->data_type || fn == power) &&
              output_dims(&a, b, dims, &rank) &&
              call_make(c, out, a.data_type, dims, rank) &&
              constant_broadcast(&a, dims, rank) && constant_broadcast(b, dims, rank);
    uint64_t count = ok && !c->e->dry ? constant_elements(out) : 0;
    for (uint64_t at = 0; at < count; at += EVALUATE_STEP) {
        size_t n = count - at < EVALUATE_STEP ? (size_t)(count - at) : EVALUATE_STEP;
        constant_load(&a, at, n, x);
        constant_load(b, at, n, y);
        fn(x, y, n, !data_type_is_float(a.data_type));
        constant_store(a.data_type, x, n, call_bytes(out) + at * width);
    }
    constant_free(&a);
    constant_free(b);
    return ok;
}

/* Max, Min and Sum have any number of operands. */
bool evaluate_binary(struct node_call *c, struct constant *out)
{
    struct constant b;
    size_t row = 0;
    while (strcmp(binary_operators[row].op_type, c->node->op_type) != 0)
        row++;
    bool ok = call_input(c, 0, out);
    for (size_t i = 1; ok && i < c->node->n_input; i++)
        ok = call_input(c, i, &b) && combine(c, binary_operators[row].fn, out, &b);
    return ok;
}

/* ---- three operands --------------------------------------------------- */

bool evaluate_where(struct node_call *c, struct constant *out)
{
    uint64_t dims[CONSTANT_RANK_MAX];
    struct constant in[3] = {{0}};
    double values[3][EVALUATE_STEP];
    size_t rank;
    bool ok = call_input(c, 0, &in[0]) && call_input(c, 1, &in[1]) &&
              call_input(c, 2, &in[2]) && in[0].data_type == DATA_BOOL &&
              in[1].data_type == in[2].data_type &&
              output_dims(&in[0], &in[1], dims, &rank);
    if (ok) {
        struct constant both = {.rank = rank};
        memcpy(both.dims, dims, sizeof dims);
        ok = output_dims(&both, &in[2], dims, &rank) &&
             call_make(c, out, in[1].data_type, dims, rank);
    }
    for (size_t i = 0; ok && i < 3; i++)
        ok = constant_broadcast(&in[i], dims, rank);
    uint64_t count = ok && !c->e->dry ? constant_elements(out) : 0;
    for (uint64_t at = 0; at < count; at += EVALUATE_STEP) {
        size_t n = count - at < EVALUATE_STEP ? (size_t)(count - at) : EVALUATE_STEP;
        for (size_t i = 0; i < 3; i++)
            constant_load(&in[i], at, n, values[i]);
        for (size_t i = 0; i < n; i++)
            values[1][i] = values[0][i] != 0 ? values[1][i] : values[2][i];
        constant_store(out->data_type, values[1], n,
                       call_bytes(out) + at * constant_width(out->data_type));
    }
    for (size_t i = 0; i < 3; i++)
        constant_free(&in[i]);
    return ok;
}
