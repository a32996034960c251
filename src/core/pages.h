/* Which pages of mapped files are in memory. A model may be larger than memory, so pages
 * that were read are given back to the system. This is the only place that does so. */
#ifndef NIBBLE_CORE_PAGES_H
#define NIBBLE_CORE_PAGES_H

#include "core/file.h"

/* The bytes that one thread has read and not given back. Begin with zeros. */
struct pages {
    const struct file *file;
    const uint8_t *begin, *end;
};

/* Tells that the thread reads these bytes next. Gives back what it read before, once that
 * is enough to be worth a call. `file` is NULL for bytes outside of files. */
void pages_read(struct pages *pages, const struct file *file, const uint8_t *data,
                uint64_t size);

/* Keeps the bytes that the thread read last in memory, because they are read again. */
void pages_keep(struct pages *pages);

/* Gives the rest back when the thread has finished reading. */
void pages_end(struct pages *pages);

/* Brings in pages that are read soon. Kernels prefetch from them, and the CPU ignores
 * prefetches of pages that are not in memory. */
void pages_bring_in(const struct file *file, const uint8_t *data, uint64_t size);

/* Whether `size` bytes are equal. Gives their pages back. */
bool pages_equal(const struct file *file_a, const uint8_t *a, const struct file *file_b,
                 const uint8_t *b, uint64_t size);

#endif
