/* Guards: what happens when another program truncates a file that is mapped. Reading the
 * bytes that are gone raises SIGBUS. A program may handle that signal with a guard, which
 * puts zeros in their place; the call that reads the file then fails. */
#ifndef NIBBLE_CORE_GUARD_H
#define NIBBLE_CORE_GUARD_H

#include <stdbool.h>

struct file;

/* The files that a call has mapped. Zeroed to begin with. */
struct guard {
    struct file *volatile files;
};

void guard_add(struct guard *guard, struct file *file); /* guard: NULL is fine */
void guard_remove(struct file *file);

/* Maps zeros in place of what a file has lost, if the address lies in a file of the
 * guard. May be called from a signal handler. */
bool guard_fault(struct guard *guard, const void *address);

#endif
