/* The plan: what becomes of every float constant of the model, and why. Decides from
 * shapes and consumers. Reads values only to see which weights are equal, and a few to
 * see which constants are not weights. */
#ifndef NIBBLE_PLAN_PLAN_H
#define NIBBLE_PLAN_PLAN_H

#include "onnx/graph.h"
#include "onnx/tensor.h"
#include "plan/selector.h"
#include "quant/quant.h"

enum granularity {
    GRANULARITY_DEFAULT, /* per channel; channels of MatMul and Gemm in blocks of up to
                            256 */
    GRANULARITY_CHANNEL,
    GRANULARITY_TENSOR,
    GRANULARITY_BLOCKS,
};

/* What replaces a weight in the graph. The table in forms.c says more. */
enum form {
    FORM_NBITS,      /* com.microsoft MatMulNBits in place of MatMul or Gemm */
    FORM_EXPERTS,    /* com.microsoft QMoE in place of MoE */
    FORM_LOOKUP,     /* com.microsoft GatherBlockQuantized in place of Gather */
    FORM_ROWS,       /* Gather of codes, which are decoded afterwards */
    FORM_DEQUANTIZE, /* DequantizeLinear */
    FORM_LOAD,       /* Cast, Sub, Mul: folded when the model is loaded */
    FORM_PORTABLE,   /* the same on nibbles in uint8, without INT4 tensors */
    FORMS,
};

enum decode { DECODE_RUN, DECODE_LOAD, DECODE_PORTABLE, DECODE_AUTO };
enum target { TARGET_ONNXRUNTIME, TARGET_GENERIC, TARGET_OPENVINO };

/* How codes are packed into bytes. */
enum packing {
    PACK_BYTES,  /* one code in each byte */
    PACK_PAIRS,  /* element 2i in the low nibble of byte i, as in INT4 tensors */
    PACK_HALVES, /* row by row: the first half in low nibbles, the second half in high
                    ones. The first half may be longer by one */
};

/* What was chosen for one weight. It replaces the options for all weights. */
struct plan_choice {
    const char *reason; /* why it stays float; NULL: it is quantized as follows */
    bool missed;        /* it stays float although the options ask for more */
    enum quant_type type;
    enum granularity granularity;
    uint64_t block_size;
};

/* What the user wants for the weights that a selector means. It replaces the fields of
 * plan_options with the same names. */
struct plan_rule {
    struct selector selector;
    const char *text; /* as the user wrote it */
    char *copy;       /* holds the selector's text */
    bool optional;    /* it may mean no weight */
    bool keep;        /* they stay float */
    bool float32;     /* and are not stored as float16 */
    bool decides;     /* type or granularity, so that no plan_choice does */
    struct quant_scheme scheme;
    enum granularity granularity;
    uint64_t block_size;
    enum decode decode;
    bool half_scales;
};

/* Copies may take a tenth of the model, and a quarter of each weight's values. */
#define COPY_BYTES_DEFAULT UINT64_MAX

struct plan_options {
    struct quant_scheme scheme; /* scale_type is set for each weight */
    enum granularity granularity;
    uint64_t block_size; /* for GRANULARITY_BLOCKS */
    uint64_t min_elements;
    uint64_t load_below; /* smaller weights are decoded at load, not in runs */
    const struct selector *include, *exclude; /* NULL: all, none */
    const struct plan_rule
        *rules; /* for each weight the first one that means it counts */
    size_t rule_count;
    bool freeze;
    enum decode decode;
    enum target target;
    bool nbits;            /* com.microsoft operators where they exist */
    bool int8_activations; /* MatMulNBits may compute with 8-bit activations */
    bool wide_embeddings;  /* rows have 8 bits even if the type has 4 */
    bool wide_tables;      /* so have tables that reach the activations as they are */
    bool free_zeros;       /* where zero points are stored anyway, any may be used */
    uint64_t copy_bytes;   /* the most that copies may take, or COPY_BYTES_DEFAULT */
    uint64_t least_gain;   /* the least that a weight must save */
    bool half_scales;      /* weights of float and double have float16 scales */
    bool float16;          /* what stays float32 is stored as float16 */
    int64_t opset_max;     /* that forms may need; 0: any. Set for each model */
    /* What earlier passes found out about weights, by plan_key. unfit: why values can't
     * be quantized. wide_scales: weights whose scales don't fit into float16. */
    const struct map *unfit, *wide_scales;
    /* fixed: why constants are no weights, though they look so. NULL: not known yet. */
    const struct map *fixed;
    /* The struct plan_choice of weights that have one, by plan_key. May be NULL. */
    const struct map *choices;
    /* The struct plan_unfolded of weights at the ends of chains of constants that stay as
     * they are, by plan_key. May be NULL. */
    const struct map *unfolded;
};

/* What becomes of one weight. If its consumers get different forms, it has an item for
 * each form, one behind the other. */
struct plan_item {
    struct value *value;
    Onnx__TensorProto *tensor; /* dims and type; NULL for value_floats */
    const struct use *use;     /* the consumers that this item serves */
    bool alone;                /* it serves all consumers: the weight has no other item */
    int data_type;             /* the TensorProto.DataType of the values */
    uint64_t elements, bytes;
    bool quantize;
    bool requested; /* the options ask to quantize it */
    bool warning;   /* it stays float because of its values */
    bool fixed;     /* it stays float because no training made it */
    bool copy;      /* an earlier item of the same weight has counted its values */
    bool again;     /* the codes are stored once more, so that they are fused */
    bool chosen;    /* options.choices says what becomes of it */
    bool left_out;  /* --include does not mean it */
    bool excluded;  /* --exclude means it */
    const struct plan_rule *rule; /* the first one that means it; NULL: none */
    const char *reason;           /* why it stays float; NULL if it is quantized */

    bool as_float16;            /* it stays float32, but is stored as float16 */
    const char *float32_reason; /* why it is not, though the options ask for that */

    /* The following fields are set only if it is quantized. */
    struct payload *source;
    struct quant_scheme scheme;
    struct quant_shape shape;     /* of the values in the source */
    enum granularity granularity; /* never DEFAULT */
    bool whole;                   /* the blocks are channels that reach over two axes */
    size_t axis;                  /* the axis of channels or blocks in the source */
    size_t channel_axis;
    enum form form;
    enum packing packing;
    enum packing zero_packing; /* PACK_BYTES, or PACK_PAIRS */
    size_t row;                /* elements of a row, for PACK_HALVES and row_bytes */
    size_t row_bytes;          /* bytes for each row of codes; 0: as many as they take */
    bool transposed;           /* codes and scales of the matrix are stored transposed */
    bool padded;           /* each row of 4-bit zero points begins with a whole byte */
    bool in_bytes;         /* FORM_LOOKUP: codes lie in bytes, as those of MatMulNBits */
    bool int8_activations; /* of MatMulNBits */
    bool fused;            /* ONNX Runtime computes on the codes */
    bool joined;           /* ONNX Runtime may compute on the codes in integers */
    bool kept_apart;       /* it must not, so the form is FORM_LOAD */
    bool held_back;        /* FORM_PORTABLE, for it needs no higher opset */
    bool wide_scales;      /* the scales are float32, since float16 can't hold them */
    bool widened;          /* a table: it has 8 bits though the type has 4 */
    bool behind_transpose; /* some consumer takes it through a Transpose */

    /* How many consumers a copy for each would fuse, and the bytes of the copies. */
    size_t sharing;
    uint64_t sharing_bytes;

    /* An earlier item with equal values, form and layout. The codes are stored only
     * there. */
    struct plan_item *same;

    /* Codes and scales that calibration has found. NULL: fill finds them. */
    const struct solution *solution;
};

/* How many weights of one kind are quantized already. */
struct plan_already {
    int bits;
    const char *form; /* the operator that reads the codes, or the name of a form */
    size_t weights;
};

enum { PLAN_ALREADY_KINDS = 16 }; /* more kinds are counted with the last one */

/* How many weights each pattern of the options means. */
struct plan_matched {
    size_t include, exclude;
    size_t *rules; /* by the rule's index */
};

struct plan {
    struct arena *arena;     /* holds the items and their reasons */
    struct plan_item *items; /* in the order of the file */
    size_t count;
    size_t quantized;
    size_t as_float16;  /* items that are stored as float16 */
    bool wants_float16; /* the options ask for that */
    struct plan_already already[PLAN_ALREADY_KINDS];
    size_t already_kinds;
    struct plan_matched matched;
};

/* Makes the plan. The index must live as long. End with plan_free. */
bool plan_make(struct model *model, const struct graph_index *index,
               const struct plan_options *options, struct plan *plan, struct error *err);

void plan_free(struct plan *plan); /* a zeroed plan is fine */

/* The lowest opset that has all forms of the plan. 0 if nothing is quantized. */
int64_t plan_opset(const struct plan *plan);

/* The lowest IR version for all forms of the plan. 0 if nothing is quantized. */
int64_t plan_ir(const struct plan *plan);

/* The key of a weight in the maps of plan_options. It is unique, and the same in every
 * pass, before and after an upgrade. */
const char *plan_key(struct arena *arena, const struct value *value);

/* What passes over the weights found out. The maps have the same names in plan_options.
 */
struct plan_findings {
    struct map unfit, wide_scales, unfolded;
    struct map fixed;  /* in this pass: the next pass may see other weights */
    struct map folded; /* weights that were chains of constants, by plan_key */
    size_t codes;      /* in this pass: weights whose QuantizeLinear was computed */
    struct arena *keys;
};
bool plan_findings_open(struct plan_findings *findings, struct error *err);
void plan_findings_close(struct plan_findings *findings);

/* Why the weight at the end of a chain stays float, and the same fields of its item. */
struct plan_unfolded {
    const char *reason;
    bool asked, warning, chosen;
};

/* Notes why an item can't be quantized as planned. The fit is not QUANT_FIT_OK. */
bool plan_note(struct plan_findings *findings, const struct plan_item *item,
               enum quant_fit fit, struct error *err);

/* Notes a chain that was folded in vain, since its weight stays float. Sets *noted if the
 * next pass will see another chain. */
bool plan_note_unfolded(struct plan_findings *findings, const struct plan_item *item,
                        bool *noted, struct error *err);

/* Notes the constants that no training made. Later plans of the pass need not look at
 * their values again. */
bool plan_note_fixed(struct plan_findings *findings, const struct plan *plan,
                     struct error *err);

/* The bytes of a constant that stays float, as it is stored. */
uint64_t plan_float_bytes(const struct plan_item *item);

/* The bytes of codes, scales and zero points, wherever they are stored. */
uint64_t plan_bytes(const struct plan_item *item);

/* Whether zero points are stored. */
bool plan_has_zeros(const struct plan_item *item);

/* The type of scales that the operators take: the type of the weight, or float32 for
 * doubles. Stored scales may be narrower. */
enum real_type plan_scale_type(const struct plan_item *item);
bool plan_is_narrowed(const struct plan_item *item);

/* Whether a slow operator decodes it on every run. */
bool plan_is_slow(const struct plan_item *item);

#endif
