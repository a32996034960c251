/* gzip between two open files, in bounded memory, by zlib. */
#ifndef NIBBLE_CORE_GZIP_H
#define NIBBLE_CORE_GZIP_H

#include "core/error.h"

/* Both functions read `in` from its start and append to `out`. `path` is for messages. */
bool gzip_inflate(int in, int out, const char *path, const volatile int *cancel,
                  struct error *err);
bool gzip_deflate(int in, int out, const char *path, const volatile int *cancel,
                  struct error *err);

#endif
