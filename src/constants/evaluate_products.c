/* MatMul and Gemm of constants, such as the two factors of a low-rank update. Sums are
 * made in double and rounded once. */
#include "constants/evaluate_operators.h"
#include "onnx/node.h"

#include <stdlib.h>
#include <string.h>

enum {
    PRODUCT_ROWS = 16,     /* rows of the result that are made together */
    PRODUCTS_LOG_MAX = 33, /* of the products that one operator may take */
};

/* out[m, n] = a[m, k] b[k, n], all views of matrices. */
struct product {
    const struct constant *a, *b;
    struct constant *out;
    const struct constant *c; /* is added, times beta; NULL: nothing is */
    double alpha, beta;
};

static void finish_row(const struct product *p, uint64_t first, size_t count, double *sum)
{
    double added[EVALUATE_STEP];
    if (p->alpha != 1)
        for (size_t i = 0; i < count; i++)
            sum[i] *= p->alpha;
    if (p->c) {
        constant_load(p->c, first, count, added);
        for (size_t i = 0; i < count; i++)
            sum[i] += p->beta * added[i];
    }
    constant_store(p->out->data_type, sum, count,
                   call_bytes(p->out) + first * constant_width(p->out->data_type));
}

/* Some rows of the result, and up to EVALUATE_STEP columns. `sums` has room for them. */
static void make_rows(const struct product *p, uint64_t row, size_t rows, uint64_t column,
                      size_t columns, double *sums)
{
    uint64_t k_count = p->a->dims[1], n_count = p->b->dims[1];
    double b[EVALUATE_STEP], a;
    memset(sums, 0, rows * EVALUATE_STEP * sizeof *sums);
    for (uint64_t k = 0; k < k_count; k++) {
        constant_load(p->b, k * n_count + column, columns, b);
        for (size_t r = 0; r < rows; r++) {
            double *sum = sums + r * EVALUATE_STEP;
            constant_load(p->a, (row + r) * k_count + k, 1, &a);
            for (size_t i = 0; i < columns; i++)
                sum[i] += a * b[i];
        }
    }
    for (size_t r = 0; r < rows; r++)
        finish_row(p, (row + r) * n_count + column, columns, sums + r * EVALUATE_STEP);
}

static bool multiply(struct node_call *c, const struct product *p)
{
    uint64_t m = p->a->dims[0], n = p->b->dims[1];
    double *sums = malloc(PRODUCT_ROWS * EVALUATE_STEP * sizeof *sums);
    if (!sums)
        return error_memory(c->e->err);
    for (uint64_t row = 0; row < m; row += PRODUCT_ROWS)
        for (uint64_t column = 0; column < n; column += EVALUATE_STEP)
            make_rows(
                p, row, m - row < PRODUCT_ROWS ? (size_t)(m - row) : PRODUCT_ROWS, column,
                n - column < EVALUATE_STEP ? (size_t)(n - column) : EVALUATE_STEP, sums);
    free(sums);
    return true;
}

/* Whether the operator takes no more than some seconds. */
static bool is_affordable(const struct constant *out, uint64_t k)
{
    uint64_t products;
    return !__builtin_mul_overflow(constant_elements(out), k, &products) &&
           products >> PRODUCTS_LOG_MAX == 0;
}

/* ---- MatMul ----------------------------------------------------------- */

/* Matrix `index` of a stack of matrices. */
static struct constant matrix_at(const struct constant *stack, uint64_t index)
{
    struct constant matrix = *stack;
    size_t first = stack->rank - 2;
    for (size_t i = first; i-- > 0; index /= stack->dims[i])
        matrix.data += (ptrdiff_t)(index % stack->dims[i]) * stack->strides[i];
    for (size_t i = 0; i < 2; i++) {
        matrix.dims[i] = stack->dims[first + i];
        matrix.strides[i] = stack->strides[first + i];
    }
    matrix.rank = 2;
    return matrix;
}

/* Adds an axis to a vector, as MatMul sees it. */
static void add_axis(struct constant *vector, size_t axis)
{
    if (axis == 0) {
        vector->dims[1] = vector->dims[0];
        vector->strides[1] = vector->strides[0];
    }
    vector->dims[axis] = 1;
    vector->strides[axis] = 0;
    vector->rank = 2;
}

/* Gives both operands the same number of matrices. *batch: that number. */
static bool broadcast_stacks(struct constant *a, struct constant *b, uint64_t *dims,
                             size_t *rank, uint64_t *batch)
{
    size_t most = a->rank > b->rank ? a->rank : b->rank;
    uint64_t sides[2][CONSTANT_RANK_MAX];
    *batch = 1;
    for (size_t i = 0; i + 2 < most; i++) {
        uint64_t x = i + a->rank >= most ? a->dims[i + a->rank - most] : 1;
        uint64_t y = i + b->rank >= most ? b->dims[i + b->rank - most] : 1;
        if (x != y && x != 1 && y != 1)
            return false;
        dims[i] = sides[0][i] = sides[1][i] = x == 1 ? y : x;
        *batch *= dims[i];
    }
    for (size_t i = 0; i < 2; i++) {
        sides[0][most - 2 + i] = a->dims[a->rank - 2 + i];
        sides[1][most - 2 + i] = b->dims[b->rank - 2 + i];
    }
    dims[most - 2] = sides[0][most - 2];
    dims[most - 1] = sides[1][most - 1];
    *rank = most;
    return sides[0][most - 1] == sides[1][most - 2] &&
           constant_broadcast(a, sides[0], most) && constant_broadcast(b, sides[1], most);
}

static bool multiply_stacks(struct node_call *c, const struct constant *a,
                            const struct constant *b, uint64_t batch,
                            const struct constant *out)
{
    bool ok = true;
    for (uint64_t i = 0; ok && i < batch && constant_elements(out) > 0; i++) {
        struct constant x = matrix_at(a, i), y = matrix_at(b, i), z = matrix_at(out, i);
        const struct product p = {.a = &x, .b = &y, .out = &z, .alpha = 1};
        ok = multiply(c, &p);
    }
    return ok;
}

bool evaluate_matmul(struct node_call *c, struct constant *out)
{
    struct constant a, b = {0};
    uint64_t dims[CONSTANT_RANK_MAX], batch;
    size_t rank;
    bool ok = call_input(c, 0, &a) && call_input(c, 1, &b) && a.rank > 0 && b.rank > 0 &&
              a.data_type == b.data_type && data_type_is_float(a.data_type);
    bool row = ok && a.rank == 1, column = ok && b.rank == 1;
    if (row)
        add_axis(&a, 0);
    if (column)
        add_axis(&b, 1);
    ok = ok && broadcast_stacks(&a, &b, dims, &rank, &batch) &&
         call_make(c, out, a.data_type, dims, rank) &&
         is_affordable(out, a.dims[rank - 1]) &&
         (c->e->dry || multiply_stacks(c, &a, &b, batch, out));
    if (ok && row) {
        out->dims[rank - 2] = out->dims[rank - 1];
        out->rank--;
    }
    if (ok && column)
        out->rank--;
    if (ok)
        constant_set_strides(out);
    constant_free(&a);
    constant_free(&b);
    return ok;
}

/* ---- Gemm ------------------------------------------------------------- */

static void transpose(struct constant *matrix)
{
    struct constant from = *matrix;
    for (size_t i = 0; i < 2; i++) {
        matrix->dims[i] = from.dims[1 - i];
        matrix->strides[i] = from.strides[1 - i];
    }
}

bool evaluate_gemm(struct node_call *c, struct constant *out)
{
    struct constant a, b = {0}, added = {0};
    bool biased = call_has(c, 2);
    bool ok = call_input(c, 0, &a) && call_input(c, 1, &b) && a.rank == 2 &&
              b.rank == 2 && a.data_type == b.data_type &&
              data_type_is_float(a.data_type) && (!biased || call_input(c, 2, &added));
    if (ok && node_int(c->node, "transA", 0) != 0)
        transpose(&a);
    if (ok && node_int(c->node, "transB", 0) != 0)
        transpose(&b);
    const uint64_t dims[2] = {a.dims[0], b.dims[1]};
    const struct product p = {.a = &a,
                              .b = &b,
                              .out = out,
                              .c = biased ? &added : NULL,
                              .alpha = (double)node_float(c->node, "alpha", 1),
                              .beta = (double)node_float(c->node, "beta", 1)};
    ok = ok && a.dims[1] == b.dims[0] && call_make(c, out, a.data_type, dims, 2) &&
         (!biased || constant_broadcast(&added, dims, 2)) &&
         is_affordable(out, a.dims[1]) &&
         (c->e->dry || constant_elements(out) == 0 || multiply(c, &p));
    constant_free(&a);
    constant_free(&b);
    constant_free(&added);
    return ok;
}
