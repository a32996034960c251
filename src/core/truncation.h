/* Protection against other programs that truncate a mapped file. Reading the missing
 * bytes raises SIGBUS. A program that wants to survive keeps a list of the mapped files
 * and handles the signal: truncation_handle replaces the missing bytes by zeros, and
 * file_check reports the truncation. */
#ifndef NIBBLE_CORE_TRUNCATION_H
#define NIBBLE_CORE_TRUNCATION_H

#include <stdbool.h>

struct file;

/* Adds a file to the list with the head *files, or removes it. `files` may be NULL: then
 * nothing is watched. */
void truncation_watch(void *volatile *files, struct file *file);
void truncation_forget(struct file *file);

/* If the address lies in one of the files, maps zeros in place of the missing bytes, and
 * returns true. A signal handler may call it. */
bool truncation_handle(void *volatile const *files, const void *address);

#endif
