/* Input files, mapped read-only. Standard input, pipes and gzip files can't be mapped.
 * They are copied to an unlinked temporary file first. So readers always see one mapping,
 * and memory stays bounded. */
#ifndef NIBBLE_CORE_FILE_H
#define NIBBLE_CORE_FILE_H

#include "core/error.h"

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct file {
    const char *path; /* as messages name it */
    const uint8_t *data;
    uint64_t size;
    int fd;       /* of the mapped bytes; -1: given back */
    dev_t device; /* of the file named, not of the temporary one */
    ino_t inode;
    bool is_stdin, mapped;
    bool is_scratch;           /* of file_scratch: nibble itself changes it */
    struct timespec modified;  /* when it was opened */
    void *volatile *watched;   /* the list of truncation_watch that has it; NULL: none */
    struct file *next;         /* in that list */
    volatile int is_truncated; /* set by truncation_handle */
};

/* Maps the file at path; "-" is standard input. A gzip file, recognized by its first
 * bytes, is inflated. Returns NULL on failure, with an error that names the file. */
struct file *file_open(const char *path, const volatile int *cancel, struct error *err);

/* Maps `location` inside the folder of `model`: a relative name without "..",
 * no part of it a symbolic link, a regular file at its end. It is watched as the model's
 * file is. */
struct file *file_open_beside(const struct file *model, const char *location,
                              struct error *err);

/* A new file of that size in $TMPDIR, without a name, mapped for reading and
 * writing: its data may be written to. */
struct file *file_scratch(uint64_t size, struct error *err);

/* Gives the descriptor back: the mapping needs none, and models may have more files
 * of external data than a process may have open. */
void file_close_descriptor(struct file *file);

void file_close(struct file *file); /* NULL is fine */

/* Reads bytes [offset, offset + size) without the mapping. The file must have its
 * descriptor. */
bool file_read(const struct file *file, uint64_t offset, size_t size, void *out,
               struct error *err);

/* False, with an error, if another program has truncated or changed the file since it was
 * opened. Says nothing about files that have no descriptor, unless a signal handler has
 * found out. */
bool file_check(const struct file *file, struct error *err);

/* Makes an unlinked temporary file in $TMPDIR, open for reading and writing. Returns -1
 * on failure, with an error. */
int file_temporary(struct error *err);

/* Writes all bytes to fd, a temporary copy of the file at `path`. */
bool fd_write_all(int fd, const char *data, size_t size, const char *path,
                  struct error *err);

/* Returns true and sets an error if *cancel is not 0. `cancel` may be NULL. */
bool cancelled(const volatile int *cancel, struct error *err);

#endif
