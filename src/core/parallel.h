/* The parallel loop. */
#ifndef NIBBLE_CORE_PARALLEL_H
#define NIBBLE_CORE_PARALLEL_H

#include <stdbool.h>
#include <stddef.h>

/* Does item `index`, on worker `worker` (0 .. threads-1). False stops the loop:
 * items that have not begun are left out. */
typedef bool parallel_fn(void *context, size_t index, int worker);

/* One worker for each CPU where `wanted` is 0, but never more than items. */
int parallel_threads(int wanted, size_t count);

/* Calls fn for every index below count, in any order, on `threads` workers.
 * False if a call returned false. */
bool parallel_for(size_t count, int threads, parallel_fn *fn, void *context);

#endif
