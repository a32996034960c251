/* The folder of an output: its names, and what is done to it as a whole. */
#ifndef NIBBLE_CORE_FOLDER_H
#define NIBBLE_CORE_FOLDER_H

#include "core/error.h"

#include <stddef.h>

/* The length of the folder in `path`, with its slash. 0: the working folder. */
size_t folder_length(const char *path);

/* The name in `path`, without its folder. */
const char *folder_name_in(const char *path);

/* Opens the folder of `path`. Returns -1 with errno on failure. */
int folder_open(const char *path);

/* A rename survives a crash only once the folder itself is on disk. */
void folder_sync(int folder);

/* Locks the folder if no other process has. */
bool folder_try_lock(int folder);

/* Locks the folder, so that one process at a time replaces files that belong together.
 * Waits some seconds for another process. Closing the descriptor ends the lock. Returns
 * false with an error if the wait was in vain, or *cancel became nonzero. Returns true if
 * the file system has no locks, and *locked is then false. */
bool folder_lock(int folder, const char *path, const volatile int *cancel, bool *locked,
                 struct error *err);

/* Calls fn for the names in the folder, in any order. */
typedef void folder_fn(void *context, int folder, const char *name);
void folder_each(int folder, folder_fn *fn, void *context);

#endif
