/* The parallel loop. */
#ifndef NIBBLE_CORE_PARALLEL_H
#define NIBBLE_CORE_PARALLEL_H

#include <stdbool.h>
#include <stddef.h>

/* Does item `index` on worker 0 .. threads-1. If it returns false, the loop starts no
 * more items. */
typedef bool parallel_fn(void *context, size_t index, int worker);

/* The number of workers for `count` items: `wanted`, or one for each CPU if that is 0,
 * but never more than items. */
int parallel_threads(int wanted, size_t count);

/* Calls fn for each index below count, in any order, on `threads` workers. Returns false
 * if a call returned false. */
bool parallel_for(size_t count, int threads, parallel_fn *fn, void *context);

#endif
