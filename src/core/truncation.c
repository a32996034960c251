/* Truncated mappings. The list may change only while no other thread reads its files. */
#include "core/truncation.h"
#include "core/file.h"

#include <sys/mman.h>
#include <unistd.h>

void truncation_watch(void *volatile *files, struct file *file)
{
    if (!files)
        return;
    file->watched = files;
    file->next = *files;
    *files = file;
}

void truncation_forget(struct file *file)
{
    if (!file->watched)
        return;
    struct file *before = *file->watched;
    if (before == file) {
        *file->watched = file->next;
        return;
    }
    while (before->next != file)
        before = before->next;
    before->next = file->next;
}

bool truncation_handle(void *volatile const *files, const void *address)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)address;
    for (struct file *file = *files; file; file = file->next) {
        uintptr_t begin = (uintptr_t)file->data, end = begin + (uintptr_t)file->size;
        if (!file->mapped || at < begin || at >= (end + page - 1) / page * page)
            continue;
        at &= ~(page - 1);
        file->is_truncated = 1;
        return mmap((void *)at, end - at, PROT_READ,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
                    0) != MAP_FAILED;
    }
    return false;
}
