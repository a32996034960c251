/* Storing a model. Decides between one file and two, and publishes them. The writer makes
 * the bytes, and core replaces files. */
#include "onnx/store.h"
#include "core/folder.h"
#include "onnx/data_files.h"
#include "onnx/external.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_input(const struct output *output, const struct model *model)
{
    struct stat st;
    return !output_is_stream(output) && stat(output_path(output), &st) == 0 &&
           model_reads(model, &st);
}

static bool check_overwrite(const struct store *store, const struct output *output,
                            const struct model *model, struct error *err)
{
    return store->options->force || !is_input(output, model) ||
           error_set(err, STATUS_WRITE,
                     "%s: is the input itself: name another output, or replace it "
                     "with -f",
                     output_path(output));
}

bool store_open(struct store *store, const char *path, struct model *model,
                const struct store_options *options, struct error *err)
{
    *store = (struct store){.options = options, .model = model};
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
    store->location = NULL;
}

bool store_reset(struct store *store, struct error *err)
{
    free_data(store);
    return output_resize(store->output, 0, err);
}

/* ---- data files ------------------------------------------------------------ */

struct output *store_add_data(struct store *store, const char *path,
                              const struct model *model, struct error *err)
{
    if (output_is_elsewhere(store->output)) {
        error_set(err, STATUS_WRITE,
                  "%s: the output is a link to this file in another folder, and readers "
                  "would look for its data file beside the link: name this file",
                  output_path(store->output));
        return NULL;
    }
    struct store_data *data = calloc(1, sizeof *data);
    if (!data) {
        error_memory(err);
        return NULL;
    }
    data->next = store->data;
    store->data = data;
    data->output = output_create_part(store->output, path, err);
    bool ok = data->output && (!path || check_overwrite(store, data->output, model, err));
    return ok ? data->output : NULL;
}

/* Moves the large tensors to a data file. */
static bool split(struct store *store, struct model *model, struct error *err)
{
    const char *path = output_path(store->output), *fixed = store->options->data_name;
    if (!output_is_plain(store->output))
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s: needs a data file beside it, which a stream or a .gz can't "
                         "have: name a plain file",
                         path);
    char *name = fixed ? arena_printf(model->arena, "%.*s%s", (int)folder_length(path),
                                      path, fixed)
                       : data_name(model->arena, path);
    if (!name)
        return error_memory(err);
    char *location = name + folder_length(path);
    struct output *data = store_add_data(store, fixed ? name : NULL, model, err);
    uint64_t moved = 0;
    if (!data || (fixed && output_same(data, store->output) &&
                  !error_set(err, STATUS_INVALID,
                             "%s: the model and its data file have the same name", path)))
        return false;
    if (!model_externalize(model, data, location, &moved, err))
        return false;
    if (moved == 0)
        free_data(store);
    else if (!fixed)
        store->location = location;
    return true;
}

bool store_write(struct store *store, struct model *model, uint64_t size,
                 struct error *err)
{
    store->model = model;
    if (store->options->external || size > INT32_MAX) {
        if (!split(store, model, err))
            return false;
        size = model_size(model);
    }
    return model_write(model, size, store->output, err) &&
           model_write_payloads(model, err);
}

/* ---- publishing ------------------------------------------------------------ */

/* All tensors share the string of the location. So the model only has to be packed again,
 * with the same size. */
static bool name_data(struct store *store, struct error *err)
{
    const char *path = output_path(store->output);
    struct output *data = store->data->output;
    if (!data_name_by_contents(store->location, data, store->options->cancel, err))
        return false;
    char *name = arena_printf(store->model->arena, "%.*s%s", (int)folder_length(path),
                              path, store->location);
    return (name || error_memory(err)) && output_name(data, name, err) &&
           model_write(store->model, model_size(store->model), store->output, err);
}

bool store_prepare(struct store *store, uint64_t *size, struct error *err)
{
    *size = 0;
    if (store->location && !name_data(store, err))
        return false;
    for (struct store_data *data = store->data; data; data = data->next) {
        if (!output_prepare(data->output, err))
            return false;
        *size += output_size(data->output);
    }
    if (!output_prepare(store->output, err))
        return false;
    *size += output_size(store->output);
    return true;
}

struct file *store_reopen(struct store *store, struct error *err)
{
    struct file *file = output_reopen(store->output, err);
    for (struct store_data *data = store->data; data && file; data = data->next) {
        const char *path = output_path(data->output);
        data->written = (struct stand_in){
            .next = file->stand_ins,
            .location = path + folder_length(output_path(store->output)),
            .fd = output_descriptor(data->output)};
        file->stand_ins = &data->written;
    }
    return file;
}

static bool check_report(const struct store *store, const struct model *model,
                         const struct output *report, struct error *err)
{
    bool same = is_input(report, model);
    if (store->output)
        same = same || output_same(report, store->output);
    for (const struct store_data *data = store->data; data && !same; data = data->next)
        same = output_same(report, data->output);
    return !same || error_set(err, STATUS_INVALID,
                              "%s: the report would replace a file of the model or of "
                              "the output: name another file",
                              output_path(report));
}

bool store_check_reports(const struct store *store, const struct model *model,
                         struct output *const reports[STORE_REPORTS], struct error *err)
{
    for (size_t i = 0; i < STORE_REPORTS; i++)
        if (reports[i] && !check_report(store, model, reports[i], err))
            return false;
    return true;
}

/* Files may have changed since the names were looked at first. */
static bool check_again(const struct store *store,
                        struct output *const reports[STORE_REPORTS], struct error *err)
{
    bool ok = check_overwrite(store, store->output, store->model, err);
    for (const struct store_data *data = store->data; data && ok; data = data->next)
        ok = check_overwrite(store, data->output, store->model, err);
    return ok && store_check_reports(store, store->model, reports, err);
}

/* Publishes the reports that go to streams, or those that go to files. */
static bool publish_reports(struct output *const reports[STORE_REPORTS], bool streams,
                            struct error *err)
{
    for (size_t i = 0; i < STORE_REPORTS; i++)
        if (reports[i] && output_is_stream(reports[i]) == streams &&
            !output_publish(reports[i], err))
            return false;
    return true;
}

bool store_publish_reports(const struct store *store, const struct model *model,
                           struct output *const reports[STORE_REPORTS], struct error *err)
{
    return store_check_reports(store, model, reports, err) &&
           publish_reports(reports, true, err) && publish_reports(reports, false, err);
}

/* The data come first, since a model must never name data that are not there. Reports
 * that go to streams come before all files, because they are the likeliest to fail. */
static bool publish(struct store *store, struct output *const reports[STORE_REPORTS],
                    struct error *err)
{
    bool ok = publish_reports(reports, true, err);
    for (struct store_data *data = store->data; data && ok; data = data->next)
        ok = output_publish(data->output, err);
    ok = ok && output_publish(store->output, err);
    for (struct store_data *data = store->data; data && !ok; data = data->next)
        output_withdraw(data->output);
    /* On some file systems names differ and the file is the same. */
    return ok && store_check_reports(store, store->model, reports, err) &&
           publish_reports(reports, false, err);
}

/* Removes the data file of the output that was replaced. */
static void clean(const struct store *store, int folder, bool locked,
                  const struct model *model)
{
    const struct data_kept kept = {.name = store->location,
                                   .names =
                                       store->copied ? &store->copied->externals : NULL};
    if (!output_is_plain(store->output) || !data_is_old(folder, store->output, &kept))
        return;
    if (locked || folder_try_lock(folder))
        data_clean(folder, store->output, &kept, model);
}

bool store_publish(struct store *store, struct output *const reports[STORE_REPORTS],
                   struct error *err)
{
    bool locked = false;
    int folder = -1;
    if (output_is_plain(store->output)) {
        folder = folder_open(output_path(store->output));
        if (folder < 0)
            return error_set(err, STATUS_WRITE, "%s: %s", output_path(store->output),
                             strerror(errno));
    }
    const struct model *model = store->model;
    if (output_is_file(store->output, model->file))
        model = NULL;
    bool ok = (!store->data || folder_lock(folder, output_path(store->output),
                                           store->options->cancel, &locked, err)) &&
              check_again(store, reports, err) &&
              !cancelled(store->options->cancel, err) && publish(store, reports, err);
    if (ok)
        clean(store, folder, locked, model);
    if (folder >= 0)
        close(folder);
    return ok;
}

bool store_commit(struct store *store, struct error *err)
{
    struct output *const none[STORE_REPORTS] = {NULL};
    uint64_t size;
    return store_prepare(store, &size, err) && store_publish(store, none, err);
}

void store_close(struct store *store)
{
    free_data(store);
    output_free(store->output);
    *store = (struct store){0};
}
