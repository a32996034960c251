/* Atomic output. There are three ways to finish. A regular file is renamed. A .gz file is
 * compressed into another file, which is renamed. A stream gets a copy. */
#include "core/output.h"
#include "core/folder.h"
#include "core/gzip.h"
#include "core/pages.h"
#include "core/retry.h"
#include "core/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum output_kind { OUTPUT_PLAIN, OUTPUT_GZIP, OUTPUT_STREAM };

struct output {
    enum output_kind kind;
    bool elsewhere; /* reached by a link from another folder */
    bool is_new;    /* published, and it replaced nothing */
    char *path;     /* the final name; for a part without a name, that of its main file */
    char *temporary; /* the file to be renamed; NULL for streams */
    mode_t mode;     /* of the file that is replaced; 0: there is none */
    int target;      /* the temporary file, or the stream */
    int fd;          /* where output_write writes; the target if that is a plain file */
    uint64_t size;   /* in bytes, once prepared */
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

/* Makes the temporary file. Its mode is that of the file which it will replace, or of an
 * ordinary new file. In between, nobody else may open it. */
static bool begin_file(struct output *output, struct error *err)
{
    mode_t mode = output->mode & 07777;
    output->target = temporary_beside(output->path, output->mode ? 0600 : 0666,
                                      &output->temporary, err);
    if (output->target < 0)
        return false;
    int result = 0;
    if (output->mode)
        RETRY(result, fchmod(output->target, mode));
    return result == 0 || fail(output, err);
}

static bool begin_stream(struct output *output, struct error *err)
{
    struct stat st;
    output->kind = OUTPUT_STREAM;
    RETRY(output->target, strcmp(output->path, "-") == 0
                              ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                              : open(output->path, O_WRONLY | O_CLOEXEC));
    if (output->target < 0 || fstat(output->target, &st) < 0)
        return fail(output, err);
    /* It may have become a file since we looked. */
    return strcmp(output->path, "-") == 0 || !S_ISREG(st.st_mode) ||
           error_set(err, STATUS_WRITE, "%s: was replaced by another program",
                     output->path);
}

static bool in_one_folder(const char *a, const char *b)
{
    struct stat x, y;
    int first = folder_open(a), second = folder_open(b);
    bool same = first >= 0 && second >= 0 && fstat(first, &x) == 0 &&
                fstat(second, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
    if (first >= 0)
        close(first);
    if (second >= 0)
        close(second);
    return same;
}

/* Replaces the name by what it links to. */
static bool follow(struct output *output, struct error *err)
{
    char *resolved = realpath(output->path, NULL);
    if (!resolved)
        return fail(output, err);
    output->elsewhere = !in_one_folder(output->path, resolved);
    free(output->path);
    output->path = resolved;
    return true;
}

static bool begin(struct output *output, struct error *err)
{
    struct stat st;
    if (strcmp(output->path, "-") == 0)
        return begin_stream(output, err);
    bool exists = stat(output->path, &st) == 0;
    if (!exists && lstat(output->path, &st) == 0)
        return error_set(err, STATUS_WRITE,
                         "%s: is a dangling symbolic link: remove it, or name its target",
                         output->path);
    if (exists && S_ISDIR(st.st_mode))
        return error_set(err, STATUS_WRITE, "%s: is a directory: name a file in it",
                         output->path);
    if (exists && !S_ISREG(st.st_mode))
        return begin_stream(output, err);
    output->kind = ends_in_gz(output->path) ? OUTPUT_GZIP : OUTPUT_PLAIN;
    output->mode = exists ? st.st_mode : 0;
    if (exists && !follow(output, err))
        return false;
    temporary_clean(output->path);
    return begin_file(output, err);
}

static bool begin_part(struct output *output, struct error *err)
{
    struct stat st;
    if (lstat(output->path, &st) == 0) {
        if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
            return error_set(err, STATUS_WRITE, "%s: is not a regular file: remove it",
                             output->path);
        output->mode = S_ISREG(st.st_mode) ? st.st_mode : output->mode;
    }
    temporary_clean(output->path);
    return begin_file(output, err);
}

typedef bool begin_fn(struct output *output, struct error *err);

static struct output *create(const char *path, mode_t mode, const volatile int *cancel,
                             begin_fn *how, struct error *err)
{
    struct output *output = calloc(1, sizeof *output);
    if (!output || !(output->path = strdup(path))) {
        free(output);
        error_memory(err);
        return NULL;
    }
    output->fd = output->target = -1;
    output->mode = mode;
    output->cancel = cancel;
    if (!how(output, err))
        goto failed;
    output->fd = output->kind == OUTPUT_PLAIN ? output->target : temporary_unnamed(err);
    if (output->fd < 0)
        goto failed;
    return output;

failed:
    output_free(output);
    return NULL;
}

struct output *output_create(const char *path, const volatile int *cancel,
                             struct error *err)
{
    return create(path, 0, cancel, begin, err);
}

struct output *output_create_part(const struct output *main, const char *path,
                                  struct error *err)
{
    return path ? create(path, main->mode, main->cancel, begin_part, err)
                : create(main->path, main->mode, main->cancel, begin_file, err);
}

bool output_name(struct output *output, const char *path, struct error *err)
{
    char *copy = strdup(path);
    if (!copy)
        return error_memory(err);
    free(output->path);
    output->path = copy;
    return true;
}

bool output_is_file(const struct output *output, const struct file *file)
{
    struct stat st;
    return output->kind != OUTPUT_STREAM && stat(output->path, &st) == 0 &&
           st.st_dev == file->device && st.st_ino == file->inode;
}

bool output_same(const struct output *a, const struct output *b)
{
    struct stat x, y;
    if (a->kind == OUTPUT_STREAM || b->kind == OUTPUT_STREAM)
        return false;
    bool first = stat(a->path, &x) == 0, second = stat(b->path, &y) == 0;
    if (first && second)
        return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
    return first == second && in_one_folder(a->path, b->path) &&
           strcmp(folder_name_in(a->path), folder_name_in(b->path)) == 0;
}

bool output_is_plain(const struct output *output)
{
    return output->kind == OUTPUT_PLAIN;
}

bool output_is_stream(const struct output *output)
{
    return output->kind == OUTPUT_STREAM;
}

bool output_is_elsewhere(const struct output *output)
{
    return output->elsewhere;
}

int output_descriptor(const struct output *output)
{
    return output->fd;
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
    int result;
    RETRY(result, ftruncate(output->fd, (off_t)size));
    return result == 0 || fail(output, err);
}

/* Copies the finished temporary file to a stream. */
static bool stream_out(struct output *output, struct error *err)
{
    char buffer[16 << 10];
    off_t offset = 0;
    for (;;) {
        ssize_t n = pread(output->fd, buffer, sizeof buffer, offset);
        if (n == 0)
            return true;
        if (n < 0 && errno == EINTR)
            continue;
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

static bool sync_file(int fd)
{
    int result;
    RETRY(result, fsync(fd));
    return result == 0;
}

bool output_prepare(struct output *output, struct error *err)
{
    struct stat st;
    if (output->kind == OUTPUT_GZIP &&
        !gzip_deflate(output->fd, output->target, output->path, output->cancel, err))
        return false;
    if (fstat(output->kind == OUTPUT_STREAM ? output->fd : output->target, &st) < 0)
        return fail(output, err);
    output->size = (uint64_t)st.st_size;
    if (cancelled(output->cancel, err))
        return false;
    return output->kind == OUTPUT_STREAM || sync_file(output->target) ||
           fail(output, err);
}

bool output_prepare_text(struct output *output, const char *text, struct error *err)
{
    size_t length = text ? strlen(text) : 0;
    if (!text)
        return error_memory(err);
    return output_write(output, 0, text, length, err) &&
           output_write(output, length, "\n", 1, err) && output_prepare(output, err);
}

struct file *output_reopen(const struct output *output, struct error *err)
{
    int fd = output->kind == OUTPUT_STREAM ? output->fd : output->target;
    return file_open_descriptor(fd, output->path, output->cancel, err);
}

bool output_publish(struct output *output, struct error *err)
{
    struct stat st;
    if (output->kind == OUTPUT_STREAM)
        return stream_out(output, err);
    output->is_new = lstat(output->path, &st) < 0;
    if (rename(output->temporary, output->path) < 0)
        return fail(output, err);
    free(output->temporary);
    output->temporary = NULL;
    int folder = folder_open(output->path);
    folder_sync(folder);
    if (folder >= 0)
        close(folder);
    return true;
}

bool output_is_current(const struct output *output)
{
    struct stat x, y;
    return fstat(output->target, &x) == 0 && stat(output->path, &y) == 0 &&
           x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

void output_withdraw(const struct output *output)
{
    if (!output->temporary && output->is_new && output_is_current(output))
        unlink(output->path);
}

bool output_commit(struct output *output, struct error *err)
{
    return output_prepare(output, err) && !cancelled(output->cancel, err) &&
           output_publish(output, err);
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
