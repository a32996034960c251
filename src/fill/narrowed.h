/* Writing constants that are stored as float16. */
#ifndef NIBBLE_FILL_NARROWED_H
#define NIBBLE_FILL_NARROWED_H

#include "fill/fill.h"

/* Writes all of them to the places that the writer has reserved. */
bool fill_narrowed(const struct plan *plan, const struct item_tensors *tensors,
                   const struct fill_options *options, struct error *err);

#endif
