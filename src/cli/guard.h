/* Handling SIGBUS, for options.guard. */
#ifndef NIBBLE_CLI_GUARD_H
#define NIBBLE_CLI_GUARD_H

#include "nibble.h"

/* Installs the handler; the guard is the only one of the program. */
struct nibble_guard *guard_install(void);

#endif
