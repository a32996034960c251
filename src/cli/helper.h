/* Programs of the Python package that go on where a model has to be run. */
#ifndef NIBBLE_CLI_HELPER_H
#define NIBBLE_CLI_HELPER_H

#include "cli/settings.h"

/* Becomes the program of that name, with the words of this command, as git becomes
 * git-NAME. Returns only where it can't: the exit status, after a message. */
int helper_run(const char *name, const struct settings *settings);

#endif
