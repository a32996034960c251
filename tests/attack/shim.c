/* Faults for a program under test: preload this library. It counts the calls of some
 * functions of libc and makes one of them fail, or fall short, or strikes before it.
 *
 *     ATTACK_CALL=NAME  the function; "any": all of the table but the allocations
 *     ATTACK_AT=N       the N-th call of it, from 1 on; 0: every second call
 *     ATTACK_ON=1       also all calls after that
 *     ATTACK_HOW=fail:ERRNO | short | corrupt | signal:NUMBER | truncate:PATH
 *     ATTACK_COUNTS=FD  writes "NAME COUNT" lines there at the end
 *
 * Python starts the program and knows what must hold: attack.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- the table of functions ------------------------------------------------ */

/* clang-format off */
#define CALLS(X) \
    X(malloc) X(calloc) X(realloc) X(open) X(openat) X(mkostemp) X(read) X(pread) \
    X(write) X(pwrite) X(fsync) X(ftruncate) X(rename) X(flock) X(mmap) X(fstat) \
    X(stat) X(lstat) X(copy_file_range) X(posix_fallocate) X(unlink) X(unlinkat) \
    X(fcntl) X(dup) X(lseek) X(fchmod) X(madvise) X(pthread_create) X(fstatat) \
    X(realpath) X(mkdir)
/* clang-format on */

enum call {
#define NUMBER(name) CALL_##name,
    CALLS(NUMBER) CALL_COUNT
};
static const char *const names[] = {
#define NAME(name) #name,
    CALLS(NAME)};

/* ---- what to do --------------------------------------------------------------- */

enum how { HOW_NOTHING, HOW_FAIL, HOW_SHORT, HOW_CORRUPT, HOW_SIGNAL, HOW_TRUNCATE };

static enum how how;
static int number; /* errno, or a signal */
static int target = -1;
static long at;
static bool on, any;
static const char *path;
static atomic_long counts[CALL_COUNT], all;
static bool ready;

static void end(void)
{
    const char *fd = getenv("ATTACK_COUNTS");
    char text[CALL_COUNT * 40];
    size_t used = 0;
    for (int i = 0; i < CALL_COUNT; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s %ld\n", names[i],
                                 atomic_load(&counts[i]));
    used +=
        (size_t)snprintf(text + used, sizeof text - used, "any %ld\n", atomic_load(&all));
    ready = false;
    if (fd && syscall(SYS_write, atoi(fd), text, used) < 0)
        abort();
}

__attribute__((constructor)) static void begin(void)
{
    const char *call = getenv("ATTACK_CALL"), *what = getenv("ATTACK_HOW");
    const char *when = getenv("ATTACK_AT"), *more = getenv("ATTACK_ON");
    const char *rest = what ? strchr(what, ':') : NULL;
    at = when ? atol(when) : 1;
    on = more && *more == '1';
    any = call && strcmp(call, "any") == 0;
    for (int i = 0; call && i < CALL_COUNT; i++)
        if (strcmp(names[i], call) == 0)
            target = i;
    number = rest ? atoi(rest + 1) : 0;
    path = rest ? rest + 1 : "";
    if (what)
        how = strncmp(what, "fail", 4) == 0      ? HOW_FAIL
              : strncmp(what, "short", 5) == 0   ? HOW_SHORT
              : strncmp(what, "corrupt", 7) == 0 ? HOW_CORRUPT
              : strncmp(what, "signal", 6) == 0  ? HOW_SIGNAL
                                                 : HOW_TRUNCATE;
    ready = true;
    atexit(end); /* before destructors: in the coverage build one of them writes files */
}

/* Whether this call is the one, and what happens to it then. */
static enum how strike(enum call call)
{
    long mine, n;
    if (!ready)
        return HOW_NOTHING;
    mine = atomic_fetch_add(&counts[call], 1) + 1;
    n = mine;
    if (call > CALL_realloc) {
        long total = atomic_fetch_add(&all, 1) + 1;
        n = any ? total : mine;
    }
    if (any ? call <= CALL_realloc : (int)call != target)
        return HOW_NOTHING;
    if (at == 0 ? n % 2 == 0 : n != at && !(on && n > at))
        return HOW_NOTHING;
    if (how == HOW_SIGNAL)
        kill(getpid(), number);
    if (how == HOW_TRUNCATE && truncate(path, 4096) < 0)
        abort();
    if (how == HOW_FAIL)
        errno = number;
    return how;
}

static bool fails(enum call call)
{
    return strike(call) == HOW_FAIL;
}

#define REAL(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

/* ---- allocations ------------------------------------------------------------ */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
    return fails(CALL_malloc) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(CALL_calloc) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails(CALL_realloc) ? NULL : __libc_realloc(old, size);
}

/* ---- calls that return -1 ----------------------------------------------------- */

#define CALL(result, name, symbol, parameters, arguments) \
    result symbol parameters                              \
    {                                                     \
        static __typeof__(&symbol) real;                  \
        if (!real)                                        \
            real = REAL(symbol);                          \
        return fails(CALL_##name) ? -1 : real arguments;  \
    }

#define OPEN(symbol)                                              \
    int symbol(const char *file, int flags, ...)                  \
    {                                                             \
        static __typeof__(&symbol) real;                          \
        va_list rest;                                             \
        va_start(rest, flags);                                    \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                             \
        if (!real)                                                \
            real = REAL(symbol);                                  \
        return fails(CALL_open) ? -1 : real(file, flags, mode);   \
    }
#define OPENAT(symbol)                                                    \
    int symbol(int folder, const char *file, int flags, ...)              \
    {                                                                     \
        static __typeof__(&symbol) real;                                  \
        va_list rest;                                                     \
        va_start(rest, flags);                                            \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;         \
        va_end(rest);                                                     \
        if (!real)                                                        \
            real = REAL(symbol);                                          \
        return fails(CALL_openat) ? -1 : real(folder, file, flags, mode); \
    }
#define FCNTL(symbol)                                          \
    int symbol(int fd, int what, ...)                          \
    {                                                          \
        static __typeof__(&symbol) real;                       \
        va_list rest;                                          \
        va_start(rest, what);                                  \
        void *value = va_arg(rest, void *);                    \
        va_end(rest);                                          \
        if (!real)                                             \
            real = REAL(symbol);                               \
        return fails(CALL_fcntl) ? -1 : real(fd, what, value); \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
FCNTL(fcntl)
FCNTL(fcntl64)

CALL(int, mkostemp, mkostemp, (char *name, int flags), (name, flags))
CALL(int, mkostemp, mkostemp64, (char *name, int flags), (name, flags))
CALL(int, fsync, fsync, (int fd), (fd))
CALL(int, ftruncate, ftruncate, (int fd, off_t size), (fd, size))
CALL(int, ftruncate, ftruncate64, (int fd, off64_t size), (fd, size))
CALL(int, rename, rename, (const char *from, const char *to), (from, to))
int flock(int fd, int what);
CALL(int, flock, flock, (int fd, int what), (fd, what))
CALL(int, fstat, fstat, (int fd, struct stat *st), (fd, st))
CALL(int, fstat, fstat64, (int fd, struct stat64 *st), (fd, st))
CALL(int, stat, stat, (const char *file, struct stat *st), (file, st))
CALL(int, stat, stat64, (const char *file, struct stat64 *st), (file, st))
CALL(int, lstat, lstat, (const char *file, struct stat *st), (file, st))
CALL(int, lstat, lstat64, (const char *file, struct stat64 *st), (file, st))
CALL(int, fstatat, fstatat, (int folder, const char *file, struct stat *st, int flags),
     (folder, file, st, flags))
CALL(int, fstatat, fstatat64,
     (int folder, const char *file, struct stat64 *st, int flags),
     (folder, file, st, flags))
CALL(int, unlink, unlink, (const char *file), (file))
CALL(int, unlinkat, unlinkat, (int folder, const char *file, int flags),
     (folder, file, flags))
CALL(int, dup, dup, (int fd), (fd))
CALL(off_t, lseek, lseek, (int fd, off_t to, int how_), (fd, to, how_))
CALL(off64_t, lseek, lseek64, (int fd, off64_t to, int how_), (fd, to, how_))
CALL(int, fchmod, fchmod, (int fd, mode_t mode), (fd, mode))
CALL(int, madvise, madvise, (void *data, size_t size, int advice), (data, size, advice))
CALL(int, mkdir, mkdir, (const char *file, mode_t mode), (file, mode))

/* ---- transfers, which may fall short ------------------------------------------- */

#define TRANSFER(name, symbol, parameters, arguments) \
    ssize_t symbol parameters                         \
    {                                                 \
        static __typeof__(&symbol) real;              \
        if (!real)                                    \
            real = REAL(symbol);                      \
        enum how what = strike(CALL_##name);          \
        if (what == HOW_FAIL)                         \
            return -1;                                \
        if (what == HOW_SHORT && size > 1)            \
            size = size / 2;                          \
        return real arguments;                        \
    }
TRANSFER(read, read, (int fd, void *data, size_t size), (fd, data, size))
TRANSFER(pread, pread, (int fd, void *data, size_t size, off_t from),
         (fd, data, size, from))
TRANSFER(pread, pread64, (int fd, void *data, size_t size, off64_t from),
         (fd, data, size, from))
TRANSFER(write, write, (int fd, const void *data, size_t size), (fd, data, size))
TRANSFER(copy_file_range, copy_file_range,
         (int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags),
         (in, from, out, to, size, flags))

/* A disk that keeps something else. */
static ssize_t put(int fd, const void *data, size_t size, off64_t to)
{
    static __typeof__(&pwrite64) real;
    unsigned char changed[4096];
    enum how what = strike(CALL_pwrite);
    if (!real)
        real = REAL(pwrite64);
    if (what == HOW_FAIL)
        return -1;
    if (what == HOW_SHORT && size > 1)
        size = size / 2;
    if (what != HOW_CORRUPT || size == 0)
        return real(fd, data, size, to);
    size = size < sizeof changed ? size : sizeof changed;
    memcpy(changed, data, size);
    changed[size > 3 ? size / 2 | 3 : 0] ^= 0x66; /* the upper byte of a float */
    return real(fd, changed, size, to);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t to)
{
    return put(fd, data, size, to);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t to)
{
    return put(fd, data, size, to);
}

/* ---- others ------------------------------------------------------------------- */

#define MMAP(symbol, offset)                                                     \
    void *symbol(void *want, size_t size, int protection, int flags, int fd,     \
                 offset from)                                                    \
    {                                                                            \
        static __typeof__(&symbol) real;                                         \
        if (!real)                                                               \
            real = REAL(symbol);                                                 \
        return fails(CALL_mmap) ? MAP_FAILED                                     \
                                : real(want, size, protection, flags, fd, from); \
    }
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

#define FALLOCATE(symbol, offset)                                           \
    int symbol(int fd, offset from, offset size)                            \
    {                                                                       \
        static __typeof__(&symbol) real;                                    \
        if (!real)                                                          \
            real = REAL(symbol);                                            \
        return fails(CALL_posix_fallocate) ? number : real(fd, from, size); \
    }
FALLOCATE(posix_fallocate, off_t)
FALLOCATE(posix_fallocate64, off64_t)

char *realpath(const char *file, char *resolved)
{
    return fails(CALL_realpath) ? NULL : REAL(realpath)(file, resolved);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                   void *(*fn)(void *), void *context)
{
    return fails(CALL_pthread_create)
               ? number
               : REAL(pthread_create)(thread, attributes, fn, context);
}
