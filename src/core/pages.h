/* Which pages of mapped files are in memory. A model may be larger than memory, so pages
 * that were read are given back to the system. This is the only place that does so. */
#ifndef NIBBLE_CORE_PAGES_H
#define NIBBLE_CORE_PAGES_H

#include "core/file.h"

/* What one thread has read and not given back. Zeroed to begin with. */
struct pages {
    const struct file *file;
    const uint8_t *begin, *end;
};

/* The thread reads these bytes next. What it read before is given back, but not before
 * there is enough of it. file: NULL for bytes that lie in no file. */
void pages_read(struct pages *pages, const struct file *file, const uint8_t *data,
                uint64_t size);

/* What the thread read last stays in memory, for whoever reads it again. */
void pages_keep(struct pages *pages);

/* The thread has read all that it wants to: gives the rest back. */
void pages_end(struct pages *pages);

/* Brings in the pages of bytes that are read soon. Kernels prefetch from them, and the
 * CPU ignores that for pages that are not in memory. */
void pages_bring_in(const struct file *file, const uint8_t *data, uint64_t size);

/* Whether `size` bytes are the same; gives their pages back. */
bool pages_equal(const struct file *file_a, const uint8_t *a, const struct file *file_b,
                 const uint8_t *b, uint64_t size);

#endif
