/* The files of an output: one file, or a model file and data files beside it. On commit
 * all of them appear, or none. */
#ifndef NIBBLE_ONNX_STORE_H
#define NIBBLE_ONNX_STORE_H

#include "onnx/write.h"

struct store_options {
    bool external; /* a data file even below 2 GiB */
    bool force;    /* the output may be the input */
    const volatile int *cancel;
};

/* A file of external data that is written beside the model. */
struct store_data {
    struct store_data *next;
    struct output *output;
};

struct store {
    const struct store_options *options;
    struct output *output;
    struct store_data *data;
};

/* Begins an output at path. Refuses to replace a file of the model unless forced. */
bool store_open(struct store *store, const char *path, const struct model *model,
                const struct store_options *options, struct error *err);

/* Empties the output, to write it again. */
bool store_reset(struct store *store, struct error *err);

/* Writes the skeleton and all payloads that are not reserved. `size` is what model_size
 * says. */
bool store_write(struct store *store, struct model *model, uint64_t size,
                 struct error *err);

/* Writes the bytes that the model was read from, and copies of its data files. The
 * model must be as it was read. */
bool store_copy(struct store *store, struct model *model, struct error *err);

/* Begins a data file at path. NULL on failure. */
struct output *store_add_data(struct store *store, const char *path,
                              const struct model *model, struct error *err);

/* Gives the files their names. Sets *size to the bytes of all files. */
bool store_commit(struct store *store, uint64_t *size, struct error *err);

void store_close(struct store *store); /* removes files that were not committed */

#endif
