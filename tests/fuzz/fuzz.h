/* What fuzz targets share. A target is a file with LLVMFuzzerTestOneInput: libFuzzer runs
 * it on inputs that it makes up, fuzz_replay.c on files. ./dev fuzz builds and runs them.
 */
#ifndef NIBBLE_TESTS_FUZZ_H
#define NIBBLE_TESTS_FUZZ_H

#include "nibble.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The target quantize: some bytes of options, then a model. Returns what nibble did. */
enum { FUZZ_OPTION_BYTES = 7 };
enum nibble_status fuzz_quantize(const uint8_t *data, size_t size);

/* The working folder, in memory where that is possible. It has external data "w", and
 * goes with the process. TMPDIR is the same folder. */
const char *fuzz_folder(void);
void fuzz_path(char *path, size_t room, const char *name);
void fuzz_save(const char *name, const void *data, size_t size);

/* Saves a small model. */
void fuzz_save_small(const char *name);

/* The number of entries in the folder. */
int fuzz_entries(void);

/* Removes an output, and what is called OUT.HASH.data. */
void fuzz_remove(const char *name);

/* A descriptor of a file in memory with these bytes. */
int fuzz_memory(const void *data, size_t size);

/* Ends the process with a message: the target has found something. */
_Noreturn void fuzz_found(const char *what);

#endif
