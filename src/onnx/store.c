/* Storing a model. Decides between one file and two; the bytes are the writer's,
 * the atomic replacement is core's. */
#include "onnx/store.h"
#include "onnx/external.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool check_overwrite(const struct store *store, const struct output *output,
                            const struct model *model, struct error *err)
{
    if (!output || store->options->force)
        return true;
    bool same = output_is_file(output, model->file);
    for (const struct external *e = model->external; e && !same; e = e->next)
        same = output_is_file(output, e->file);
    return !same ||
           error_set(err, STATUS_WRITE,
                     "%s: is the input itself: name another output, or replace it "
                     "with -f",
                     output_path(output));
}

bool store_open(struct store *store, const char *path, const struct model *model,
                const struct store_options *options, struct error *err)
{
    *store = (struct store){.options = options};
    store->output = output_create(path, options->cancel, err);
    return store->output && check_overwrite(store, store->output, model, err);
}

bool store_reset(struct store *store, struct error *err)
{
    output_free(store->data);
    store->data = NULL;
    return output_resize(store->output, 0, err);
}

/* Opens OUT.data and moves the large tensors there. */
static bool split(struct store *store, struct model *model, struct error *err)
{
    const char *path = output_path(store->output);
    if (!output_is_plain(store->output))
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s: needs a data file beside it, which a stream or a .gz can't "
                         "have: name a plain file",
                         path);
    size_t size = strlen(path) + sizeof ".data";
    char *name = malloc(size);
    if (!name)
        return error_memory(err);
    snprintf(name, size, "%s.data", path);
    const char *slash = strrchr(name, '/');
    store->data = output_create(name, store->options->cancel, err);
    uint64_t moved = 0;
    bool ok =
        store->data && check_overwrite(store, store->data, model, err) &&
        model_externalize(model, store->data, slash ? slash + 1 : name, &moved, err);
    free(name);
    if (ok && moved == 0) {
        output_free(store->data);
        store->data = NULL;
    }
    return ok;
}

bool store_write(struct store *store, struct model *model, struct error *err)
{
    bool external = store->options->external || model_size(model) > INT32_MAX;
    return (!external || split(store, model, err)) &&
           model_write(model, store->output, err) && model_write_payloads(model, err);
}

bool store_commit(struct store *store, uint64_t *size, struct error *err)
{
    /* The data first: a model never names data that is not there. */
    if ((store->data && !output_commit(store->data, err)) ||
        !output_commit(store->output, err))
        return false;
    *size = output_size(store->output) + (store->data ? output_size(store->data) : 0);
    return true;
}

void store_close(struct store *store)
{
    output_free(store->data);
    output_free(store->output);
    *store = (struct store){0};
}
