#include "failing_heap.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || !defined(__GLIBC__)
#define CAN_REPLACE_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CAN_REPLACE_MALLOC 0
#endif
#endif
#ifndef CAN_REPLACE_MALLOC
#define CAN_REPLACE_MALLOC 1
#endif

enum { FRAMES = 64, SLOTS = 1 << 17, PLACES_MAX = 1 << 16 };

static struct {
    bool armed, for_good, noting, tracing;
    long fail_at, count, live;
    long places[PLACES_MAX];
    size_t place_count;
    void *seen[SLOTS]; /* a hash set of return addresses */
    size_t seen_count;
} heap;

bool heap_can_fail(void)
{
    return CAN_REPLACE_MALLOC;
}

#if CAN_REPLACE_MALLOC

#include <execinfo.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *pointer);

#define EXPORTED __attribute__((visibility("default")))

/* Whether the address is new. */
static bool see(void *address)
{
    size_t i = (size_t)((uintptr_t)address * 0x9e3779b97f4a7c15u >> 40) % SLOTS;
    while (heap.seen[i] && heap.seen[i] != address)
        i = (i + 1) % SLOTS;
    if (heap.seen[i] || heap.seen_count >= SLOTS / 2)
        return false;
    heap.seen[i] = address;
    heap.seen_count++;
    return true;
}

static void note(void)
{
    void *frames[FRAMES];
    bool is_new = false;
    heap.armed = false;
    int count = backtrace(frames, FRAMES);
    heap.armed = true;
    for (int i = 0; i < count; i++)
        is_new |= see(frames[i]);
    if (is_new && heap.place_count < PLACES_MAX)
        heap.places[heap.place_count++] = heap.count;
}

static void trace(void)
{
    void *frames[FRAMES];
    heap.armed = heap.tracing = false;
    backtrace_symbols_fd(frames, backtrace(frames, FRAMES), STDERR_FILENO);
    heap.armed = true;
}

static bool refuse(void)
{
    if (!heap.armed)
        return false;
    heap.count++;
    if (heap.noting)
        note();
    if (heap.fail_at == 0 || heap.count < heap.fail_at ||
        (heap.count > heap.fail_at && !heap.for_good))
        return false;
    if (heap.tracing)
        trace();
    errno = ENOMEM;
    return true;
}

static void *counted(void *pointer)
{
    if (heap.armed && pointer)
        heap.live++;
    return pointer;
}

EXPORTED void *malloc(size_t size)
{
    return refuse() ? NULL : counted(__libc_malloc(size));
}

EXPORTED void *calloc(size_t count, size_t size)
{
    return refuse() ? NULL : counted(__libc_calloc(count, size));
}

EXPORTED void *realloc(void *old, size_t size)
{
    if (refuse())
        return NULL;
    void *pointer = __libc_realloc(old, size);
    return old ? pointer : counted(pointer);
}

EXPORTED void free(void *pointer)
{
    if (heap.armed && pointer)
        heap.live--;
    __libc_free(pointer);
}

#endif

static void arm(long fail_at, bool for_good, bool noting)
{
    heap.fail_at = fail_at;
    heap.for_good = for_good;
    heap.noting = noting;
    heap.count = heap.live = 0;
    heap.armed = true;
}

void heap_arm(long fail_at, bool for_good)
{
    arm(fail_at, for_good, false);
}

void heap_arm_places(void)
{
#if CAN_REPLACE_MALLOC
    void *frame;
    backtrace(&frame, 1); /* which loads a library */
#endif
    heap.place_count = 0;
    arm(0, false, true);
}

void heap_trace(void)
{
    heap.tracing = true;
}

void heap_disarm(void)
{
    heap.armed = false;
}

void heap_resume(void)
{
    heap.armed = true;
}

long heap_count(void)
{
    return heap.count;
}

long heap_live(void)
{
    return heap.live;
}

const long *heap_places(size_t *count)
{
    *count = heap.place_count;
    return heap.places;
}
