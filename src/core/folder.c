/* Folders of outputs. flock locks them: it needs no file of its own, and it ends with the
 * process. */
#include "core/folder.h"
#include "core/retry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 10000, STEP_MS = 5 };

size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

const char *folder_name_in(const char *path)
{
    return path + folder_length(path);
}

int folder_open(const char *path)
{
    size_t length = folder_length(path);
    char *folder = length ? strndup(path, length) : strdup(".");
    int fd = -1;
    if (!folder)
        errno = ENOMEM;
    else
        RETRY(fd, open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    free(folder);
    return fd;
}

void folder_sync(int folder)
{
    int result; /* some file systems refuse, which does no harm */
    if (folder >= 0)
        RETRY(result, fsync(folder));
}

bool folder_try_lock(int folder)
{
    return flock(folder, LOCK_EX | LOCK_NB) == 0;
}

bool folder_lock(int folder, const char *path, const volatile int *cancel, bool *locked,
                 struct error *err)
{
    const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
    for (int waited = 0; waited < WAIT_MS; waited += STEP_MS) {
        *locked = folder_try_lock(folder);
        if (*locked || (errno != EWOULDBLOCK && errno != EINTR))
            return true;
        if (cancelled(cancel, err))
            return false;
        nanosleep(&step, NULL);
    }
    return error_set(err, STATUS_WRITE,
                     "%s: another program keeps the folder locked: try again later",
                     path);
}

void folder_each(int folder, folder_fn *fn, void *context)
{
    int copy;
    RETRY(copy, openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    DIR *entries = copy < 0 ? NULL : fdopendir(copy);
    if (!entries) {
        if (copy >= 0)
            close(copy);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(entries));)
        fn(context, folder, entry->d_name);
    closedir(entries);
}
