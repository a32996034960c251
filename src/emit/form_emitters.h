/* How each form is written. There is an emitter for each form of the table in
 * plan/forms.c. It reserves the tensors and adds the nodes. Afterwards the graph has
 * whatever the item's consumers need. */
#ifndef NIBBLE_EMIT_FORM_EMITTERS_H
#define NIBBLE_EMIT_FORM_EMITTERS_H

#include "emit/emitter.h"

struct form_emitter {
    /* Makes the weight's value and names it `output`. NULL if the form replaces its
     * consumers. */
    bool (*decode)(struct emitter *e, const char *output);

    /* Makes the tensors, which are the same for all consumers of the item. */
    bool (*tensors)(struct emitter *e);

    /* Makes the node that replaces the consumer `use`. */
    bool (*replace)(struct emitter *e, const struct use *use);
};

/* Each is at the end of the file of its form. */
extern const struct form_emitter dequantize_emitter, load_emitter, portable_emitter;
extern const struct form_emitter rows_emitter, nbits_emitter, lookup_emitter;
extern const struct form_emitter experts_emitter;

#endif
