/* A model in memory: protobuf-c's message in an arena, its payloads, and the
 * files they lie in. */
#ifndef NIBBLE_ONNX_MODEL_H
#define NIBBLE_ONNX_MODEL_H

#include "core/map.h"
#include "core/set.h"
#include "onnx.pb-c.h"
#include "onnx/payload.h"

#include <sys/stat.h>

struct model {
    Onnx__ModelProto *proto;
    struct arena *arena; /* of the message and of all that is added to it */
    struct payloads payloads;
    const struct file *file;
    struct external *external; /* files of external data, the newest first */
    size_t external_count;
    struct map externals;    /* the same by location */
    struct set names;        /* names that are taken, see names.h, */
    struct set shared_names; /* names of several nodes, */
    bool shared_known;       /* which were looked for, */
    struct map numbers;      /* and the last numbers behind some */
    uint64_t bytes;          /* of the file and of all external data in use */
};

/* Reads the model in a file that outlives it. NULL on failure. */
struct model *model_load(const struct file *file, struct error *err);

void model_free(struct model *model); /* NULL is fine */

/* False, with an error, if another program has changed a file of the model since it was
 * opened. */
bool model_check_files(const struct model *model, struct error *err);

/* Whether that is a file which the model is read from. */
bool model_reads(const struct model *model, const struct stat *st);

/* Calls fn for every TensorProto in the message, nested ones included, in the
 * order of their fields. False as soon as a call returns false. */
typedef bool tensor_fn(void *context, Onnx__TensorProto *tensor);
bool model_tensors(const struct model *model, tensor_fn *fn, void *context);

/* A text field, or "" if it is absent. */
static inline const char *or_empty(const char *field)
{
    return field ? field : "";
}

#endif
