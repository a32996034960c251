/* Input files, mapped read-only. Standard input, pipes and gzip files can't be mapped.
 * They are copied to an unlinked temporary file first. So readers always see one mapping,
 * and memory stays bounded. */
#ifndef NIBBLE_CORE_FILE_H
#define NIBBLE_CORE_FILE_H

#include "core/error.h"

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* Another file in place of the one at a location beside a model. */
struct stand_in {
    const struct stand_in *next;
    const char *location;
    int fd;
};

struct file {
    const char *path;    /* as messages name it */
    const uint8_t *data; /* the mapping */
    uint64_t size;       /* bytes of the mapping */
    int fd;              /* the descriptor of the mapped bytes; -1: closed */
    dev_t device;        /* of the named file, not of a temporary copy */
    ino_t inode;         /* likewise */
    bool is_stdin;
    bool mapped;     /* false for empty files */
    bool is_scratch; /* made by file_scratch, so nibble itself changes it */
    bool no_links;   /* file_open_beside refuses symbolic links; set by callers */
    const struct stand_in *stand_ins; /* that file_open_beside opens; set by callers */
    struct timespec modified;  /* the time of the last change, when it was opened */
    void *volatile *watched;   /* the list of truncation_watch with this file; or NULL */
    struct file *next;         /* the next file of that list */
    volatile int is_truncated; /* set by truncation_handle */
};

/* Maps the file at path; "-" is standard input. A gzip file, recognized by its first
 * bytes, is inflated. Returns NULL on failure, with an error that names the file. */
struct file *file_open(const char *path, const volatile int *cancel, struct error *err);

/* The same. If the bytes must be copied, because they come from a pipe or are compressed,
 * the call fails beyond `max_size` bytes. 0 means FILE_COPY_MAX, and FILE_COPY_RATIO
 * times the size of a compressed file. */
#define FILE_COPY_MAX ((uint64_t)64 << 30)
enum { FILE_COPY_RATIO = 1000 };
struct file *file_open_within(const char *path, uint64_t max_size,
                              const volatile int *cancel, struct error *err);

/* Maps what was written through the descriptor, which stays open. */
struct file *file_open_descriptor(int fd, const char *path, const volatile int *cancel,
                                  struct error *err);

/* Subtracts `size` from what is left. Fails if that is less. */
bool file_within_limit(const char *path, uint64_t size, uint64_t *left,
                       struct error *err);

/* Maps the file `location` in the folder of `model`. The name comes from the model, so it
 * must be relative and without "..". Symbolic links are followed wherever they lead,
 * because a model can't make any: whoever controls the disk made them. model->no_links
 * refuses them for models out of archives, which can hold links. The file must be a
 * regular one. If the model's file is watched for truncation, this file is, too. */
struct file *file_open_beside(const struct file *model, const char *location,
                              struct error *err);

/* Makes an unnamed file of that size in $TMPDIR, and maps it. Its data may be written
 * to. */
struct file *file_scratch(uint64_t size, struct error *err);

/* Closes the descriptor. The mapping stays. A model may have more files of external data
 * than a process may have open. */
void file_close_descriptor(struct file *file);

void file_close(struct file *file); /* NULL is fine */

/* Reads bytes [offset, offset + size) without the mapping. The descriptor must still be
 * open. */
bool file_read(const struct file *file, uint64_t offset, size_t size, void *out,
               struct error *err);

/* Returns false and sets an error if another program has truncated or changed the file
 * since it was opened. If the descriptor is closed, only truncation_handle can detect
 * that. */
bool file_check(const struct file *file, struct error *err);

/* Writes all bytes to fd: a temporary copy of the file at `path`, or that file. */
bool fd_write_all(int fd, const void *data, size_t size, const char *path, bool is_copy,
                  struct error *err);

#endif
