/* How each form is written: a row for each form of the table in plan/forms.c. A form
 * reserves its tensors, places its nodes, and leaves in the graph whatever the item's
 * consumers need. */
#ifndef NIBBLE_EMIT_FORM_EMITTERS_H
#define NIBBLE_EMIT_FORM_EMITTERS_H

#include "emit/emitter.h"

struct form_emitter {
    /* Makes the weight's value under the name `output`. NULL: the form replaces its
     * consumers. */
    bool (*decode)(struct emitter *e, const char *output);

    /* Makes the tensors, which are the same for all consumers of the item. */
    bool (*tensors)(struct emitter *e);

    /* Stands in for the consumer `use`, which goes out of the graph. */
    bool (*replace)(struct emitter *e, const struct use *use);
};

/* Each is at the end of the file of its name. */
extern const struct form_emitter dequantize_emitter, load_emitter, portable_emitter;
extern const struct form_emitter rows_emitter, nbits_emitter, lookup_emitter;

#endif
