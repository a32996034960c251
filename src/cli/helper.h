/* Programs of the Python package, which continue if a model has to be run. */
#ifndef NIBBLE_CLI_HELPER_H
#define NIBBLE_CLI_HELPER_H

#include "cli/settings.h"

/* Replaces this process by the program `name` with the words of this command, as git does
 * with git-NAME. Returns only after a failure, with the exit status, and prints a
 * message. */
int helper_run(const char *name, const struct settings *settings);

#endif
