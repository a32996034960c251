/* The table of forms. A form is what replaces a weight in the graph. The table says
 * everything about a form except how it is written, which is in emit/. */
#ifndef NIBBLE_PLAN_FORMS_H
#define NIBBLE_PLAN_FORMS_H

#include "plan/plan.h"
#include "plan/weight_operators.h"

/* When the codes become floats. */
enum decoding {
    DECODED_NEVER,    /* not at all: the operator computes on the codes */
    DECODED_ROWS,     /* only the rows that are looked up, on every run */
    DECODED_EACH_RUN, /* all of them, on every run */
    DECODED_AT_LOAD,  /* all of them, once */
};

/* Which codes a runtime computes on. */
enum fusion {
    FUSION_NONE,
    FUSION_OWN,    /* those that belong to one operator alone */
    FUSION_SHARED, /* those that any number of operators share, too */
};

struct form_info {
    const char *name; /* as reports call it: its main operator, or a word of nibble's */
    enum decoding decoding;
    enum fusion fusion;

    /* The lowest opset for any weight, for one with blocks, and for one whose scales are
     * not float32. 0: no higher opset is needed. If int4_tensors is set, 4-bit codes are
     * stored in tensors of type INT4 or UINT4. These need opset 21 and IR version 10. */
    int64_t opset, opset_blocks, opset_scales;
    bool int4_tensors;

    bool unsigned_codes;  /* signed codes are stored shifted by half their range */
    bool implied_middle;  /* the zero point is the middle if none is stored */
    bool centred;         /* the zero point is always the middle */
    enum packing packing; /* how 4-bit codes are packed; 8-bit codes are PACK_BYTES */

    /* If a form replaces its consumers: which consumers, and whether its operator is one
     * of com.microsoft. Such a form is chosen wherever it can hold the weight. */
    bool replaces_consumers;
    enum consumer consumer;
    bool microsoft;
    bool (*can_hold)(const struct layout *layout, const struct plan_item *item);

    /* Sets the order of the codes, once scheme and granularity are known. NULL if it is
     * the order of the values. */
    void (*arrange)(const struct plan_options *options, struct plan_item *item);
};

const struct form_info *form_info(enum form form);

/* Says in plain words when the codes become floats. */
const char *decoding_text(enum decoding decoding);

/* The lowest opset and IR version that have the item's operators and types. */
int64_t form_opset(const struct plan_item *item);
int64_t form_ir(const struct plan_item *item);

/* The best form for an item whose scheme and granularity are known. */
enum form form_best(const struct plan_options *options, const struct layout *layout,
                    const struct plan_item *item);

/* Whether ONNX Runtime computes on the item's codes. */
bool form_fuses(const struct plan_options *options, const struct layout *layout,
                const struct plan_item *item);

/* Whether MatMulNBits and GatherBlockQuantized could share the item's codes. */
bool form_can_share(const struct plan_item *item);

/* Makes the item's codes lie as both read them: in bytes, without zero points. */
void form_put_in_bytes(struct plan_item *item);

/* Sets packing and order of the item's codes. */
void form_arrange(const struct plan_options *options, struct plan_item *item);

#endif
