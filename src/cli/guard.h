/* Handles SIGBUS, for options.guard. */
#ifndef NIBBLE_CLI_GUARD_H
#define NIBBLE_CLI_GUARD_H

#include "nibble.h"

/* Installs the handler and returns the guard. The program has only one guard. */
struct nibble_guard *guard_install(void);

#endif
