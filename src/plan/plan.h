/* The plan: for every float constant of the model what becomes of it, and why.
 * Decides from shapes and consumers; looks at values only to see which are equal, and
 * at a few to see which are no weights. */
#ifndef NIBBLE_PLAN_PLAN_H
#define NIBBLE_PLAN_PLAN_H

#include "onnx/graph.h"
#include "onnx/tensor.h"
#include "quant/quant.h"

#include <regex.h>

enum granularity {
    GRANULARITY_DEFAULT, /* per channel; MatMul and Gemm channels cut up to 256 */
    GRANULARITY_CHANNEL,
    GRANULARITY_TENSOR,
    GRANULARITY_BLOCKS,
};

/* What stands in the graph for a weight. The table in forms.c says more. */
enum form {
    FORM_NBITS,      /* com.microsoft MatMulNBits in place of MatMul or Gemm */
    FORM_LOOKUP,     /* com.microsoft GatherBlockQuantized in place of Gather */
    FORM_ROWS,       /* Gather of codes, decoded after it */
    FORM_DEQUANTIZE, /* DequantizeLinear */
    FORM_LOAD,       /* Cast, Sub, Mul: folded when the model is loaded */
    FORM_PORTABLE,   /* the same on nibbles in uint8, without INT4 types */
    FORMS,
};

enum decode { DECODE_RUN, DECODE_LOAD, DECODE_PORTABLE, DECODE_AUTO };
enum target { TARGET_ONNXRUNTIME, TARGET_GENERIC };

/* How codes are laid into bytes. */
enum packing {
    PACK_BYTES,  /* one code a byte */
    PACK_PAIRS,  /* element 2i in the low nibble of byte i, as INT4 tensors are */
    PACK_HALVES, /* by rows: element i of the first half of a row low, the same of
                    the second half high; the first half is the longer one */
};

/* What was chosen for one weight in place of what the options say for all. */
struct plan_choice {
    const char *reason; /* to stay float; NULL: as follows */
    bool missed;        /* of one that stays float: the options asked for more */
    enum quant_type type;
    enum granularity granularity;
    uint64_t block_size;
};

/* Of the model a tenth, of each weight a quarter of its values. */
#define COPY_BYTES_DEFAULT UINT64_MAX

struct plan_options {
    struct quant_scheme scheme; /* scale_type is set for each weight */
    enum granularity granularity;
    uint64_t block_size; /* for GRANULARITY_BLOCKS */
    uint64_t min_elements;
    const regex_t *include, *exclude; /* NULL: all, none */
    bool freeze;
    enum decode decode;
    enum target target;
    bool nbits;            /* com.microsoft operators where they exist */
    bool int8_activations; /* of MatMulNBits */
    bool wide_embeddings;  /* 8-bit rows though the type has 4 bits */
    uint64_t copy_bytes;   /* what copies of codes may take in all; COPY_BYTES_DEFAULT */
    uint64_t least_gain;   /* bytes that a weight must save */
    bool half_scales;      /* float16 scales for weights of float and double */
    int64_t opset_max;     /* that forms may need; 0: any. Set for each model */
    /* Weights whose values turned out not to allow it, by plan_key: reasons to stay
     * float, and (of anything) that float16 can't hold the scales. */
    const struct map *unfit, *wide_scales;
    /* struct plan_choice of weights that have one, by plan_key; NULL: none has. */
    const struct map *choices;
    /* struct plan_unfolded of weights at the ends of chains of constants, by plan_key:
     * the chains stay as they are. */
    const struct map *unfolded;
};

/* What becomes of one weight. A weight that serves its consumers in more than
 * one form has as many items, one behind the other. */
struct plan_item {
    struct value *value;
    Onnx__TensorProto *tensor; /* its dims and type; NULL for value_floats */
    const struct use *use;     /* the consumers that this item serves; NULL: none */
    bool alone;                /* all of them: the weight has no other item */
    int data_type;             /* of the values as they are, like these: */
    uint64_t elements, bytes;
    bool quantize;
    bool requested;     /* the options ask for it to be quantized */
    bool warning;       /* left float because of its values */
    bool copy;          /* another item has counted the weight's values, */
    bool again;         /* and its codes are stored once more, to be fused */
    bool chosen;        /* options.choices says what becomes of it */
    const char *reason; /* of one that stays float */

    /* Of one that is quantized: */
    struct payload *source;
    struct quant_scheme scheme;
    struct quant_shape shape;     /* of the source */
    enum granularity granularity; /* never DEFAULT */
    size_t axis;                  /* of channels, or of blocks, in the source */
    size_t channel_axis;
    enum form form;
    enum packing packing;
    size_t row;            /* elements of a row: PACK_HALVES, and with */
    size_t row_bytes;      /* room for each row of codes: whole blocks. 0: no more than
                              they take */
    bool transposed;       /* codes and scales are stored transposed; rank 2 */
    bool padded;           /* 4-bit zero points: every row of the codes begins a byte */
    bool int8_activations; /* of MatMulNBits */
    bool fused;            /* ONNX Runtime computes on the codes */
    bool joined;           /* ONNX Runtime may compute on them in integers, */
    bool kept_apart;       /* or must not, and gets floats by FORM_LOAD */
    bool held_back;        /* FORM_PORTABLE, for it needs no higher opset */
    bool wide_scales;      /* float32 scales, since float16 can't hold them */
    bool behind_transpose; /* some consumer has it by a Transpose */

    /* Consumers that would be fused if each had a copy, and what copies would take. */
    size_t sharing;
    uint64_t sharing_bytes;

    /* An earlier item of equal values, form and layout: stored once, there. */
    struct plan_item *same;

    /* Codes and grids that were found beforehand; NULL: fill finds them. */
    const struct solution *solution;
};

/* Weights that are quantized already: so many of one kind. */
struct plan_already {
    int bits;
    const char *form; /* the operator that reads the codes, or a form's name */
    size_t weights;
};

enum { PLAN_ALREADY_KINDS = 16 }; /* further kinds are not told apart from the last */

struct plan {
    struct arena *arena;     /* of the items and their reasons */
    struct plan_item *items; /* in the order of the file */
    size_t count;
    size_t quantized;
    struct plan_already already[PLAN_ALREADY_KINDS];
    size_t already_kinds;
};

/* Makes the plan. Free it with plan_free when the index it was made from is gone. */
bool plan_make(struct model *model, const struct graph_index *index,
               const struct plan_options *options, struct plan *plan, struct error *err);

void plan_free(struct plan *plan); /* a zeroed one is fine */

/* The lowest opset that all forms in the plan need; 0 where none needs any. */
int64_t plan_opset(const struct plan *plan);

/* The lowest IR version that they need. */
int64_t plan_ir(const struct plan *plan);

/* The key of a weight in options.unfit and options.choices: unique, and the same
 * each time, before an upgrade and after. */
const char *plan_key(struct arena *arena, const struct value *value);

/* What passes over the weights found out: plan_options.unfit, wide_scales and unfolded.
 */
struct plan_findings {
    struct map unfit, wide_scales, unfolded;
    struct map folded; /* keys of weights that were chains of constants */
    struct arena *keys;
};

/* Why the weight at the end of a chain stays float; what the item said of it. */
struct plan_unfolded {
    const char *reason;
    bool asked, warning, chosen;
};

/* Notes why an item can't be quantized as it was planned. The fit is not OK. */
bool plan_note(struct plan_findings *findings, const struct plan_item *item,
               enum quant_fit fit, struct error *err);

/* Notes the item of a chain that was folded in vain, for its weight stays float. *noted
 * is set where the next pass will see another chain. */
bool plan_note_unfolded(struct plan_findings *findings, const struct plan_item *item,
                        bool *noted, struct error *err);

/* Bytes of codes, scales and zero points, wherever they are stored. */
uint64_t plan_bytes(const struct plan_item *item);

/* Whether zero points are stored: not where the form takes the middle for granted. */
bool plan_has_zeros(const struct plan_item *item);

/* The type of scales that its operators take: that of the weight, or float32 for
 * doubles. Those that are stored may be narrower. */
enum real_type plan_scale_type(const struct plan_item *item);
bool plan_is_narrowed(const struct plan_item *item);

/* Runs as decoded each time the model runs, by an operator that is slow at it. */
bool plan_is_slow(const struct plan_item *item);

#endif
