/* A heap on which single allocations fail. It replaces malloc in the program that links
 * it, if the C library and the sanitizers allow that. */
#ifndef NIBBLE_TESTS_FAILING_HEAP_H
#define NIBBLE_TESTS_FAILING_HEAP_H

#include <stdbool.h>
#include <stddef.h>

bool heap_can_fail(void);

/* From here on allocation `fail_at` fails, the first being 1. 0: none does. With
 * `for_good` all after it fail, too. */
void heap_arm(long fail_at, bool for_good);

/* The same without failures. Notes the first allocation of each place in the code: one
 * with a return address on its stack that no earlier allocation had, in this run or
 * before. */
void heap_arm_places(void);

/* Stops counting, and goes on. */
void heap_disarm(void);
void heap_resume(void);

/* Prints the stack of the next allocation that fails, for addr2line. */
void heap_trace(void);

long heap_count(void); /* allocations since it was armed */
long heap_live(void);  /* allocated less freed, since then */

/* The allocations that were noted, and how many. */
const long *heap_places(size_t *count);

#endif
