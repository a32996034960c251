/* The files of an output: one file, or a model file and data files beside it. They appear
 * together: the rename of the model file is the moment that counts. */
#ifndef NIBBLE_ONNX_STORE_H
#define NIBBLE_ONNX_STORE_H

#include "onnx/write.h"

struct store_options {
    bool external;         /* a data file even below 2 GiB */
    const char *data_name; /* NULL, or the name of the data file */
    bool force;            /* the output may be the input */
    const volatile int *cancel;
};

/* A file of external data that is written beside the model. */
struct store_data {
    struct store_data *next;
    struct output *output;
    struct stand_in written; /* set by store_reopen */
};

struct store {
    const struct store_options *options;
    struct model *model; /* the one that the output is opened for */
    struct output *output;
    struct store_data *data;
    char *location; /* of tensors in a data file that is named by its contents, or NULL */
    const struct model *copied; /* its data files are the output's, too; or NULL */
};

/* Begins an output at path. Refuses to replace a file of the model unless forced. */
bool store_open(struct store *store, const char *path, struct model *model,
                const struct store_options *options, struct error *err);

/* Empties the output, to write it again. */
bool store_reset(struct store *store, struct error *err);

/* Writes the skeleton and all payloads that are not reserved. `size` is what model_size
 * says. The model must stay as it is until the store is prepared. */
bool store_write(struct store *store, struct model *model, uint64_t size,
                 struct error *err);

/* Writes the bytes that a model was read from, and copies of its data files. The model
 * must be as it was read, and live until the store is published. */
bool store_copy(struct store *store, struct model *model, struct error *err);

/* Begins a data file at path, or without a name if that is NULL. NULL on failure. */
struct output *store_add_data(struct store *store, const char *path,
                              const struct model *model, struct error *err);

/* Makes all files durable, under temporary names. Sets *size to the bytes of them. */
bool store_prepare(struct store *store, uint64_t *size, struct error *err);

/* Opens the prepared model, with its data files still under their temporary names. The
 * store must outlive it. */
struct file *store_reopen(struct store *store, struct error *err);

/* A run may have so many reports. One that is not asked for is NULL. */
enum { STORE_REPORTS = 2 };

/* Gives the files their names, and then the reports theirs. `reports` are prepared. Fails
 * before the first rename if it can. */
bool store_publish(struct store *store, struct output *const reports[STORE_REPORTS],
                   struct error *err);

/* Prepares and publishes, without a report. */
bool store_commit(struct store *store, struct error *err);

/* Fails if a report would replace another file of this run. */
bool store_check_reports(const struct store *store, const struct model *model,
                         struct output *const reports[STORE_REPORTS], struct error *err);

/* Publishes reports of a run without an output. */
bool store_publish_reports(const struct store *store, const struct model *model,
                           struct output *const reports[STORE_REPORTS],
                           struct error *err);

void store_close(struct store *store); /* removes files that were not published */

#endif
