/* Sites: where the inputs of a quantized weight can be observed, how arrays of them
 * become rows, and how the weight lies as a matrix that multiplies these. */
#ifndef NIBBLE_CALIBRATE_SITES_H
#define NIBBLE_CALIBRATE_SITES_H

#include "plan/plan.h"

enum site_kind {
    SITE_ROWS,           /* vectors along one axis */
    SITE_CONV,           /* what the kernel sees, at some places */
    SITE_CONV_TRANSPOSE, /* what one output is made of */
    SITE_STATE,          /* the hidden state before each step */
    SITE_KINDS,
};

enum { SITE_AXES = 6, SITE_VALUES = 2 };

/* The spatial side of a convolution. */
struct window {
    size_t axes, taps;
    int64_t kernel[SITE_AXES], strides[SITE_AXES], dilations[SITE_AXES];
    int64_t before[SITE_AXES], after[SITE_AXES]; /* padding, but where it is automatic */
    int64_t extra[SITE_AXES], shape[SITE_AXES];  /* output_padding, output_shape or 0 */
    bool same_upper, same_lower, has_shape;
};

struct site {
    enum site_kind kind;
    struct scope *scope;
    Onnx__NodeProto *node;
    /* The tensors to observe: the input; of a state the output Y ("": it has none yet)
     * and the initial state ("": zeros). */
    const char *values[SITE_VALUES];
    int data_type;   /* of them */
    const char *key; /* sites of one key see the same rows */
    size_t groups, inputs;
    int axis;         /* SITE_ROWS: counted from the end, from -1; */
    bool batched;     /* groups are matrices of a batch, which the input has, too */
    bool reverse;     /* SITE_STATE: the first direction runs backwards, */
    bool batch_first; /* and `layout` is 1 */
    struct window window;
};

/* The weight as seen from its site: element (g, n, k) lies at g * group_stride +
 * n * output_stride + offsets[k]. */
struct site_matrix {
    size_t groups, outputs, inputs;
    size_t group_stride, output_stride;
    size_t *offsets;
};

/* The site of one use of an item, and the weight's matrix there; false where there is
 * none: the weight is quantized without data then. Everything is made in the arena; what
 * runs out of memory is arena_exhausted. */
bool site_make(struct arena *arena, const struct plan_item *item, const struct use *use,
               struct site *site, struct site_matrix *matrix);

#endif
