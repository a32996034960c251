/* gzip, by zlib. The header has no name and no time, so equal input gives equal output.
 */
#include "core/gzip.h"
#include "core/file.h"
#include "core/retry.h"

#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum {
    PIECE = 16 << 10,      /* read at a time */
    GZIP = MAX_WBITS + 16, /* a header and a trailer of gzip */
    LEVEL = 6,
    MEMORY = 8, /* zlib's default */
};

/* Reads `in` from its begin and writes to `out`, through zlib. */
struct gzip {
    z_stream zlib;
    int in, out;
    const char *path;
    uint64_t limit; /* of bytes written, or UINT64_MAX */
    bool at_end;    /* of `in` */
    bool is_copy;   /* `out` is a temporary copy */
    struct error *err;
    unsigned char input[PIECE], output[PIECE];
};

/* Reads if zlib has used up what was read before. */
static bool fill(struct gzip *g)
{
    ssize_t n;
    if (g->zlib.avail_in > 0 || g->at_end)
        return true;
    RETRY(n, read(g->in, g->input, sizeof g->input));
    if (n < 0)
        return error_set(g->err, STATUS_READ, "%s: %s", g->path, strerror(errno));
    g->zlib.next_in = g->input;
    g->zlib.avail_in = (unsigned)n;
    g->at_end = n == 0;
    return true;
}

static bool flush(struct gzip *g)
{
    size_t n = sizeof g->output - g->zlib.avail_out;
    g->zlib.next_out = g->output;
    g->zlib.avail_out = sizeof g->output;
    return file_within_limit(g->path, n, &g->limit, g->err) &&
           fd_write_all(g->out, g->output, n, g->path, g->is_copy, g->err);
}

static bool begin(struct gzip *g, int code)
{
    if (code != Z_OK)
        return error_memory(g->err);
    g->zlib.next_out = g->output;
    g->zlib.avail_out = sizeof g->output;
    return lseek(g->in, 0, SEEK_SET) == 0 ||
           error_set(g->err, STATUS_READ, "%s: %s", g->path, strerror(errno));
}

/* ---- inflating ---------------------------------------------------------- */

/* Several gzip files may follow each other. Other bytes behind the last one are ignored,
 * as gzip does. */
static bool next_member(struct gzip *g, bool *more)
{
    unsigned char *rest = g->input;
    size_t left = g->zlib.avail_in;
    *more = false;
    memmove(rest, g->zlib.next_in, left);
    while (left < 2 && !g->at_end) {
        ssize_t n;
        RETRY(n, read(g->in, rest + left, sizeof g->input - left));
        if (n < 0)
            return error_set(g->err, STATUS_READ, "%s: %s", g->path, strerror(errno));
        g->at_end = n == 0;
        left += (size_t)n;
    }
    g->zlib.next_in = rest;
    g->zlib.avail_in = (unsigned)left;
    *more = left >= 2 && rest[0] == 0x1f && rest[1] == 0x8b;
    return !*more || inflateReset(&g->zlib) == Z_OK;
}

static bool inflate_all(struct gzip *g, const volatile int *cancel)
{
    bool more = true;
    while (more) {
        if (cancelled(cancel, g->err) || !fill(g))
            return false;
        int code = inflate(&g->zlib, Z_NO_FLUSH);
        if (code == Z_MEM_ERROR)
            return error_memory(g->err);
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
            return error_set(g->err, STATUS_MALFORMED,
                             "%s: damaged or truncated gzip file", g->path);
        if (code == Z_BUF_ERROR && g->at_end)
            return error_set(g->err, STATUS_MALFORMED, "%s: truncated gzip file",
                             g->path);
        if (!flush(g) || (code == Z_STREAM_END && !next_member(g, &more)))
            return false;
    }
    return true;
}

bool gzip_inflate(int in, int out, const char *path, uint64_t limit,
                  const volatile int *cancel, struct error *err)
{
    struct gzip g = {
        .in = in, .out = out, .path = path, .limit = limit, .is_copy = true, .err = err};
    bool ok = begin(&g, inflateInit2(&g.zlib, GZIP)) && inflate_all(&g, cancel);
    inflateEnd(&g.zlib);
    return ok;
}

/* ---- deflating ---------------------------------------------------------- */

static bool deflate_all(struct gzip *g, const volatile int *cancel)
{
    int code = Z_OK;
    while (code != Z_STREAM_END) {
        if (cancelled(cancel, g->err) || !fill(g))
            return false;
        code = deflate(&g->zlib, g->at_end ? Z_FINISH : Z_NO_FLUSH);
        if (!flush(g))
            return false;
    }
    return true;
}

bool gzip_deflate(int in, int out, const char *path, const volatile int *cancel,
                  struct error *err)
{
    struct gzip g = {.in = in, .out = out, .path = path, .limit = UINT64_MAX, .err = err};
    bool ok = begin(&g, deflateInit2(&g.zlib, LEVEL, Z_DEFLATED, GZIP, MEMORY,
                                     Z_DEFAULT_STRATEGY)) &&
              deflate_all(&g, cancel);
    deflateEnd(&g.zlib);
    return ok;
}
