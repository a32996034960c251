/* Completion of command lines in shells. */
#ifndef NIBBLE_CLI_COMPLETION_H
#define NIBBLE_CLI_COMPLETION_H

#include <stdbool.h>

/* Prints the completion for "bash", "zsh" or "fish". False if the shell is another one.
 */
bool completion_print(const char *shell);

#endif
