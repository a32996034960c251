/* Checking a finished file against the model in memory that it was written from. */
#ifndef NIBBLE_COMPARE_VERIFICATION_H
#define NIBBLE_COMPARE_VERIFICATION_H

#include "emit/emit.h"
#include "fill/fill.h"

/* What should be in the file. */
struct verification {
    struct model *model;     /* as it was written, with the plan emitted */
    bool copied;             /* the file is the model's own, byte for byte */
    const struct plan *plan; /* no items: nothing was quantized */
    const struct item_tensors *tensors;
    const struct fill_result *results; /* NULL: errors were not measured */
    const volatile int *cancel;
};

/* Reads the file and compares all tensors. Quantized weights are decoded through the
 * graph of the file, one at a time, and compared with their source. The first difference
 * is an error that names the weight. */
bool verify_written(const struct verification *what, struct file *file,
                    struct error *err);

#endif
