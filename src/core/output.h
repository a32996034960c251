/* Output files that appear whole or not at all. They are written under a temporary name
 * in the same folder, then renamed. */
#ifndef NIBBLE_CORE_OUTPUT_H
#define NIBBLE_CORE_OUTPUT_H

#include "core/file.h"

struct output;

/* Begins an output with that final name. If it is a symbolic link, the link stays, and
 * its target is replaced. If the name ends in .gz, the output is compressed. "-" is
 * standard output. Streams, such as pipes and /dev/null, are written when the output is
 * published. Returns NULL on failure. */
struct output *output_create(const char *path, const volatile int *cancel,
                             struct error *err);

/* Begins a file that belongs to `main`, in the same folder or below it, for the final
 * name `path`. NULL means that output_name gives the name later. The file is never
 * compressed, and a symbolic link in its place is replaced, not followed. */
struct output *output_create_part(const struct output *main, const char *path,
                                  struct error *err);
bool output_name(struct output *output, const char *path, struct error *err);

/* Whether the output would replace this file. */
bool output_is_file(const struct output *output, const struct file *file);
/* Whether two outputs would be the same file. Streams never are. */
bool output_same(const struct output *a, const struct output *b);
bool output_is_plain(const struct output *output); /* a file that is not compressed */
bool output_is_stream(const struct output *output);
/* Whether the path that was given is a link to a file in another folder. */
bool output_is_elsewhere(const struct output *output);
const char *output_path(const struct output *output);
int output_descriptor(const struct output *output); /* of the bytes, not compressed */

/* Writes at an offset. Several threads may call it at once. */
bool output_write(struct output *output, uint64_t offset, const void *data, size_t size,
                  struct error *err);

/* Copies bytes of a mapped input file, inside the kernel if possible. */
bool output_copy(struct output *output, uint64_t offset, const struct file *file,
                 const uint8_t *data, uint64_t size, struct error *err);

/* Sets the final size, for an output whose last bytes are not written yet. */
bool output_resize(struct output *output, uint64_t size, struct error *err);

/* Makes a file durable, under its temporary name. Nothing may be written after that. */
bool output_prepare(struct output *output, struct error *err);
/* Writes a text and a newline, and prepares the output. NULL means out of memory. */
bool output_prepare_text(struct output *output, const char *text, struct error *err);
/* Maps what was prepared, as a reader of the output will see it. */
struct file *output_reopen(const struct output *output, struct error *err);
uint64_t output_size(const struct output *output); /* in bytes, once it is prepared */

/* Gives a prepared output its final name, or copies it to its stream. */
bool output_publish(struct output *output, struct error *err);

/* Whether the final name now is the file that output_publish renamed. */
bool output_is_current(const struct output *output);

/* Removes a file that output_publish renamed, unless it replaced another one. */
void output_withdraw(const struct output *output);

/* Prepares and publishes. */
bool output_commit(struct output *output, struct error *err);

/* Frees the output, and removes it if it was not published. NULL is fine. */
void output_free(struct output *output);

#endif
