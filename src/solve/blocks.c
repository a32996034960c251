/* Blocks. Which values belong together is the weight's shape's to say, and what their
 * grids are, quant's. */
#include "solve/blocks.h"

#include <stdlib.h>

struct member {
    size_t group;
    uint32_t input;
};

static int by_group(const void *left, const void *right)
{
    const struct member *a = left, *b = right;
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    return a->input < b->input ? -1 : 1;
}

static void set_blocks(const struct member *members, struct blocks *b)
{
    for (size_t i = 0; i < b->inputs; i++) {
        if (i == 0 || members[i].group != members[i - 1].group)
            b->begin[b->count++] = i;
        b->sorted[i] = members[i].input;
        b->of[members[i].input] = (uint32_t)(b->count - 1);
    }
    b->begin[b->count] = b->inputs;
}

bool blocks_make(const size_t *groups, size_t inputs, struct blocks *b)
{
    struct member *members = malloc(inputs * sizeof *members);
    *b = (struct blocks){.inputs = inputs,
                         .of = malloc(inputs * sizeof *b->of),
                         .sorted = malloc(inputs * sizeof *b->sorted),
                         .begin = malloc((inputs + 1) * sizeof *b->begin)};
    bool ok = members && b->of && b->sorted && b->begin;
    if (ok) {
        for (size_t i = 0; i < inputs; i++)
            members[i] = (struct member){groups[i], (uint32_t)i};
        qsort(members, inputs, sizeof *members, by_group);
        set_blocks(members, b);
    } else {
        blocks_free(b);
    }
    free(members);
    return ok;
}

void blocks_free(struct blocks *b)
{
    free(b->of);
    free(b->sorted);
    free(b->begin);
    *b = (struct blocks){0};
}

/* Blocks from `first` on that are as long as that one. The last of them may be shorter,
 * if it is the last one of all. */
static size_t equal_blocks(const struct blocks *b, size_t first)
{
    size_t length = b->begin[first + 1] - b->begin[first], next = first + 1;
    while (next < b->count && b->begin[next + 1] - b->begin[next] == length)
        next++;
    if (next + 1 == b->count && b->begin[b->count] - b->begin[next] < length)
        next++;
    return next - first;
}

/* One call for all outputs is much faster than one for each. */
enum quant_fit blocks_fit(const struct blocks *b, const struct kernels *kernels,
                          const struct quant_scheme *scheme, const float *values,
                          size_t outputs, const float *importance, float *scales,
                          uint8_t *zeros)
{
    const bool regular = equal_blocks(b, 0) == b->count;
    enum quant_fit result = QUANT_FIT_OK;
    for (size_t m = 0; m < outputs && result == QUANT_FIT_OK; m += regular ? outputs : 1)
        for (size_t first = 0, n; first < b->count && result == QUANT_FIT_OK;
             first += n) {
            n = equal_blocks(b, first);
            size_t at = b->begin[first], inputs = b->begin[first + n] - at;
            const struct quant_shape shape = {.outer = regular ? outputs : 1,
                                              .dim = inputs,
                                              .inner = 1,
                                              .block = b->begin[first + 1] - at};
            const struct quant_source source = {values + m * b->inputs + at,
                                                REAL_FLOAT32};
            const struct quant_importance weights = {importance + at, 0, 1, 0};
            result = quant_fit_weighted(kernels, scheme, source,
                                        importance ? &weights : NULL, &shape, 0,
                                        shape.outer * n, scales + m * b->count + first,
                                        zeros + m * b->count + first);
        }
    return result;
}
