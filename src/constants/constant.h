/* A constant: values of one type, seen through dims and strides. Transpose, Slice, Expand
 * and the like only change these. The values lie in the model, or in memory that belongs
 * to the constant. */
#ifndef NIBBLE_CONSTANTS_CONSTANT_H
#define NIBBLE_CONSTANTS_CONSTANT_H

#include "onnx/tensor.h"

enum {
    CONSTANT_RANK_MAX = 16,
    CONSTANT_SCRATCH_MIN = 1 << 20, /* fewer bytes need no temporary file */
    CONSTANT_MEMORY_MAX = 64 << 20, /* more bytes always go to one */
};

struct constant {
    const uint8_t *data; /* the first element; NULL: there is none, or only dims and type
                            are known */
    int data_type;       /* codes of 2 and 4 bits take a byte each */
    size_t rank;
    uint64_t dims[CONSTANT_RANK_MAX];
    ptrdiff_t strides[CONSTANT_RANK_MAX]; /* in bytes */

    /* Where the values are: in a tensor of the model, in a temporary file, or in memory.
     * The last two go with the constant. */
    const struct payload *payload;
    struct file *file;
    void *memory;
};

/* Makes room for packed values. Large ones go to a temporary file, and with `scratch` set
 * those of CONSTANT_SCRATCH_MIN bytes do, too. */
bool constant_make(struct constant *constant, bool scratch, struct error *err);
void constant_free(struct constant *constant);

uint64_t constant_elements(const struct constant *constant);
uint64_t constant_bytes(const struct constant *constant); /* as raw_data has them */
size_t constant_width(int data_type); /* the bytes of one element; 0: it has no such */
void constant_set_strides(struct constant *constant);
/* Sets type and dims, and the strides of packed values. There are no values yet. False if
 * the rank or the number of elements is too large. */
bool constant_shape(struct constant *constant, int data_type, const uint64_t *dims,
                    size_t rank, uint64_t limit);

/* Makes the values packed. False, with an error, if there is no room for that. */
bool constant_pack(struct constant *constant, bool scratch, struct error *err);

/* Copies the values of a view to `out`, which has strides of its own. */
void constant_copy(const struct constant *from, uint8_t *out, const ptrdiff_t *strides);

/* Makes the values the model's own, packed as in raw_data. Views of its files stay views.
 * The constant must still be freed. NULL with an error. */
const struct payload *constant_keep(struct model *model, struct constant *constant,
                                    struct error *err);

/* Views the constant with the dims that it broadcasts to. False if it can't. */
bool constant_broadcast(struct constant *constant, const uint64_t *dims, size_t rank);

/* Reads `count` values, from the one at `first` on, in the order of the dims. */
void constant_load(const struct constant *constant, uint64_t first, size_t count,
                   double *out);

/* Writes values, rounded to the type as IEEE 754 says. Integers wrap around. */
void constant_store(int data_type, const double *values, size_t count, uint8_t *out);

#endif
