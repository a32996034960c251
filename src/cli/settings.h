/* The settings that the command line asks for, the tables of commands and options, and
 * the checks. Parsing and help share the tables. */
#ifndef NIBBLE_CLI_SETTINGS_H
#define NIBBLE_CLI_SETTINGS_H

#include "nibble.h"

/* Commands, as bits. Each option says which commands take it. */
enum {
    QUANTIZE = 1,
    INSPECT = 2,
    UPGRADE = 4,
    COMPARE = 8,
    REPORT = 16,
    EVERY = QUANTIZE | INSPECT | UPGRADE | COMPARE | REPORT
};

/* Where the value of an option comes from. The command line wins over a config, and a
 * config wins over a preset. */
enum layer { LAYER_NONE, LAYER_COMMAND_LINE, LAYER_CONFIG, LAYER_PRESET };

/* An option that was given. */
struct given {
    enum layer layer;
    const char *text; /* its value; "" for a flag */
};

enum { HELP_COMMON = 1, HELP_ALL };
enum { OPTIONS_MAX = 80, LIST_MAX = 256 };

/* The values of an option that may be given several times. NULL ends them. */
struct text_list {
    const char *items[LIST_MAX + 1];
    size_t count;
};

struct settings {
    const struct command *command;
    bool bare;    /* no command was named, so quantize is meant */
    char **words; /* all words behind the command, as they were given */
    struct given given[OPTIONS_MAX]; /* by the index of the option's row */
    struct text_list rules, stats;
    const char *unused; /* an option of a config that the command can't use; or NULL */
    const char *config;
    uint32_t preset; /* 0: none; otherwise the index of a preset, plus 1 */
    bool print_config;
    struct config_text *owned; /* texts of configs, for settings_free */
    const char *model;
    const char *quantized; /* the second model of compare, or report of report */
    const char *output;
    const char *json;
    const char *page;
    const char *external_data; /* NULL: not asked for; "": without a name */
    struct nibble_options options;
    int64_t opset;
    /* Options of the Python programs that run models. */
    const char *data;
    const char *save_stats;
    const char *until;
    const char *seed;
    double gate_snr;  /* compare: 0, or the least SNR that passes */
    double gate_top1; /* compare: 0, or the least share that passes */
    bool sequential;
    bool layers;
    bool dry_run, strict, quiet, verbose, version;
    uint32_t help; /* HELP_COMMON, HELP_ALL or 0 */
};

struct command {
    const char *name;
    unsigned bit;
    const char *synopsis; /* what follows the program's name; lines end in \n */
    const char *summary;  /* for the list of commands */
    const char *about;    /* the first paragraph of its help */
    int (*run)(const struct settings *settings); /* returns the exit status */
};

/* Wrong usage: one line that says what is wrong and how to correct it. */
struct usage {
    char message[8192]; /* two paths fit in */
};

/* Sets the message if none is set yet. Returns false. */
bool usage_set(struct usage *usage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- options ---------------------------------------------------------- */

/* The kind of value that an option takes, and what its field holds. */
enum option_kind {
    OPTION_HEADING, /* not an option: `help` is the heading of the options that follow */
    OPTION_FLAG,    /* takes nothing and stores `value` */
    OPTION_WORD,    /* stores the index of one of `words` */
    OPTION_NUMBER,  /* a whole number from `least` to `most` */
    OPTION_DECIMAL, /* a double above 0, up to `most` */
    OPTION_TEXT,    /* a string that is not empty */
    OPTION_LIST,    /* the same, any number of times */
};

/* Returns the word with this index, or NULL behind the last one. */
typedef const char *word_fn(size_t index);

/* One option. Options that share a bit of `rivals` exclude each other. */
struct option_row {
    enum option_kind kind;
    unsigned commands;
    char letter;
    const char *name, *argument;
    unsigned rivals;
    bool once;           /* giving it twice is a mistake, not a correction */
    bool optional;       /* a text that may be left out: --name or --name=TEXT */
    bool rare;           /* only --help-all lists it */
    bool passing;        /* it belongs to one call, so no config has it */
    bool makes_codes;    /* codes depend on it, in a way that no dry run shows */
    const char *key;     /* its name in a config, if that is another one */
    size_t offset, size; /* of its field in struct settings */
    uint64_t value, least, most;
    int64_t (*highest)(
        void); /* NULL, or a function of the library that replaces `most` */
    word_fn *words;
    const char *help; /* option_help adds words and defaults */
};

extern const struct option_row option_rows[];
extern const size_t option_count;

/* Checks a value (NULL for a flag) and stores it. */
bool option_set(const struct option_row *row, struct settings *settings,
                const char *value, struct usage *usage);

/* Writes what the option means: the help of its row, its words, and the default that the
 * settings hold. */
void option_help(const struct option_row *row, const struct settings *settings,
                 char *text, size_t size);

/* Returns the index of the row with this name, or option_count. Prefers an option of the
 * command to one of another command. */
size_t option_find(const struct command *command, const char *name);

/* Whether the name means standard input or output. NULL does not. */
bool is_standard(const char *name);

/* The names of the command's options, for nearest_name. The context is the command. */
const char *option_name(size_t index, const void *context);

/* Returns nibble's name for an option of another tool, or NULL if the name is unknown. */
const char *option_hint(const char *name);

/* ---- the command line -------------------------------------------------- */

extern const struct command commands[];
extern const size_t command_count;

/* Sets all settings to their defaults. */
void settings_init(struct settings *settings);
void settings_free(struct settings *settings);

/* Gives an option a value (NULL for a flag) from a layer. An option that a layer above
 * has given, or a rival of such an option, stays as it is. */
bool settings_give(struct settings *settings, const struct option_row *row,
                   const char *value, enum layer layer, struct usage *usage);

/* Adds the options of the config and of the preset that the settings name. */
bool config_apply(struct settings *settings, struct usage *usage);

/* Prints the options that were given as a config. False if memory ran out. */
bool config_print(const struct settings *settings);

/* Reads the command line into settings. */
bool settings_parse(struct settings *settings, int argc, char **argv,
                    struct usage *usage);

/* The options of the library, with all that the settings say about files. */
struct nibble_options settings_options(const struct settings *settings);

/* Returns the command as it can be given to a shell again. The caller frees it. NULL if
 * memory ran out. */
char *settings_command(const struct settings *settings);

/* Checks options against each other, and against files and terminals. */
bool settings_check(const struct settings *settings, struct usage *usage);

/* Returns the one of `count` names that is spelled most like `text`, or NULL if none is
 * near. */
typedef const char *name_fn(size_t index, const void *context);
const char *nearest_name(const char *text, size_t count, name_fn *name,
                         const void *context);

/* Prints the help page of a command, or of the program if `command` is NULL. `all`: rare
 * options, too. */
void help_print(const struct command *command, bool all);

#endif
