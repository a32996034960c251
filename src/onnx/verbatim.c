/* Storing a model as it was read. The model's bytes go to the output, and copies of its
 * data files go beside it under their own names, since the model refers to them by name.
 * A stream or a .gz can't have files beside it: there the tensors go into the model. */
#include "core/folder.h"
#include "core/output.h"
#include "core/pages.h"
#include "onnx/external.h"
#include "onnx/store.h"
#include "onnx/write.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool copy_bytes(struct output *output, const struct file *file, struct error *err)
{
    return output_copy(output, 0, file, file->data, file->size, err) &&
           output_resize(output, file->size, err);
}

/* Whether a data file is named after the output, as OUT.HASH.data is. Then it belongs to
 * the output. Any other file may belong to another model. */
static bool may_replace(const struct store *store, const char *location)
{
    const char *name = folder_name_in(output_path(store->output));
    return store->options->force || strncmp(location, name, strlen(name)) == 0;
}

/* Whether the file `location` beside the output already has those bytes. */
static bool is_there(const struct store *store, const char *location,
                     const struct file *file)
{
    struct error ignored = {0};
    const struct file beside = {.path = output_path(store->output)};
    struct file *old = file_open_beside(&beside, location, &ignored);
    bool same = old && old->size == file->size &&
                pages_equal(old, old->data, file, file->data, file->size);
    file_close(old);
    return same;
}

/* Makes the folders of a data file, below the first `folder` bytes of its path. */
static bool make_folders(char *path, size_t folder, struct error *err)
{
    for (char *slash = strchr(path + folder, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool made = mkdir(path, 0777) == 0 || errno == EEXIST;
        if (!made)
            error_set(err, STATUS_WRITE,
                      "%s: can't make this folder for external data: %s", path,
                      strerror(errno));
        *slash = '/';
        if (!made)
            return false;
    }
    return true;
}

static bool copy_to(struct store *store, const struct model *model,
                    const struct file *file, char *path, struct error *err)
{
    struct stat st;
    if (stat(path, &st) == 0) {
        if (st.st_dev == file->device && st.st_ino == file->inode)
            return true; /* the output is in the folder of the model */
        if (is_there(store, file->path, file))
            return true;
        if (!may_replace(store, file->path))
            return error_set(
                err, STATUS_WRITE,
                "%s: the model's external data would replace this file, which differs: "
                "choose another folder for the output, or replace the file with -f",
                path);
    }
    if (!make_folders(path, folder_length(output_path(store->output)), err))
        return false;
    struct output *output = store_add_data(store, path, model, err);
    return output && copy_bytes(output, file, err);
}

static bool copy_data(struct store *store, const struct model *model,
                      const struct file *file, struct error *err)
{
    const char *out = output_path(store->output);
    size_t room = strlen(out) + strlen(file->path) + 2;
    char *path = malloc(room);
    if (!path)
        return error_memory(err);
    snprintf(path, room, "%.*s%s", (int)folder_length(out), out, file->path);
    bool ok = copy_to(store, model, file, path, err);
    free(path);
    return ok;
}

bool store_copy(struct store *store, struct model *model, struct error *err)
{
    store->model = model;
    if (model->external && !output_is_plain(store->output))
        return store_write(store, model, model_size(model), err);
    store->copied = model;
    for (const struct external *e = model->external; e; e = e->next)
        if (!copy_data(store, model, e->file, err))
            return false;
    return copy_bytes(store->output, model->file, err);
}
