/* Arithmetic on elements, with broadcasting, and Cast. */
#include "compare/evaluate_operators.h"
#include "onnx/node.h"
#include "onnx/tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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
           call_view(c, operand, dims, rank, &view);
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
    bool ok = call_input(c, 0, out) && call_input(c, 1, &b) &&
              output_dims(out, &b, dims, &rank) && spread(c, out, dims, rank) &&
              spread(c, &b, dims, rank);
    if (ok)
        combine(operation, out->values, b.values, out->count);
    array_free(&b);
    return ok;
}

bool evaluate_add(struct node_call *c, struct array *out)
{
    return binary(c, out, '+');
}
bool evaluate_subtract(struct node_call *c, struct array *out)
{
    return binary(c, out, '-');
}
bool evaluate_multiply(struct node_call *c, struct array *out)
{
    return binary(c, out, '*');
}
bool evaluate_divide(struct node_call *c, struct array *out)
{
    return binary(c, out, '/');
}

bool evaluate_round_down(struct node_call *c, struct array *out)
{
    if (!call_input(c, 0, out))
        return false;
    for (uint64_t i = 0; i < out->count; i++)
        out->values[i] = floorf(out->values[i]);
    return true;
}

bool evaluate_cast(struct node_call *c, struct array *out)
{
    int to = (int)node_int(c->node, "to", DATA_FLOAT);
    if (!call_input(c, 0, out))
        return false;
    bool narrow = to == DATA_FLOAT16 || to == DATA_BFLOAT16;
    for (uint64_t i = 0; i < out->count; i++)
        out->values[i] = narrow ? real_round(data_type_real(to), out->values[i])
                         : data_type_is_float(to) ? out->values[i]
                                                  : truncf(out->values[i]);
    return true;
}
