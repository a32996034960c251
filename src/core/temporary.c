/* Temporary files, and those that killed processes left. */
#include "core/temporary.h"
#include "core/folder.h"
#include "core/retry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names are cut, to leave room for the rest. */
#define PREFIX_FORMAT ".%.200s."
enum { PREFIX_SIZE = 204, TRIES = 100 };

/* For file systems that can't make files without a name. */
static int named_then_unlinked(const char *folder)
{
    char path[4096];
    int fd;
    do {
        snprintf(path, sizeof path, "%s/nibble-XXXXXX", folder);
        fd = mkostemp(path, O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd >= 0)
        unlink(path);
    return fd;
}

int temporary_unnamed(struct error *err)
{
    const char *folder = getenv("TMPDIR");
    int fd;
    if (!folder || !*folder)
        folder = "/tmp";
    RETRY(fd, open(folder, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600));
    if (fd < 0)
        fd = named_then_unlinked(folder);
    if (fd < 0)
        error_set(
            err, STATUS_WRITE,
            "%s: can't make a temporary file there: %s; set TMPDIR to a folder with "
            "room",
            folder, strerror(errno));
    return fd;
}

/* Returns false if a cleaning process was faster, and removes the file. */
static bool own(int fd)
{
    struct stat st;
    int result;
    RETRY(result, flock(fd, LOCK_EX | LOCK_NB));
    if (result < 0 && errno == EWOULDBLOCK)
        return false;
    return fstat(fd, &st) < 0 || st.st_nlink > 0;
}

int temporary_beside(const char *path, mode_t mode, char **made, struct error *err)
{
    int length = (int)folder_length(path);
    size_t room = strlen(path) + 48;
    char *name = malloc(room);
    *made = name;
    if (!name) {
        error_memory(err);
        return -1;
    }
    for (int n = 0; n < TRIES; n++) {
        snprintf(name, room, "%.*s" PREFIX_FORMAT "%ld-%d.tmp", length, path,
                 path + length, (long)getpid(), n);
        int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        int fd = open(name, flags, mode);
        if (fd >= 0 && own(fd))
            return fd;
        if (fd >= 0)
            close(fd);
        else if (errno != EEXIST && errno != EINTR)
            break;
    }
    error_set(err, STATUS_WRITE, "%s: %s", path, strerror(errno));
    free(name);
    *made = NULL;
    return -1;
}

/* ---- what was left behind ---------------------------------------------- */

/* True for the part behind the prefix: PID-N.tmp. */
static bool is_rest(const char *text)
{
    size_t pid = strspn(text, "0123456789");
    if (pid == 0 || text[pid] != '-')
        return false;
    text += pid + 1;
    size_t n = strspn(text, "0123456789");
    return n > 0 && strcmp(text + n, ".tmp") == 0;
}

static void remove_abandoned(void *context, int folder, const char *name)
{
    const char *prefix = context;
    size_t length = strlen(prefix);
    struct stat st;
    if (strncmp(name, prefix, length) != 0 || !is_rest(name + length))
        return;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlinkat(folder, name, 0);
    close(fd);
}

void temporary_clean(const char *path)
{
    char prefix[PREFIX_SIZE];
    int folder = folder_open(path);
    if (folder < 0)
        return;
    snprintf(prefix, sizeof prefix, PREFIX_FORMAT, folder_name_in(path));
    folder_each(folder, remove_abandoned, prefix);
    close(folder);
}
