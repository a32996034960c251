/* Opens and maps input files. Reads none of their bytes but the two that mark gzip. */
#include "core/file.h"
#include "core/folder.h"
#include "core/gzip.h"
#include "core/retry.h"
#include "core/temporary.h"
#include "core/truncation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool fd_write_all(int fd, const void *data, size_t size, const char *path, bool is_copy,
                  struct error *err)
{
    const char *at = data;
    while (size > 0) {
        ssize_t n;
        RETRY(n, write(fd, at, size));
        if (n < 0)
            return error_set(err, STATUS_WRITE, "%s: %s%s", path,
                             is_copy ? "no room for a temporary copy: " : "",
                             strerror(errno));
        at += n;
        size -= (size_t)n;
    }
    return true;
}

bool file_within_limit(const char *path, uint64_t size, uint64_t *left, struct error *err)
{
    if (size > *left)
        return error_set(
            err, STATUS_READ,
            "%s: is larger than allowed once it is unpacked or read: if that "
            "is right, raise --max-size",
            path);
    *left -= size;
    return true;
}

/* Copies the rest of `in` to `out`. */
static bool copy_rest(int in, int out, const char *path, uint64_t limit,
                      const volatile int *cancel, struct error *err)
{
    char buffer[16 << 10];
    for (;;) {
        if (cancelled(cancel, err))
            return false;
        ssize_t n = read(in, buffer, sizeof buffer);
        if (n == 0)
            return true;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, STATUS_READ, "%s: %s", path, strerror(errno));
        if (!file_within_limit(path, (uint64_t)n, &limit, err) ||
            !fd_write_all(out, buffer, (size_t)n, path, true, err))
            return false;
    }
}

static bool truncated(const struct file *file, struct error *err)
{
    return error_set(err, STATUS_READ,
                     "%s: was truncated by another program while it was read: wait until "
                     "that has finished, and try again",
                     file->path);
}

static bool map_bytes(struct file *file, struct error *err)
{
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return error_set(err, STATUS_READ, "%s: %s", file->path, strerror(errno));
    file->size = (uint64_t)st.st_size;
    file->modified = st.st_mtim;
    file->data = (const uint8_t *)"";
    if (file->size == 0)
        return true;
    void *data = MAP_FAILED;
    if (file->size <= SIZE_MAX)
        data = mmap(NULL, (size_t)file->size, PROT_READ, MAP_PRIVATE, file->fd, 0);
    if (data == MAP_FAILED)
        return error_set(err, STATUS_READ, "%s: can't be mapped into memory: %s",
                         file->path, strerror(errno));
    file->data = data;
    file->mapped = true;
    return true;
}

/* Copies the contents of `in`, decoded or as they are, to `out`. */
typedef bool copy_fn(int in, int out, const char *path, uint64_t limit,
                     const volatile int *cancel, struct error *err);

/* Replaces file->fd by a temporary file that `copy` writes. */
static bool replace_by_temporary(struct file *file, copy_fn *copy, uint64_t limit,
                                 const volatile int *cancel, struct error *err)
{
    int fd = temporary_unnamed(err);
    if (fd < 0)
        return false;
    bool ok = copy(file->fd, fd, file->path, limit, cancel, err);
    close(file->fd);
    file->fd = fd;
    return ok;
}

static bool is_gzip(int fd)
{
    unsigned char magic[2];
    size_t have = 0;
    while (have < sizeof magic) {
        ssize_t n;
        RETRY(n, pread(fd, magic + have, sizeof magic - have, (off_t)have));
        if (n <= 0)
            return false;
        have += (size_t)n;
    }
    return magic[0] == 0x1f && magic[1] == 0x8b;
}

/* How large a compressed file may become. Small files may have any contents. */
static uint64_t inflated_max(const struct file *file, uint64_t max_size)
{
    enum { ALWAYS = 1 << 26 };
    struct stat st;
    if (max_size > 0 || fstat(file->fd, &st) < 0)
        return max_size;
    uint64_t packed = (uint64_t)st.st_size;
    uint64_t most = packed < FILE_COPY_MAX / FILE_COPY_RATIO ? packed * FILE_COPY_RATIO
                                                             : FILE_COPY_MAX;
    return most > ALWAYS ? most : ALWAYS;
}

static bool load(struct file *file, uint64_t max_size, const volatile int *cancel,
                 struct error *err)
{
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return error_set(err, STATUS_READ, "%s: %s", file->path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return error_set(err, STATUS_READ,
                         "%s: is a directory: name the .onnx file in it", file->path);
    file->device = st.st_dev;
    file->inode = st.st_ino;
    /* If standard input is a regular file, part of it may have been read already. */
    bool mappable = S_ISREG(st.st_mode) && lseek(file->fd, 0, SEEK_CUR) == 0;
    if (!mappable &&
        !replace_by_temporary(file, copy_rest, max_size ? max_size : FILE_COPY_MAX,
                              cancel, err))
        return false;
    if (is_gzip(file->fd) &&
        !replace_by_temporary(file, gzip_inflate, inflated_max(file, max_size), cancel,
                              err))
        return false;
    return map_bytes(file, err);
}

static struct file *file_create(int fd, const char *path, struct error *err)
{
    struct file *file = calloc(1, sizeof *file);
    char *copy = strdup(path);
    if (!file || !copy) {
        error_memory(err);
        free(file);
        free(copy);
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    file->fd = fd;
    file->path = copy;
    return file;
}

struct file *file_open(const char *path, const volatile int *cancel, struct error *err)
{
    return file_open_within(path, 0, cancel, err);
}

struct file *file_open_within(const char *path, uint64_t max_size,
                              const volatile int *cancel, struct error *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd;
    RETRY(fd, is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                       : open(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0) {
        error_set(err, STATUS_READ, "%s: %s", path, strerror(errno));
        return NULL;
    }
    struct file *file = file_create(fd, is_stdin ? "standard input" : path, err);
    if (!file)
        return NULL;
    file->is_stdin = is_stdin;
    if (!load(file, max_size, cancel, err)) {
        file_close(file);
        return NULL;
    }
    return file;
}

struct file *file_open_descriptor(int fd, const char *path, const volatile int *cancel,
                                  struct error *err)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0 || lseek(copy, 0, SEEK_SET) < 0) {
        error_set(err, STATUS_READ, "%s: %s", path, strerror(errno));
        if (copy >= 0)
            close(copy);
        return NULL;
    }
    struct file *file = file_create(copy, path, err);
    if (file && !load(file, UINT64_MAX, cancel, err)) {
        file_close(file);
        return NULL;
    }
    return file;
}

enum { BESIDE_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

/* Whether a part of the path is "..". */
static bool climbs(const char *location)
{
    for (const char *part = location; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return true;
    }
    return false;
}

/* Opens a path below the folder, part by part, and follows no symbolic links. */
static int open_without_links(int folder, const char *location)
{
    char *parts = strdup(location), *save = NULL;
    int fd = parts ? dup(folder) : -1;
    for (char *part = parts ? strtok_r(parts, "/", &save) : NULL; part && fd >= 0;
         part = strtok_r(NULL, "/", &save)) {
        int next;
        RETRY(next, openat(fd, part, BESIDE_FLAGS | O_NOFOLLOW));
        int saved = errno;
        close(fd);
        errno = saved;
        fd = next;
    }
    free(parts);
    return fd;
}

/* Opens external data. Sets errno to EXDEV if the location climbs out of a folder. */
static int open_beside(const struct file *model, const char *location)
{
    for (const struct stand_in *s = model->stand_ins; s; s = s->next)
        if (strcmp(s->location, location) == 0)
            return fcntl(s->fd, F_DUPFD_CLOEXEC, 3);
    int folder = folder_open(model->path);
    int fd = -1;
    if (folder < 0)
        return -1;
    if (climbs(location))
        errno = EXDEV;
    else if (model->no_links)
        fd = open_without_links(folder, location);
    else
        RETRY(fd, openat(folder, location, BESIDE_FLAGS));
    int saved = errno;
    close(folder);
    errno = saved;
    return fd;
}

static const char *refusal(const struct file *model, int code)
{
    switch (code) {
    case ELOOP:
        return model->no_links ? "is a symbolic link, and links are not followed: copy "
                                 "the file, or allow links"
                               : "is a symbolic link in a circle";
    case EXDEV:
        return "leaves the model's folder";
    case ENOENT:
        return "is missing, or a link to a missing file: put it there, beside the model";
    default:
        return strerror(code);
    }
}

struct file *file_open_beside(const struct file *model, const char *location,
                              struct error *err)
{
    if (model->is_stdin) {
        error_set(
            err, STATUS_READ,
            "external data '%s' can't be found for a model on standard input: name the "
            "model's file",
            location);
        return NULL;
    }
    if (!*location || *location == '/') {
        error_set(err, STATUS_MALFORMED, "external data '%s': not a relative file name",
                  location);
        return NULL;
    }
    int fd = open_beside(model, location);
    int code = errno;
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        error_set(err, STATUS_READ, "external data '%s' in the model's folder: %s",
                  location, fd < 0 ? refusal(model, code) : "not a regular file");
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    struct file *file = file_create(fd, location, err);
    if (!file)
        return NULL;
    file->device = st.st_dev;
    file->inode = st.st_ino;
    if (!map_bytes(file, err)) {
        file_close(file);
        return NULL;
    }
    truncation_watch(model->watched, file);
    return file;
}

struct file *file_scratch(uint64_t size, struct error *err)
{
    int fd = temporary_unnamed(err);
    struct file *file = fd < 0 ? NULL : file_create(fd, "temporary file", err);
    if (!file)
        return NULL;
    void *data = MAP_FAILED;
    /* Allocating space now turns a full disk into an error instead of a signal later. */
    int code;
    do
        code = posix_fallocate(fd, 0, (off_t)size);
    while (code == EINTR);
    if (code == 0)
        data = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) {
        error_set(err, STATUS_WRITE, "no room for a temporary file of %llu bytes: %s",
                  (unsigned long long)size, strerror(code ? code : errno));
        file_close(file);
        return NULL;
    }
    file->data = data;
    file->size = size;
    file->mapped = file->is_scratch = true;
    return file;
}

void file_close_descriptor(struct file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

void file_close(struct file *file)
{
    if (!file)
        return;
    truncation_forget(file);
    if (file->mapped)
        munmap((void *)(uintptr_t)file->data, (size_t)file->size);
    file_close_descriptor(file);
    free((char *)(uintptr_t)file->path);
    free(file);
}

bool file_read(const struct file *file, uint64_t offset, size_t size, void *out,
               struct error *err)
{
    uint8_t *to = out;
    while (size > 0) {
        ssize_t n = pread(file->fd, to, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, STATUS_READ, "%s: %s", file->path, strerror(errno));
        if (n == 0)
            return truncated(file, err);
        to += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return true;
}

bool file_check(const struct file *file, struct error *err)
{
    struct stat st;
    if (file->is_truncated)
        return truncated(file, err);
    if (file->is_scratch || file->fd < 0 || fstat(file->fd, &st) < 0)
        return true;
    if ((uint64_t)st.st_size < file->size)
        return truncated(file, err);
    if (st.st_mtim.tv_sec == file->modified.tv_sec &&
        st.st_mtim.tv_nsec == file->modified.tv_nsec)
        return true;
    return error_set(
        err, STATUS_READ,
        "%s: was changed by another program while it was read: wait until that "
        "has finished, and try again",
        file->path);
}
