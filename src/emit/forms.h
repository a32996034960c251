/* The forms: each in the file of its name. A form reserves its tensors, places its
 * nodes, and leaves in the graph whatever the item's consumers need. */
#ifndef NIBBLE_EMIT_FORMS_H
#define NIBBLE_EMIT_FORMS_H

#include "emit/emitter.h"

/* Forms that make the weight's value under the name `output`. */
bool emit_dequantize(struct emitter *e, const char *output);
bool emit_load(struct emitter *e, const char *output);
bool emit_portable(struct emitter *e, const char *output);

/* Forms that stand in for the consumer `use`, which goes out of the graph; the
 * tensors are the same for all consumers of the item. */
bool emit_rows_tensors(struct emitter *e);
bool emit_rows(struct emitter *e, const struct use *use);
bool emit_nbits_tensors(struct emitter *e);
bool emit_nbits(struct emitter *e, const struct use *use);
bool emit_lookup_tensors(struct emitter *e);
bool emit_lookup(struct emitter *e, const struct use *use);

#endif
