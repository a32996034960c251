/* The commands of the program and its exit statuses. */
#ifndef NIBBLE_CLI_COMMANDS_H
#define NIBBLE_CLI_COMMANDS_H

#include "cli/settings.h"

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1, /* reading, writing, a malformed or unsupported model, memory */
    EXIT_USAGE = 2,  /* the command line makes no sense */
    EXIT_STRICT = 3, /* done, but --strict or a gate of compare failed */
};

/* ---- what commands share ---- */

/* Prints the error and returns the exit status: EXIT_USAGE if options are wrong,
 * otherwise EXIT_FAILED. */
int failed(const struct nibble_error *error);

/* Prints a message if the folder of `path` does not exist. NULL is fine. */
bool has_folder(const char *path);

/* Prints a warning for each option that had no effect. False if a pattern means no
 * weight, which --strict does not allow. */
bool remarks_print(const struct settings *settings, const struct nibble_report *report);

/* ---- commands ---- */

int command_quantize(const struct settings *settings);
int command_inspect(const struct settings *settings);
int command_upgrade(const struct settings *settings);
int command_compare(const struct settings *settings);
int command_report(const struct settings *settings);

#endif
