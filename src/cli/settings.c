/* From the command line to settings: getopt_long over the table of options, and
 * the checks across options. Touches no file but to see whether two names are one. */
#include "cli/settings.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_OPTIONS = 64, LONG_BASE = 256 };

bool usage_set(struct usage *usage, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!usage->message[0])
        vsnprintf(usage->message, sizeof usage->message, format, args);
    va_end(args);
    return false;
}

/* ---- words that are no option ----------------------------------------- */

/* How the command is spelled in messages: "nibble" or "nibble inspect". */
static const char *spelled(const struct settings *s)
{
    static const struct {
        unsigned bit;
        const char *text;
    } names[] = {{QUANTIZE, "nibble quantize"},
                 {INSPECT, "nibble inspect"},
                 {UPGRADE, "nibble upgrade"}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].bit == s->command->bit)
            return names[i].text;
    return "nibble";
}

static const char *option_name(size_t index, const void *context)
{
    const struct settings *s = context;
    const struct option_row *row = &option_rows[index];
    return row->name && (row->commands & s->command->bit) ? row->name : NULL;
}

static const char *command_name(size_t index, const void *context)
{
    (void)context;
    return commands[index].name;
}

/* A long option that getopt does not know, or of which it knows several. */
static bool unknown_long(const struct settings *s, const char *word, struct usage *usage)
{
    char name[64];
    const char *matches[2] = {NULL, NULL};
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    for (size_t i = 0; i < option_count; i++) {
        const char *candidate = option_name(i, s);
        if (candidate && strncmp(candidate, name, strlen(name)) == 0)
            matches[matches[0] != NULL] = candidate;
    }
    if (matches[1])
        return usage_set(usage, "--%s may be --%s or --%s: write it out", name,
                         matches[0], matches[1]);
    const char *near = nearest_name(name, option_count, option_name, s);
    if (near)
        return usage_set(usage, "unknown option --%s: did you mean --%s?", name, near);
    return usage_set(usage, "unknown option --%s: '%s --help' lists the options", name,
                     spelled(s));
}

static const struct option_row *row_of(int code)
{
    if (code >= LONG_BASE)
        return &option_rows[code - LONG_BASE];
    for (size_t i = 0; i < option_count; i++)
        if (option_rows[i].letter && option_rows[i].letter == code)
            return &option_rows[i];
    return NULL;
}

/* getopt's '?': unknown, or an argument where none belongs. */
static bool unknown(const struct settings *s, const char *word, struct usage *usage)
{
    const struct option_row *row = optopt ? row_of(optopt) : NULL;
    if (row)
        return usage_set(usage, "--%s takes no value", row->name);
    if (optopt)
        return usage_set(usage, "unknown option -%c: '%s --help' lists the options",
                         optopt, spelled(s));
    return unknown_long(s, word, usage);
}

/* ---- parsing ---------------------------------------------------------- */

/* What getopt_long wants to know, made from the table. */
struct grammar {
    struct option longs[MOST_OPTIONS];
    char letters[2 * MOST_OPTIONS];
};

static void grammar_make(struct grammar *grammar)
{
    _Static_assert(sizeof grammar->longs / sizeof *grammar->longs == MOST_OPTIONS,
                   "size");
    size_t n = 0, used = 0;
    grammar->letters[used++] = ':';
    for (size_t i = 0; i < option_count && n + 1 < MOST_OPTIONS; i++) {
        const struct option_row *row = &option_rows[i];
        if (!row->name)
            continue;
        grammar->longs[n++] =
            (struct option){row->name, row->argument ? required_argument : no_argument,
                            NULL, LONG_BASE + (int)i};
        if (row->letter)
            grammar->letters[used++] = row->letter;
        if (row->letter && row->argument)
            grammar->letters[used++] = ':';
    }
    grammar->longs[n] = (struct option){0};
    grammar->letters[used] = '\0';
}

/* "one of" the commands that take an option. */
static const char *owner(const struct option_row *row)
{
    for (size_t i = 0; i < command_count; i++)
        if (row->commands & commands[i].bit)
            return commands[i].name;
    return "";
}

/* `given` holds, for each row, whether the option was seen. */
static bool apply(struct settings *s, const struct option_row *row, bool *given,
                  const char *value, struct usage *usage)
{
    size_t index = (size_t)(row - option_rows);
    if (!(row->commands & s->command->bit))
        return usage_set(usage, "--%s is an option of 'nibble %s', not of '%s'",
                         row->name, owner(row), spelled(s));
    if (row->once && given[index])
        return usage_set(usage, "--%s is given twice: join the two as '(A)|(B)'",
                         row->name);
    for (size_t i = 0; i < option_count; i++)
        if (given[i] && i != index && (option_rows[i].rivals & row->rivals))
            return usage_set(usage, "--%s and --%s exclude each other: give one of them",
                             option_rows[i].name, row->name);
    given[index] = true;
    return row->set(s, value, usage);
}

static bool parse_options(struct settings *s, int argc, char **argv, struct usage *usage)
{
    struct grammar grammar;
    bool given[MOST_OPTIONS] = {false};
    int code;
    grammar_make(&grammar);
    opterr = 0;
    while ((code = getopt_long(argc, argv, grammar.letters, grammar.longs, NULL)) != -1) {
        if (code == '?')
            return unknown(s, argv[optind - 1], usage);
        const struct option_row *row = row_of(code == ':' ? optopt : code);
        if (code == ':')
            return usage_set(usage, "--%s needs a value: --%s %s", row->name, row->name,
                             row->argument);
        if (!apply(s, row, given, optarg, usage))
            return false;
    }
    return true;
}

/* More than one word that is no option: a mistyped command, or too many models. */
static bool too_many(const struct settings *s, char **words, struct usage *usage)
{
    for (size_t i = 0; i < command_count; i++)
        if (s->bare && strcmp(words[0], commands[i].name) == 0)
            return usage_set(usage, "the command comes first: nibble %s ...", words[0]);
    const char *near = nearest_name(words[0], command_count, command_name, NULL);
    if (s->bare && near)
        return usage_set(usage, "unknown command '%s': did you mean %s?", words[0], near);
    return usage_set(usage, "one model at a time: '%s' is one too many", words[1]);
}

bool settings_parse(struct settings *settings, int argc, char **argv, struct usage *usage)
{
    *settings = (struct settings){.command = &commands[0], .bare = true, .opset = 21};
    nibble_options_init(&settings->options);
    for (size_t i = 0; i < command_count && argc > 1; i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        settings->command = &commands[i];
        settings->bare = false;
        argc--;
        argv++;
        break;
    }
    if (!parse_options(settings, argc, argv, usage))
        return false;
    if (argc - optind > 1 && !settings->help && !settings->version)
        return too_many(settings, argv + optind, usage);
    settings->model = argv[optind];
    return true;
}

/* ---- checks ----------------------------------------------------------- */

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    if (strcmp(a, b) == 0)
        return true;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISREG(x.st_mode) &&
           x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool is_standard(const char *name)
{
    return name && strcmp(name, "-") == 0;
}

static bool check_output(const struct settings *s, struct usage *usage)
{
    if (s->dry_run || s->command->bit == INSPECT)
        return true;
    if (!s->output)
        return usage_set(usage, "no output is named: add -o OUT%s",
                         s->command->bit == QUANTIZE ? ", or --dry-run to write nothing"
                                                     : "");
    if (is_standard(s->output) && isatty(STDOUT_FILENO))
        return usage_set(usage,
                         "a model does not go to a terminal: redirect standard output "
                         "or give -o FILE");
    if (!is_standard(s->output) && !s->options.force && same_file(s->output, s->model))
        return usage_set(usage,
                         "'%s' is the model itself: name another output, or replace "
                         "it with -f",
                         s->output);
    if (is_standard(s->output) && s->options.external_data)
        return usage_set(usage,
                         "--external-data needs a file beside the output: give -o FILE");
    return true;
}

static bool check_json(const struct settings *s, struct usage *usage)
{
    if (!s->json)
        return true;
    if (is_standard(s->json)) {
        if (is_standard(s->output) && !s->dry_run)
            return usage_set(usage,
                             "model and report can't both go to standard output: give "
                             "--json FILE or -o FILE");
        return true;
    }
    if (same_file(s->json, s->model))
        return usage_set(usage, "--json would replace the model: name another file");
    if (s->output && same_file(s->json, s->output))
        return usage_set(usage, "--json would replace the output: name another file");
    return true;
}

bool settings_check(const struct settings *s, struct usage *usage)
{
    if (!s->model)
        return usage_set(usage, "no model is named: '%s --help' shows how",
                         s->bare ? "nibble" : spelled(s));
    if (!*s->model)
        return usage_set(
            usage, "the model's name is empty: name a file, or - for standard input");
    if (is_standard(s->model) && isatty(STDIN_FILENO))
        return usage_set(usage,
                         "a model does not come from a terminal: redirect standard input "
                         "or name a file");
    return check_output(s, usage) && check_json(s, usage);
}
