/* The commands of the program and its exit statuses. */
#ifndef NIBBLE_CLI_COMMANDS_H
#define NIBBLE_CLI_COMMANDS_H

#include "cli/settings.h"

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1, /* reading, writing, a malformed or unsupported model, memory */
    EXIT_USAGE = 2,  /* the command line makes no sense */
    EXIT_STRICT = 3, /* done, but --strict found a weight that stays float */
};

/* Warns of options that had no effect. */
void remarks_print(const struct settings *settings, const struct nibble_report *report);

int command_quantize(const struct settings *settings);
int command_inspect(const struct settings *settings);
int command_upgrade(const struct settings *settings);

#endif
