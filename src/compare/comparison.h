/* Comparisons: from matches to the structs of nibble.h. */
#ifndef NIBBLE_COMPARE_COMPARISON_H
#define NIBBLE_COMPARE_COMPARISON_H

#include "core/error.h"
#include "nibble.h"
#include "onnx/store.h"

/* Compares two models, the float one first, and writes the reports. The result has the
 * names as they are given here. NULL after an error. */
struct nibble_comparison *comparison_make(const char *const names[2],
                                          struct file *const files[2],
                                          struct output *const reports[STORE_REPORTS],
                                          const volatile int *cancel, struct error *err);

#endif
