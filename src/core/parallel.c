/* The parallel loop, by threads that live as long as the loop. If the system refuses
 * threads, the loop does with fewer, down to the caller's own. */
#include "core/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { LEAST_STACK = 1 << 20 };

/* The CPUs that this process may use. */
static int cpus(void)
{
#ifdef CPU_COUNT
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

int parallel_threads(int wanted, size_t count)
{
    int threads = wanted > 0 ? wanted : cpus();
    if ((size_t)threads > count)
        threads = count > 0 ? (int)count : 1;
    return threads;
}

struct loop {
    parallel_fn *fn;
    void *context;
    size_t count;
    atomic_size_t next; /* the next index */
    atomic_bool failed;
};

struct helper {
    struct loop *loop;
    int worker;
    pthread_t thread;
};

static void work(struct loop *loop, int worker)
{
    while (!atomic_load_explicit(&loop->failed, memory_order_relaxed)) {
        size_t i = atomic_fetch_add_explicit(&loop->next, 1, memory_order_relaxed);
        if (i >= loop->count)
            return;
        if (!loop->fn(loop->context, i, worker))
            atomic_store_explicit(&loop->failed, true, memory_order_relaxed);
    }
}

static void *help(void *data)
{
    const struct helper *helper = data;
    work(helper->loop, helper->worker);
    return NULL;
}

/* Signals are handled in the threads of the caller, except those that a thread raises by
 * what it does. */
static void block_signals(sigset_t *before)
{
    static const int own[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    sigset_t all;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&all, own[i]);
    pthread_sigmask(SIG_BLOCK, &all, before);
}

/* Starts up to `wanted` helpers. Returns how many there are. */
static int start(struct helper *helpers, int wanted, struct loop *loop)
{
    pthread_attr_t attributes;
    sigset_t before;
    size_t stack = 0;
    int count = 0;
    if (!helpers || pthread_attr_init(&attributes) != 0)
        return 0;
    if (pthread_attr_getstacksize(&attributes, &stack) == 0 && stack < LEAST_STACK)
        pthread_attr_setstacksize(&attributes, LEAST_STACK);
    block_signals(&before);
    for (; count < wanted; count++) {
        struct helper *helper = &helpers[count];
        *helper = (struct helper){.loop = loop, .worker = count + 1};
        if (pthread_create(&helper->thread, &attributes, help, helper) != 0)
            break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return count;
}

bool parallel_for(size_t count, int threads, parallel_fn *fn, void *context)
{
    struct loop loop = {.fn = fn, .context = context, .count = count};
    struct helper *helpers =
        threads > 1 ? calloc((size_t)threads - 1, sizeof *helpers) : NULL;
    int started = start(helpers, threads - 1, &loop);
    work(&loop, 0);
    for (int i = 0; i < started; i++)
        pthread_join(helpers[i].thread, NULL);
    free(helpers);
    return !atomic_load(&loop.failed);
}
