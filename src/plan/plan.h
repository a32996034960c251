/* The plan: for every float constant of the model what becomes of it, and why.
 * Decides from shapes and consumers; reads no weight's values. */
#ifndef NIBBLE_PLAN_PLAN_H
#define NIBBLE_PLAN_PLAN_H

#include "onnx/graph.h"
#include "onnx/tensor.h"
#include "quant/quant.h"

#include <regex.h>

enum granularity {
    GRANULARITY_DEFAULT, /* per channel; MatMul and Gemm channels cut at 256 */
    GRANULARITY_CHANNEL,
    GRANULARITY_TENSOR,
    GRANULARITY_BLOCKS,
};

struct plan_options {
    struct quant_scheme scheme; /* scale_type is set for each weight */
    enum granularity granularity;
    uint64_t block_size; /* for GRANULARITY_BLOCKS */
    uint64_t min_elements;
    const regex_t *include, *exclude; /* NULL: all, none */
    bool freeze;
    /* Reasons of weights whose values turned out not to allow it, by plan_key. */
    const struct map *unfit;
};

/* What becomes of one weight. */
struct plan_item {
    struct value *value;
    Onnx__TensorProto *tensor; /* its dims and type; NULL for value_floats */
    const struct use *use;     /* the first consumer; NULL: none */
    int data_type;             /* of the values as they are, like these: */
    uint64_t elements, bytes;
    bool quantize;
    bool asked;         /* the options ask for it */
    bool warning;       /* left float because of its values */
    const char *reason; /* of one that stays float */

    /* Of one that is quantized: */
    struct payload *source;
    struct quant_scheme scheme;
    struct quant_shape shape;
    enum granularity granularity; /* never DEFAULT */
    size_t axis;                  /* of channels, or of blocks */
    size_t channel_axis;
    const char *form; /* the operator that decodes it */

    /* Set by emit: reserved payloads. zeros is NULL without zero points. */
    struct payload *codes, *scales, *zeros;

    /* Set by fill. */
    struct quant_error error;
    enum quant_fit fit;
};

struct plan {
    struct plan_item *items; /* in the order of the file */
    size_t count;
    size_t quantized;
};

/* Makes the plan in the model's arena. */
bool plan_make(struct model *model, const struct graph_index *index,
               const struct plan_options *options, struct plan *plan, struct error *err);

/* The lowest opset that all forms in the plan need; 0 where none needs any. */
int64_t plan_opset(const struct plan *plan);

/* The key of a weight in options.unfit: unique in the model, the same each time. */
const char *plan_key(struct model *model, const struct value *value);

/* Bytes of codes, scales and zero points. */
uint64_t plan_bytes(const struct plan_item *item);

#endif
