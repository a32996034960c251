/* The table of forms. A form is what stands in the graph for a weight. The table says
 * everything about a form but how it is written: emit/ has a file for that. */
#ifndef NIBBLE_PLAN_FORMS_H
#define NIBBLE_PLAN_FORMS_H

#include "plan/plan.h"
#include "plan/weight_operators.h"

/* When the codes become floats. */
enum decoding {
    DECODED_NEVER,    /* the operator computes on the codes */
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

    /* The lowest opset, whatever the weight; with blocks; and with scales that are not
     * float32. 0 stands for no higher one. 4-bit codes in tensors of their own type need
     * opset 21 and IR version 10. */
    int64_t opset, opset_blocks, opset_scales;
    bool int4_tensors;

    bool unsigned_codes;  /* signed codes are stored shifted by half their range */
    bool implied_middle;  /* unsigned codes without zero points: the middle is taken */
    enum packing packing; /* of 4-bit codes; those of 8 bits are PACK_BYTES */

    /* A form that replaces its consumers says which it replaces, and whether the
     * operator is one of com.microsoft's. It is wanted wherever it can hold the weight.
     */
    bool replaces_consumers;
    enum consumer consumer;
    bool microsoft;
    bool (*can_hold)(const struct layout *layout, const struct plan_item *item);

    /* Sets how the codes lie, once scheme and granularity are known. NULL: as the
     * values do. */
    void (*arrange)(const struct plan_options *options, struct plan_item *item);
};

const struct form_info *form_info(enum form form);

/* The name of a way to decode, in plain words. */
const char *decoding_text(enum decoding decoding);

/* The opset and the IR version that an item's operators and types came with. */
int64_t form_opset(const struct plan_item *item);
int64_t form_ir(const struct plan_item *item);

/* The form that suits an item of this scheme and granularity best. */
enum form form_best(const struct plan_options *options, const struct layout *layout,
                    const struct plan_item *item);

/* Whether ONNX Runtime computes on the item's codes. */
bool form_fuses(const struct plan_options *options, const struct layout *layout,
                const struct plan_item *item);

/* Sets packing and order of the item's codes. */
void form_arrange(const struct plan_options *options, struct plan_item *item);

#endif
