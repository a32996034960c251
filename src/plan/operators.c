/* The table of operators that carry weights. A new operator is a new row; what
 * rows can't say goes into `adjust`. */
#include "plan/operators.h"
#include "onnx/node.h"

#include <string.h>

struct operator {
    const char *op_type;
    size_t input; /* that may be a weight */
    size_t rank_min, rank_max;
    int channel, reduction; /* axes; negative ones count from the end */
    bool cut;
    const char *transposed; /* an attribute that swaps the two axes */
    void (*adjust)(const Onnx__NodeProto *node, const int64_t *dims, struct layout *layout);
};

/* In a depthwise ConvTranspose, [C, 1, ...], the channels are on axis 0. */
static void adjust_conv_transpose(const Onnx__NodeProto *node, const int64_t *dims,
                                  struct layout *layout)
{
    if (node_int(node, "group", 1) == dims[0] && dims[0] > 1)
        *layout = (struct layout){.channel = 0, .reduction = 1};
}

enum { RANK_ANY = 64 };

static const struct operator operators[] = {
    {"MatMul", 1, 2, RANK_ANY, -1, -2, true, NULL, NULL},
    {"MatMul", 0, 2, RANK_ANY, -2, -1, true, NULL, NULL},
    {"Gemm", 1, 2, 2, 1, 0, true, "transB", NULL},
    {"Gemm", 0, 2, 2, 0, 1, true, "transA", NULL},
    {"Conv", 1, 3, RANK_ANY, 0, 1, false, NULL, NULL},
    {"ConvTranspose", 1, 3, RANK_ANY, 1, 0, false, NULL, adjust_conv_transpose},
};

static const struct operator *find(const struct use *use, bool *known)
{
    *known = false;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (!node_is(use->node, operators[i].op_type))
            continue;
        *known = true;
        if (operators[i].input == use->input)
            return &operators[i];
    }
    return NULL;
}

static size_t axis_of(int axis, size_t rank)
{
    return axis < 0 ? rank - (size_t)-axis : (size_t)axis;
}

static const char *say(const char *message)
{
    return message ? message : "out of memory";
}

const char *operator_layout(struct model *model, const struct use *use, const int64_t *dims,
                            size_t rank, struct layout *layout)
{
    bool known;
    if (!use->node)
        return "it is an output of its graph";
    const char *op_type = text(use->node->op_type);
    const struct operator *row = find(use, &known);
    if (!row && known)
        return say(arena_printf(model->arena, "input %zu of %s is no weight", use->input,
                                op_type));
    if (!row)
        return say(arena_printf(model->arena, "used by %s, which keeps float weights",
                                op_type));
    if (rank < row->rank_min || rank > row->rank_max)
        return say(arena_printf(model->arena, "rank %zu does not suit %s", rank, op_type));
    *layout = (struct layout){.channel = axis_of(row->channel, rank),
                              .reduction = axis_of(row->reduction, rank),
                              .cut = row->cut};
    if (row->transposed && node_int(use->node, row->transposed, 0) != 0) {
        size_t channel = layout->channel;
        layout->channel = layout->reduction;
        layout->reduction = channel;
    }
    if (row->adjust)
        row->adjust(use->node, dims, layout);
    return NULL;
}
