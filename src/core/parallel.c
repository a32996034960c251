/* The parallel loop, by OpenMP. */
#include "core/parallel.h"

#include <omp.h>
#include <stdatomic.h>

int parallel_threads(int wanted, size_t count)
{
    int threads = wanted > 0 ? wanted : omp_get_num_procs();
    if ((size_t)threads > count)
        threads = count > 0 ? (int)count : 1;
    return threads;
}

bool parallel_for(size_t count, int threads, parallel_fn *fn, void *context)
{
    if (threads == 1) {
        for (size_t i = 0; i < count; i++)
            if (!fn(context, i, 0))
                return false;
        return true;
    }
    atomic_bool failed = false;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (size_t i = 0; i < count; i++) {
        if (atomic_load_explicit(&failed, memory_order_relaxed))
            continue;
        if (!fn(context, i, omp_get_thread_num()))
            atomic_store_explicit(&failed, true, memory_order_relaxed);
    }
    return !atomic_load(&failed);
}
