/* Sums, norms and the like along axes. They are computed in double, in the order of the
 * elements, and rounded once. */
#include "constants/evaluate_operators.h"
#include "onnx/node.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is done with each value -------------------------------------- */

static void add(double *sum, double x)
{
    *sum += x;
}
static void add_size(double *sum, double x)
{
    *sum += fabs(x);
}
static void add_square(double *sum, double x)
{
    *sum += x * x;
}
static void multiply(double *product, double x)
{
    *product *= x;
}
static void raise_to(double *most, double x)
{
    *most = x > *most || isnan(x) ? x : *most;
}
static void lower_to(double *least, double x)
{
    *least = x < *least || isnan(x) ? x : *least;
}

struct reduction {
    const char *op_type;
    double start;
    void (*add)(double *sum, double x);
    bool is_mean, is_root;
};

static const struct reduction reductions[] = {
    {"ReduceL1", 0, add_size, false, false},
    {"ReduceL2", 0, add_square, false, true},
    {"ReduceMax", -HUGE_VAL, raise_to, false, false},
    {"ReduceMean", 0, add, true, false},
    {"ReduceMin", HUGE_VAL, lower_to, false, false},
    {"ReduceProd", 1, multiply, false, false},
    {"ReduceSum", 0, add, false, false},
    {"ReduceSumSquare", 0, add_square, false, false},
};

/* ---- along axes -------------------------------------------------------- */

struct reduced {
    bool marked[CONSTANT_RANK_MAX];
    uint64_t dims[CONSTANT_RANK_MAX]; /* with 1 for the axes that are summed over */
    uint64_t count, each;             /* sums, and values that each is made of */
};

static bool set_reduced(const struct constant *from, struct reduced *r)
{
    r->count = r->each = 1;
    for (size_t i = 0; i < from->rank; i++) {
        r->dims[i] = r->marked[i] ? 1 : from->dims[i];
        *(r->marked[i] ? &r->each : &r->count) *= from->dims[i];
    }
    return r->each > 0;
}

/* Adds up a run of values along the last axis. */
static void add_run(const struct reduction *row, const double *values, size_t count,
                    double *sums, size_t step)
{
    for (size_t i = 0; i < count; i++)
        row->add(&sums[i * step], values[i]);
}

static void add_all(const struct reduction *row, const struct constant *from,
                    const struct reduced *r, double *sums)
{
    double values[EVALUATE_STEP];
    size_t last = from->rank - 1;
    uint64_t length = from->dims[last], count = constant_elements(from);
    for (uint64_t at = 0, n; at < count; at += n) {
        uint64_t run = at / length, in = at % length, to = 0, each = 1;
        n = length - in < EVALUATE_STEP ? length - in : EVALUATE_STEP;
        if (!r->marked[last]) {
            to = in;
            each = length;
        }
        for (size_t i = last; i-- > 0; run /= from->dims[i]) {
            to += r->marked[i] ? 0 : run % from->dims[i] * each;
            each *= r->marked[i] ? 1 : from->dims[i];
        }
        constant_load(from, at, (size_t)n, values);
        add_run(row, values, (size_t)n, sums + to, !r->marked[last]);
    }
}

/* Reduces `from` to an array of doubles, which the caller frees. */
static double *reduce(struct node_call *c, const struct reduction *row,
                      const struct constant *from, const struct reduced *r)
{
    double *sums = malloc((size_t)(r->count + 1) * sizeof *sums);
    if (!sums) {
        error_memory(c->e->err);
        return NULL;
    }
    for (uint64_t i = 0; i < r->count; i++)
        sums[i] = row->start;
    if (from->rank == 0) {
        double one;
        constant_load(from, 0, 1, &one);
        row->add(sums, one);
    } else {
        add_all(row, from, r, sums);
    }
    for (uint64_t i = 0; i < r->count; i++) {
        sums[i] = row->is_mean ? sums[i] / (double)r->each : sums[i];
        sums[i] = row->is_root ? sqrt(sums[i]) : sums[i];
    }
    return sums;
}

/* Finds the axes. False if they are not known. *none: nothing is reduced. */
static bool find_axes(struct node_call *c, const struct constant *from, struct reduced *r,
                      bool *none)
{
    size_t count, axis;
    int64_t *axes = call_ints(c, "axes", 1, &count);
    bool empty = !axes || count == 0;
    bool ok = axes || (!call_has(c, 1) && !node_attribute(c->node, "axes"));
    *none = empty && node_int(c->node, "noop_with_empty_axes", 0) != 0;
    memset(r->marked, empty, sizeof r->marked);
    for (size_t i = 0; ok && i < count; i++) {
        ok = call_axis(axes[i], from->rank, &axis);
        r->marked[ok ? axis : 0] = true;
    }
    free(axes);
    return ok && set_reduced(from, r);
}

bool evaluate_reduce(struct node_call *c, struct constant *out)
{
    struct constant from;
    struct reduced r;
    const struct reduction *row = reductions;
    uint64_t dims[CONSTANT_RANK_MAX];
    size_t rank = 0;
    bool none, keep = node_int(c->node, "keepdims", 1) != 0;
    while (strcmp(row->op_type, c->node->op_type) != 0)
        row++;
    if (!call_input(c, 0, &from) || !find_axes(c, &from, &r, &none) || none) {
        constant_free(&from);
        return false;
    }
    for (size_t i = 0; i < from.rank; i++)
        if (keep || !r.marked[i])
            dims[rank++] = r.dims[i];
    bool ok = call_make(c, out, from.data_type, dims, rank);
    if (ok && !c->e->dry && r.count > 0) {
        double *sums = reduce(c, row, &from, &r);
        ok = sums != NULL;
        if (ok)
            constant_store(out->data_type, sums, (size_t)r.count, call_bytes(out));
        free(sums);
    }
    constant_free(&from);
    return ok;
}

/* ---- LpNormalization ---------------------------------------------------- */

/* Divides by the norms along one axis. A norm of zero leaves the zeros. */
static bool divide(struct node_call *c, const struct constant *from,
                   const struct reduced *r, const double *norms, struct constant *out)
{
    struct constant by = {.data = (const uint8_t *)norms, .data_type = DATA_DOUBLE};
    double x[EVALUATE_STEP], y[EVALUATE_STEP];
    size_t width = constant_width(from->data_type);
    by.rank = from->rank;
    memcpy(by.dims, r->dims, sizeof by.dims);
    constant_set_strides(&by);
    if (!constant_broadcast(&by, from->dims, from->rank) ||
        !call_make(c, out, from->data_type, from->dims, from->rank))
        return false;
    for (uint64_t at = 0, count = constant_elements(from); at < count;
         at += EVALUATE_STEP) {
        size_t n = count - at < EVALUATE_STEP ? (size_t)(count - at) : EVALUATE_STEP;
        constant_load(from, at, n, x);
        constant_load(&by, at, n, y);
        for (size_t i = 0; i < n; i++)
            x[i] = y[i] == 0 ? 0 : x[i] / y[i];
        constant_store(out->data_type, x, n, call_bytes(out) + at * width);
    }
    return true;
}

bool evaluate_lp_normalization(struct node_call *c, struct constant *out)
{
    struct constant from;
    struct reduced r = {.marked = {false}};
    int64_t p = node_int(c->node, "p", 2);
    const struct reduction *row = &reductions[p == 1 ? 0 : 1];
    size_t axis;
    bool ok = call_input(c, 0, &from) && (p == 1 || p == 2) &&
              call_axis(node_int(c->node, "axis", -1), from.rank, &axis);
    if (ok)
        r.marked[axis] = true;
    ok = ok && set_reduced(&from, &r);
    if (ok && c->e->dry) {
        *out = from;
        return true;
    }
    double *norms = ok ? reduce(c, row, &from, &r) : NULL;
    ok = norms && divide(c, &from, &r, norms, out);
    free(norms);
    constant_free(&from);
    return ok;
}
