/* Guards. The list of files changes only while no other thread reads them. */
#include "core/guard.h"
#include "core/file.h"

#include <sys/mman.h>
#include <unistd.h>

void guard_add(struct guard *guard, struct file *file)
{
    if (!guard)
        return;
    file->guard = guard;
    file->next = guard->files;
    guard->files = file;
}

void guard_remove(struct file *file)
{
    if (!file->guard)
        return;
    struct file *volatile *at = &file->guard->files;
    while (*at != file)
        at = &(*at)->next;
    *at = file->next;
    file->guard = NULL;
}

bool guard_fault(struct guard *guard, const void *address)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)address;
    for (struct file *file = guard->files; file; file = file->next) {
        uintptr_t begin = (uintptr_t)file->data, end = begin + (uintptr_t)file->size;
        if (!file->mapped || at < begin || at >= end)
            continue;
        at &= ~(page - 1);
        file->is_truncated = 1;
        return mmap((void *)at, end - at, PROT_READ,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
                    0) != MAP_FAILED;
    }
    return false;
}
