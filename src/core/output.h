/* Output files that appear whole or not at all: written under a temporary name
 * beside the final one, then renamed over it. */
#ifndef NIBBLE_CORE_OUTPUT_H
#define NIBBLE_CORE_OUTPUT_H

#include "core/file.h"

struct output;

/* Begins an output. path: the final name, symbolic links resolved; a name that
 * ends in .gz is compressed on commit; "-" and anything that exists and is no
 * regular file (a pipe, /dev/null) is written to on commit. NULL on failure. */
struct output *output_create(const char *path, const volatile int *cancel,
                             struct error *err);

/* True where the output would replace that very file. */
bool output_is_file(const struct output *output, const struct file *file);
bool output_is_plain(const struct output *output); /* a regular file, not compressed */
const char *output_path(const struct output *output);

/* Writes at an offset; safe from several threads. */
bool output_write(struct output *output, uint64_t offset, const void *data, size_t size,
                  struct error *err);

/* Copies bytes of a mapped input file, inside the system where it can. */
bool output_copy(struct output *output, uint64_t offset, const struct file *file,
                 const uint8_t *data, uint64_t size, struct error *err);

/* Sets the final size, for an output that ends in bytes not written yet. */
bool output_resize(struct output *output, uint64_t size, struct error *err);

/* Makes the output durable and gives it its name. */
bool output_commit(struct output *output, struct error *err);
uint64_t output_size(const struct output *output); /* bytes, after commit */

/* Frees; what was not committed is removed. NULL is fine. */
void output_free(struct output *output);

#endif
