/* Storing a model. Decides between one file and two. The writer makes the bytes, and core
 * replaces files atomically. */
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

static void free_data(struct store *store)
{
    while (store->data) {
        struct store_data *data = store->data;
        store->data = data->next;
        output_free(data->output);
        free(data);
    }
}

bool store_reset(struct store *store, struct error *err)
{
    free_data(store);
    return output_resize(store->output, 0, err);
}

struct output *store_add_data(struct store *store, const char *path,
                              const struct model *model, struct error *err)
{
    struct store_data *data = calloc(1, sizeof *data);
    if (!data) {
        error_memory(err);
        return NULL;
    }
    data->next = store->data;
    store->data = data;
    data->output = output_create(path, store->options->cancel, err);
    return data->output && check_overwrite(store, data->output, model, err) ? data->output
                                                                            : NULL;
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
    struct output *data = store_add_data(store, name, model, err);
    uint64_t moved = 0;
    bool ok =
        data && model_externalize(model, data, slash ? slash + 1 : name, &moved, err);
    free(name);
    if (ok && moved == 0)
        free_data(store);
    return ok;
}

bool store_write(struct store *store, struct model *model, uint64_t size,
                 struct error *err)
{
    if (store->options->external || size > INT32_MAX) {
        if (!split(store, model, err))
            return false;
        size = model_size(model);
    }
    return model_write(model, size, store->output, err) &&
           model_write_payloads(model, err);
}

bool store_commit(struct store *store, uint64_t *size, struct error *err)
{
    *size = 0;
    /* The data come first: a model must never name data that are not there. */
    for (struct store_data *data = store->data; data; data = data->next) {
        if (!output_commit(data->output, err))
            return false;
        *size += output_size(data->output);
    }
    if (!output_commit(store->output, err))
        return false;
    *size += output_size(store->output);
    return true;
}

void store_close(struct store *store)
{
    free_data(store);
    output_free(store->output);
    *store = (struct store){0};
}
