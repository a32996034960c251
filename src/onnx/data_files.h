/* Names of data files. A data file belongs to the model file OUT if it is called
 * OUT.HASH.data, where HASH depends on its contents. So a new data file never replaces
 * the one of the old OUT, and the rename of OUT alone switches from one pair to the
 * other. */
#ifndef NIBBLE_ONNX_DATA_FILES_H
#define NIBBLE_ONNX_DATA_FILES_H

#include "core/output.h"
#include "onnx/model.h"

/* Returns OUT.HASH.data for a path OUT, in the arena, with zeros for HASH. NULL if memory
 * ran out. */
char *data_name(struct arena *arena, const char *path);

/* Puts the hash of the output's bytes into such a name. */
bool data_name_by_contents(char *name, const struct output *data,
                           const volatile int *cancel, struct error *err);

/* The data files of an output, by name. Either may be NULL. */
struct data_kept {
    const char *name;
    const struct map *names;
};

/* Removes the data files of OUT but for those that it has now, and for files that the
 * model reads. `model` is NULL if OUT has replaced the model. Does nothing if another
 * program has replaced OUT since. The folder must be locked. */
void data_clean(int folder, const struct output *out, const struct data_kept *kept,
                const struct model *model);

/* Whether there may be such files. */
bool data_is_old(int folder, const struct output *out, const struct data_kept *kept);

#endif
