/* Output files that appear whole or not at all. They are written under a temporary name
 * in the same folder, then renamed. */
#ifndef NIBBLE_CORE_OUTPUT_H
#define NIBBLE_CORE_OUTPUT_H

#include "core/file.h"

struct output;

/* Begins an output with that final name. Symbolic links are followed. If the name ends in
 * .gz, the output is compressed on commit. "-" is standard output. Streams, such as pipes
 * and /dev/null, are written on commit. Returns NULL on failure. */
struct output *output_create(const char *path, const volatile int *cancel,
                             struct error *err);

/* Whether the output would replace this file. */
bool output_is_file(const struct output *output, const struct file *file);
bool output_is_plain(const struct output *output); /* a file that is not compressed */
const char *output_path(const struct output *output);

/* Writes at an offset. Several threads may call it at once. */
bool output_write(struct output *output, uint64_t offset, const void *data, size_t size,
                  struct error *err);

/* Copies bytes of a mapped input file, inside the kernel if possible. */
bool output_copy(struct output *output, uint64_t offset, const struct file *file,
                 const uint8_t *data, uint64_t size, struct error *err);

/* Sets the final size, for an output whose last bytes are not written yet. */
bool output_resize(struct output *output, uint64_t size, struct error *err);

/* Makes the output durable and gives it its final name. */
bool output_commit(struct output *output, struct error *err);
uint64_t output_size(const struct output *output); /* in bytes, after commit */

/* Frees the output, and removes it if it was not committed. NULL is fine. */
void output_free(struct output *output);

#endif
