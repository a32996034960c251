/* Atomic output. There are three ways to finish. A regular file is renamed. A .gz file is
 * compressed into another file, which is renamed. A stream gets a copy. */
#include "core/output.h"
#include "core/gzip.h"
#include "core/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum output_kind { OUTPUT_PLAIN, OUTPUT_GZIP, OUTPUT_STREAM };

struct output {
    enum output_kind kind;
    char *path;      /* the final name */
    char *temporary; /* the file to be renamed; NULL for streams */
    int target;      /* the temporary file, or the stream */
    int fd;          /* where output_write writes; the target if that is a plain file */
    uint64_t size;   /* in bytes, once committed */
    const volatile int *cancel;
};

static bool fail(const struct output *output, struct error *err)
{
    return error_set(err, STATUS_WRITE, "%s: %s", output->path, strerror(errno));
}

static bool ends_in_gz(const char *path)
{
    size_t n = strlen(path);
    return n > 3 && strcmp(path + n - 3, ".gz") == 0;
}

/* Makes and opens FOLDER/.NAME.PID-N.tmp. Its mode is that of the file which it will
 * replace, or of an ordinary new file. */
static bool temporary_create(struct output *output, const struct stat *old,
                             struct error *err)
{
    const char *slash = strrchr(output->path, '/');
    int folder = slash ? (int)(slash - output->path) + 1 : 0;
    size_t room = strlen(output->path) + 40;
    output->temporary = malloc(room);
    if (!output->temporary)
        return error_memory(err);
    for (int n = 0; n < 100; n++) {
        /* Cutting the name to 200 characters leaves room for the rest. */
        snprintf(output->temporary, room, "%.*s.%.200s.%ld-%d.tmp", folder, output->path,
                 output->path + folder, (long)getpid(), n);
        int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
        output->target = open(output->temporary, flags, 0666);
        if (output->target >= 0) {
            if (old && fchmod(output->target, old->st_mode & 07777) < 0)
                return fail(output, err);
            return true;
        }
        if (errno != EEXIST)
            break;
    }
    fail(output, err);
    free(output->temporary);
    output->temporary = NULL;
    return false;
}

static bool open_target(struct output *output, struct error *err)
{
    struct stat st;
    if (strcmp(output->path, "-") == 0) {
        output->kind = OUTPUT_STREAM;
        output->target = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        return output->target >= 0 || fail(output, err);
    }
    bool exists = stat(output->path, &st) == 0;
    if (!exists && lstat(output->path, &st) == 0)
        return error_set(err, STATUS_WRITE,
                         "%s: is a dangling symbolic link: remove it, or name its target",
                         output->path);
    if (exists && S_ISDIR(st.st_mode))
        return error_set(err, STATUS_WRITE, "%s: is a directory: name a file in it",
                         output->path);
    if (exists && !S_ISREG(st.st_mode)) {
        output->kind = OUTPUT_STREAM;
        output->target = open(output->path, O_WRONLY | O_CLOEXEC);
        return output->target >= 0 || fail(output, err);
    }
    output->kind = ends_in_gz(output->path) ? OUTPUT_GZIP : OUTPUT_PLAIN;
    if (exists) {
        char *resolved = realpath(output->path, NULL);
        if (!resolved)
            return fail(output, err);
        free(output->path);
        output->path = resolved;
    }
    return temporary_create(output, exists ? &st : NULL, err);
}

struct output *output_create(const char *path, const volatile int *cancel,
                             struct error *err)
{
    struct output *output = calloc(1, sizeof *output);
    if (!output || !(output->path = strdup(path))) {
        free(output);
        error_memory(err);
        return NULL;
    }
    output->fd = output->target = -1;
    output->cancel = cancel;
    if (!open_target(output, err))
        goto failed;
    output->fd = output->kind == OUTPUT_PLAIN ? output->target : file_temporary(err);
    if (output->fd < 0)
        goto failed;
    return output;

failed:
    output_free(output);
    return NULL;
}

bool output_is_file(const struct output *output, const struct file *file)
{
    struct stat st;
    return output->kind != OUTPUT_STREAM && stat(output->path, &st) == 0 &&
           st.st_dev == file->device && st.st_ino == file->inode;
}

bool output_is_plain(const struct output *output)
{
    return output->kind == OUTPUT_PLAIN;
}

const char *output_path(const struct output *output)
{
    return output->path;
}

bool output_write(struct output *output, uint64_t offset, const void *data, size_t size,
                  struct error *err)
{
    const char *from = data;
    while (size > 0) {
        ssize_t n = pwrite(output->fd, from, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(output, err);
        from += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return true;
}

/* Copies the rest through memory, from the mapping. */
static bool copy_mapped(struct output *output, uint64_t offset, const struct file *file,
                        const uint8_t *data, uint64_t size, struct error *err)
{
    enum { COPY_PIECE = 1 << 20 };
    struct pages pages = {0};
    bool ok = true;
    for (uint64_t at = 0, n; ok && at < size; at += n) {
        n = size - at < COPY_PIECE ? size - at : COPY_PIECE;
        pages_read(&pages, file, data + at, n);
        ok = !cancelled(output->cancel, err) &&
             output_write(output, offset + at, data + at, (size_t)n, err);
    }
    pages_end(&pages);
    return ok;
}

bool output_copy(struct output *output, uint64_t offset, const struct file *file,
                 const uint8_t *data, uint64_t size, struct error *err)
{
    off_t from = (off_t)(data - file->data), to = (off_t)offset;
    uint64_t left = size;
    while (left > 0 && file->fd >= 0) {
        size_t step = left < (64u << 20) ? (size_t)left : 64u << 20;
        ssize_t n = copy_file_range(file->fd, &from, output->fd, &to, step, 0);
        if (n <= 0)
            break; /* the kernel can't copy between these file systems */
        left -= (uint64_t)n;
        if (cancelled(output->cancel, err))
            return false;
    }
    uint64_t done = size - left;
    return copy_mapped(output, offset + done, file, data + done, left, err);
}

bool output_resize(struct output *output, uint64_t size, struct error *err)
{
    return ftruncate(output->fd, (off_t)size) == 0 || fail(output, err);
}

/* Copies the finished temporary file to a stream. */
static bool stream_out(struct output *output, struct error *err)
{
    char buffer[64 << 10];
    off_t offset = 0;
    for (;;) {
        ssize_t n = pread(output->fd, buffer, sizeof buffer, offset);
        if (n == 0)
            return true;
        if (n < 0)
            return fail(output, err);
        for (ssize_t done = 0, m; done < n; done += m) {
            if (cancelled(output->cancel, err))
                return false;
            m = write(output->target, buffer + done, (size_t)(n - done));
            if (m < 0 && errno == EINTR)
                m = 0;
            if (m < 0)
                return fail(output, err);
        }
        offset += n;
    }
}

/* A rename survives a crash only once the folder itself is on disk. */
static void sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd); /* some file systems refuse, which does no harm */
        close(fd);
    }
    free(folder);
}

bool output_commit(struct output *output, struct error *err)
{
    struct stat st;
    if (output->kind == OUTPUT_STREAM && !stream_out(output, err))
        return false;
    if (output->kind == OUTPUT_GZIP &&
        !gzip_deflate(output->fd, output->target, output->path, output->cancel, err))
        return false;
    if (fstat(output->kind == OUTPUT_STREAM ? output->fd : output->target, &st) < 0)
        return fail(output, err);
    output->size = (uint64_t)st.st_size;
    if (output->kind == OUTPUT_STREAM)
        return true;
    if (cancelled(output->cancel, err))
        return false;
    if (fsync(output->target) < 0 || rename(output->temporary, output->path) < 0)
        return fail(output, err);
    free(output->temporary);
    output->temporary = NULL;
    sync_folder_of(output->path);
    return true;
}

uint64_t output_size(const struct output *output)
{
    return output->size;
}

void output_free(struct output *output)
{
    if (!output)
        return;
    if (output->temporary)
        unlink(output->temporary);
    if (output->target >= 0)
        close(output->target);
    if (output->fd >= 0 && output->fd != output->target)
        close(output->fd);
    free(output->temporary);
    free(output->path);
    free(output);
}
