/* What the errors of the weights say about the outputs of the model. */
#ifndef NIBBLE_REPORT_ESTIMATE_H
#define NIBBLE_REPORT_ESTIMATE_H

#include "core/arena.h"
#include "fill/fill.h"
#include "nibble.h"

/* Sets estimated_snr_db and note. Something must be quantized. */
bool estimate_outputs(struct arena *arena, const struct plan *plan,
                      const struct fill_result *results, size_t depth,
                      struct nibble_report *report);

#endif
