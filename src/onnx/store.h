/* Where a model goes: one file, or a model file and a data file beside it. Both
 * appear on commit, or neither. */
#ifndef NIBBLE_ONNX_STORE_H
#define NIBBLE_ONNX_STORE_H

#include "onnx/write.h"

struct store_options {
    bool external; /* a data file even below 2 GiB */
    bool force;    /* the output may be the input */
    const volatile int *cancel;
};

struct store {
    const struct store_options *options;
    struct output *output, *data; /* data: NULL for one file */
};

/* Begins an output at path; refuses to replace a file of the model unless forced. */
bool store_open(struct store *store, const char *path, const struct model *model,
                const struct store_options *options, struct error *err);

/* Empties the output, to write it again. */
bool store_reset(struct store *store, struct error *err);

/* Writes the skeleton and all payloads that are not reserved. */
bool store_write(struct store *store, struct model *model, struct error *err);

/* Gives the files their names; sets *size to the bytes of both. */
bool store_commit(struct store *store, uint64_t *size, struct error *err);

void store_close(struct store *store); /* what was not committed is removed */

#endif
