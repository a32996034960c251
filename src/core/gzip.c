/* gzip, by zlib's file interface. The header has no name and no time, so equal input
 * gives equal output. */
#include "core/gzip.h"
#include "core/file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum {
    GZIP_BUFFER = 64 << 10, /* of zlib, on the heap */
    COPY_BUFFER = 16 << 10, /* ours, on the stack */
};

/* Opens zlib's stream on a duplicate of fd, so that closing it leaves fd open. */
static gzFile stream_open(int fd, const char *mode, const char *path, struct error *err)
{
    int copy = dup(fd);
    if (copy < 0) {
        error_set(err, STATUS_READ, "%s: %s", path, strerror(errno));
        return NULL;
    }
    gzFile stream = gzdopen(copy, mode);
    if (!stream) {
        close(copy);
        error_memory(err);
        return NULL;
    }
    gzbuffer(stream, GZIP_BUFFER);
    return stream;
}

bool gzip_inflate(int in, int out, const char *path, uint64_t limit,
                  const volatile int *cancel, struct error *err)
{
    char buffer[COPY_BUFFER];
    int n = 0, code = Z_OK;
    gzFile stream = NULL;
    if (lseek(in, 0, SEEK_SET) == 0)
        stream = stream_open(in, "rb", path, err);
    if (!stream)
        return error_memory(err);
    while (!cancelled(cancel, err) && (n = gzread(stream, buffer, sizeof buffer)) > 0) {
        if (!file_within_limit(path, (uint64_t)n, &limit, err) ||
            !fd_write_all(out, buffer, (size_t)n, path, err))
            break;
    }
    gzerror(stream, &code);
    if (code == Z_MEM_ERROR)
        error_memory(err);
    else if (n < 0 || (code != Z_OK && code != Z_STREAM_END))
        error_set(err, STATUS_MALFORMED, "%s: damaged or truncated gzip file", path);
    if (gzclose(stream) != Z_OK)
        error_set(err, STATUS_MALFORMED, "%s: truncated gzip file", path);
    return err->status == STATUS_OK;
}

bool gzip_deflate(int in, int out, const char *path, const volatile int *cancel,
                  struct error *err)
{
    char buffer[COPY_BUFFER];
    ssize_t n = 0;
    gzFile stream = NULL;
    if (lseek(in, 0, SEEK_SET) == 0)
        stream = stream_open(out, "wb6", path, err);
    if (!stream)
        return error_memory(err);
    while (!cancelled(cancel, err) &&
           ((n = read(in, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))) {
        if (n < 0)
            continue;
        if (gzwrite(stream, buffer, (unsigned)n) != n) {
            error_set(err, STATUS_WRITE, "%s: %s", path, strerror(errno));
            break;
        }
    }
    if (n < 0)
        error_set(err, STATUS_READ, "%s: %s", path, strerror(errno));
    if (gzclose(stream) != Z_OK)
        error_set(err, STATUS_WRITE, "%s: %s", path, strerror(errno));
    return err->status == STATUS_OK;
}
