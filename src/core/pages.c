/* Gives pages of mapped files back to the system, and brings them in. */
#include "core/pages.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    TOGETHER = 1 << 20, /* give back at least this many bytes at once */
    AROUND = 64 << 10,  /* a page fault brings in a whole aligned piece of this size */
    COMPARED = 4 << 20, /* bytes compared at once */
};

/* Gives back whole pieces of AROUND bytes. Otherwise a page fault in one range would
 * bring pages of its neighbours in again, and they would stay. */
static void give_back(const struct file *file, const uint8_t *data,
                      const uint8_t *data_end)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), around = AROUND;
    uintptr_t first = (uintptr_t)file->data, last = first + (uintptr_t)file->size;
    uintptr_t begin = (uintptr_t)data & ~(around - 1);
    uintptr_t end = ((uintptr_t)data_end + around - 1) & ~(around - 1);
    last = (last + page - 1) & ~(page - 1);
    begin = begin < first ? first : begin;
    end = end > last ? last : end;
    if (file->mapped && begin < end)
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void pages_read(struct pages *pages, const struct file *file, const uint8_t *data,
                uint64_t size)
{
    if (!file)
        return;
    if (file != pages->file || data < pages->begin || data - pages->begin >= TOGETHER) {
        pages_end(pages);
        *pages = (struct pages){.file = file, .begin = data, .end = data};
    }
    if (data + size > pages->end)
        pages->end = data + size;
}

void pages_keep(struct pages *pages)
{
    *pages = (struct pages){0};
}

void pages_end(struct pages *pages)
{
    if (pages->file)
        give_back(pages->file, pages->begin, pages->end);
    *pages = (struct pages){0};
}

void pages_bring_in(const struct file *file, const uint8_t *data, uint64_t size)
{
    if (!file || size == 0)
        return;
    for (uint64_t at = 0; at < size; at += AROUND)
        (void)*(const volatile uint8_t *)(data + at);
    (void)*(const volatile uint8_t *)(data + size - 1);
}

bool pages_equal(const struct file *file_a, const uint8_t *a, const struct file *file_b,
                 const uint8_t *b, uint64_t size)
{
    struct pages pages_a = {0}, pages_b = {0};
    bool equal = true;
    for (uint64_t at = 0, n; equal && at < size; at += n) {
        n = size - at < COMPARED ? size - at : COMPARED;
        pages_read(&pages_a, file_a, a + at, n);
        pages_read(&pages_b, file_b, b + at, n);
        equal = memcmp(a + at, b + at, (size_t)n) == 0;
    }
    pages_end(&pages_a);
    pages_end(&pages_b);
    return equal;
}
