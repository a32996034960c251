/* Fuzzing of gzip: any bytes are inflated, up to a limit. What was inflated can be
 * deflated, and inflated to the same. */
#include "core/gzip.h"
#include "fuzz.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LIMIT = 1 << 20 };

static size_t contents(int fd, uint8_t *out)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_size > LIMIT ||
        pread(fd, out, (size_t)st.st_size, 0) != st.st_size)
        fuzz_found("more than the limit");
    return (size_t)st.st_size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t first[LIMIT], second[LIMIT];
    struct error err = {0}, fine = {0};
    int in = fuzz_memory(data, size), out = fuzz_memory("", 0);
    int packed = fuzz_memory("", 0), again = fuzz_memory("", 0);
    bool ok = gzip_inflate(in, out, "input", LIMIT, NULL, &err);
    if (ok != (err.status == STATUS_OK))
        fuzz_found("a status that is not the result");
    size_t length = contents(out, first);
    if (ok && (!gzip_deflate(out, packed, "packed", NULL, &fine) ||
               !gzip_inflate(packed, again, "again", LIMIT, NULL, &fine) ||
               contents(again, second) != length || memcmp(first, second, length) != 0))
        fuzz_found("other bytes after two ways");
    close(in);
    close(out);
    close(packed);
    close(again);
    return 0;
}
