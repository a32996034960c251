/* Comparisons: from matches to the structs of nibble.h. */
#ifndef NIBBLE_COMPARE_COMPARISON_H
#define NIBBLE_COMPARE_COMPARISON_H

#include "core/error.h"
#include "nibble.h"

/* Compares the models at two paths. NULL after an error. */
struct nibble_comparison *comparison_make(const char *model, const char *quantized,
                                          const struct nibble_options *options,
                                          struct error *err);

#endif
