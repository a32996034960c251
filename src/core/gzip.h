/* gzip between two open files, in bounded memory, by zlib. */
#ifndef NIBBLE_CORE_GZIP_H
#define NIBBLE_CORE_GZIP_H

#include "core/error.h"

#include <stdint.h>

/* Both functions read `in` from its start and append to `out`. `path` is for messages.
 * gzip_inflate fails after `limit` bytes. */
bool gzip_inflate(int in, int out, const char *path, uint64_t limit,
                  const volatile int *cancel, struct error *err);
bool gzip_deflate(int in, int out, const char *path, const volatile int *cancel,
                  struct error *err);

#endif
