/* Input files, mapped read-only. Standard input, pipes and gzip files can't be mapped.
 * They are copied to an unlinked temporary file first. So readers always see one mapping,
 * and memory stays bounded. */
#ifndef NIBBLE_CORE_FILE_H
#define NIBBLE_CORE_FILE_H

#include "core/error.h"

#include <stdint.h>
#include <sys/types.h>

struct file {
    const char *path; /* as messages name it */
    const uint8_t *data;
    uint64_t size;
    int fd;       /* of the mapped bytes; -1: given back */
    dev_t device; /* of the file named, not of the temporary one */
    ino_t inode;
    bool is_stdin, mapped;
};

/* Maps the file at path; "-" is standard input. A gzip file, recognized by its first
 * bytes, is inflated. Returns NULL on failure, with an error that names the file. */
struct file *file_open(const char *path, const volatile int *cancel, struct error *err);

/* Maps `location` inside the folder of `model`: a relative name without "..",
 * no part of it a symbolic link, a regular file at its end. */
struct file *file_open_beside(const struct file *model, const char *location,
                              struct error *err);

/* A new file of that size in $TMPDIR, without a name, mapped for reading and
 * writing: its data may be written to. */
struct file *file_scratch(uint64_t size, struct error *err);

/* Gives the descriptor back: the mapping needs none, and models may have more files
 * of external data than a process may have open. */
void file_close_descriptor(struct file *file);

void file_close(struct file *file); /* NULL is fine */

/* Tells the system that [data, data + size) of the file won't be read again
 * soon, which keeps resident memory small. Whole pages inside only. */
void file_done_with(const struct file *file, const uint8_t *data, uint64_t size);

/* The same for pieces that are read one after the other: neighbours are given back
 * together, so that pages which they share are, too. Zeroed to begin with. */
struct file_pieces {
    const struct file *file;
    const uint8_t *begin, *end;
};
void file_pieces_add(struct file_pieces *pieces, const struct file *file,
                     const uint8_t *data, uint64_t size); /* file: NULL is fine */
void file_pieces_end(struct file_pieces *pieces);

/* Copies bytes of the file by reading it, which brings no pages of the mapping in. */
void file_copy(const struct file *file, const uint8_t *data, size_t size, void *out);

/* Makes an unlinked temporary file in $TMPDIR, open for reading and writing. Returns -1
 * on failure, with an error. */
int file_temporary(struct error *err);

/* Writes all bytes to fd, a temporary copy of the file at `path`. */
bool fd_write_all(int fd, const char *data, size_t size, const char *path,
                  struct error *err);

/* Returns true and sets an error if *cancel is not 0. `cancel` may be NULL. */
bool cancelled(const volatile int *cancel, struct error *err);

#endif
