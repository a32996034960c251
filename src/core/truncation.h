/* What happens when another program truncates a file that is mapped. Reading the bytes
 * that are gone raises SIGBUS. A program may handle that signal with a list of the files
 * that are mapped: zeros take the place of what is gone, and file_check reports the rest.
 */
#ifndef NIBBLE_CORE_TRUNCATION_H
#define NIBBLE_CORE_TRUNCATION_H

#include <stdbool.h>

struct file;

/* Puts a file on a list whose head is *files. files: NULL for no list. */
void truncation_watch(void *volatile *files, struct file *file);
void truncation_forget(struct file *file);

/* Maps zeros in place of what was truncated, if the address lies in one of the files. May
 * be called by a signal handler. */
bool truncation_handle(void *volatile const *files, const void *address);

#endif
