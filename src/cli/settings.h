/* What the command line asks for: the settings, the tables of commands and
 * options that parsing and help share, and the checks. */
#ifndef NIBBLE_CLI_SETTINGS_H
#define NIBBLE_CLI_SETTINGS_H

#include "nibble.h"

/* Commands, as bits: each option says which of them take it. */
enum { QUANTIZE = 1, INSPECT = 2, UPGRADE = 4, EVERY = QUANTIZE | INSPECT | UPGRADE };

struct settings {
    const struct command *command;
    bool bare; /* no command was named: quantize is meant */
    const char *model, *output, *json;
    struct nibble_options options;
    int64_t opset;
    bool dry_run, strict, quiet, verbose, help, version;
};

struct command {
    const char *name;
    unsigned bit;
    const char *synopsis; /* what follows the program's name; lines end in \n */
    const char *summary;  /* for the list of commands */
    const char *about;    /* the first paragraph of its help */
    int (*run)(const struct settings *settings); /* returns the exit status */
};

/* Wrong usage: one line that says what is wrong and what would be right. */
struct usage {
    char message[512];
};

/* Sets the message, unless one is set. Returns false. */
bool usage_set(struct usage *usage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

typedef bool set_fn(struct settings *settings, const char *value, struct usage *usage);

/* One option, or, where name is NULL, the heading over those that follow. Options
 * that share a bit of `rivals` exclude each other. */
struct option_row {
    unsigned commands;
    char letter;
    const char *name, *argument; /* argument NULL: takes none */
    unsigned rivals;
    bool once; /* giving it twice is a mistake, not a correction */
    set_fn *set;
    const char *help;
};

extern const struct option_row option_rows[];
extern const size_t option_count;

extern const struct command commands[];
extern const size_t command_count;

/* Reads the command line into settings. */
bool settings_parse(struct settings *settings, int argc, char **argv,
                    struct usage *usage);

/* Checks what options say about each other and about files and terminals. */
bool settings_check(const struct settings *settings, struct usage *usage);

/* The name out of `count` that is spelled most like `text`; NULL: none is near. */
typedef const char *name_fn(size_t index, const void *context);
const char *nearest_name(const char *text, size_t count, name_fn *name,
                         const void *context);

/* Prints the page of a command, or of the program where command is NULL. */
void help_print(const struct command *command);

#endif
