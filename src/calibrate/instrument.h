/* Instrumenting: the model with the tensors that sites want as further outputs. */
#ifndef NIBBLE_CALIBRATE_INSTRUMENT_H
#define NIBBLE_CALIBRATE_INSTRUMENT_H

#include "calibrate/sites.h"

struct instrument;

/* Whether what happens at the site's place can be handed out: in bodies of If, Loop and
 * Scan, but not of an If that runs in a loop, whose outputs would change their shape. */
bool instrument_reaches(const struct instrument *instrument, const struct site *site);

struct instrument *instrument_begin(struct model *model, const struct graph_index *index,
                                    struct error *err);

/* Makes sure that a value of the site can be observed. Its name there, which is that of
 * an output or of an input of the model, is in the model's arena; "": the site has none.
 * NULL with an error. */
const char *instrument_value(struct instrument *instrument, const struct site *site,
                             size_t value, bool *is_input);

/* Ends it; the graph index is out of date then. */
void instrument_end(struct instrument *instrument); /* NULL is fine */

#endif
