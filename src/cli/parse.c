/* Reads the command line into settings. We don't use getopt_long, because it accepts any
 * beginning of a long option: --bits would mean --bits-per-weight. */
#include "cli/settings.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { MOST_WORDS = 2 };

struct parser {
    struct settings *settings;
    struct usage *usage;
    char **next; /* the next word to read */
    const char *words[MOST_WORDS];
    size_t word_count; /* all words, including those that were not kept */
};

/* ---- options that don't exist ------------------------------------------ */

static const char *command_name(size_t index, const void *context)
{
    (void)context;
    return commands[index].name;
}

static bool begins(const char *name, const char *with)
{
    return name && strncmp(name, with, strlen(with)) == 0;
}

static bool unknown_long(const struct parser *p, const char *name)
{
    const struct settings *s = p->settings;
    const char *found[2] = {NULL, NULL};
    for (size_t i = 0; i < option_count; i++)
        if (begins(option_name(i, s->command), name))
            found[found[0] != NULL] = option_rows[i].name;
    const char *hint = option_hint(name);
    if (hint)
        return usage_set(p->usage, "unknown option --%s: nibble has %s", name, hint);
    if (found[1])
        return usage_set(p->usage, "--%s may mean --%s or --%s: write the name in full",
                         name, found[0], found[1]);
    const char *near =
        found[0] ? found[0] : nearest_name(name, option_count, option_name, s->command);
    if (near)
        return usage_set(p->usage, "unknown option --%s: did you mean --%s?", name, near);
    return usage_set(p->usage,
                     "unknown option --%s: 'nibble %s --help' lists the options", name,
                     s->command->name);
}

/* Names the options that begin with the letter. */
static bool unknown_letter(const struct parser *p, char letter)
{
    const struct settings *s = p->settings;
    char list[200] = "";
    size_t used = 0;
    for (size_t i = 0; i < option_count; i++) {
        const char *name = option_name(i, s->command);
        if (name && *name == tolower((unsigned char)letter) && used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s--%s",
                                     used ? " or " : "", name);
    }
    if (used)
        return usage_set(p->usage, "unknown option -%c: did you mean %s?", letter, list);
    return usage_set(p->usage, "unknown option -%c: 'nibble %s --help' lists the options",
                     letter, s->command->name);
}

/* ---- options ----------------------------------------------------------- */

static bool apply(struct parser *p, const struct option_row *row, const char *value)
{
    return settings_give(p->settings, row, value, LAYER_COMMAND_LINE, p->usage);
}

/* Takes the value from `attached`, or from the next word if that is NULL. */
static bool apply_with_value(struct parser *p, const struct option_row *row,
                             const char *attached)
{
    const char *value = attached ? attached : *p->next;
    if (!value)
        return usage_set(p->usage, "--%s needs a value: --%s %s", row->name, row->name,
                         row->argument);
    p->next += !attached;
    return apply(p, row, value);
}

static bool parse_long(struct parser *p, const char *word)
{
    char name[64];
    size_t length = strcspn(word, "=");
    const char *attached = word[length] ? word + length + 1 : NULL;
    snprintf(name, sizeof name, "%.*s", (int)length, word);
    size_t index = option_find(p->settings->command, name);
    if (index == option_count)
        return unknown_long(p, name);
    const struct option_row *row = &option_rows[index];
    if (row->optional)
        return apply(p, row, attached);
    if (row->argument)
        return apply_with_value(p, row, attached);
    if (attached)
        return usage_set(p->usage, "--%s takes no value", row->name);
    return apply(p, row, NULL);
}

static const struct option_row *row_of(char letter)
{
    for (size_t i = 0; i < option_count; i++)
        if (option_rows[i].letter && option_rows[i].letter == letter)
            return &option_rows[i];
    return NULL;
}

/* Reads letters behind one dash. The last one may take a value: "-qo", "out.onnx". */
static bool parse_letters(struct parser *p, const char *word)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    if (word[1] && option_find(p->settings->command, name) < option_count)
        return usage_set(p->usage, "-%s: did you mean --%s?", word, word);
    for (; *word; word++) {
        const struct option_row *row = row_of(*word);
        if (!row)
            return unknown_letter(p, *word);
        if (row->argument && word[1] == '=')
            return usage_set(p->usage, "-%s: write -%c %s, or --%s%s", word, *word,
                             word + 2, row->name, word + 1);
        if (row->argument)
            return apply_with_value(p, row, word[1] ? word + 1 : NULL);
        if (!apply(p, row, NULL))
            return false;
    }
    return true;
}

/* ---- words -------------------------------------------------------------- */

static bool keep_word(struct parser *p, const char *word)
{
    if (p->word_count < MOST_WORDS)
        p->words[p->word_count] = word;
    p->word_count++;
    return true;
}

/* Explains too many words: a command was mistyped, or there are too many models. */
static bool too_many(const struct parser *p)
{
    const struct settings *s = p->settings;
    const char *first = p->words[0];
    for (size_t i = 0; i < command_count; i++)
        if (s->bare && strcmp(first, commands[i].name) == 0)
            return usage_set(p->usage, "the command comes first: nibble %s ...", first);
    const char *word = strcmp(first, "help") == 0 ? p->words[1] : first;
    const char *near = nearest_name(word, command_count, command_name, NULL);
    if (s->bare && near)
        return usage_set(p->usage, "unknown command '%s': did you mean %s?", word, near);
    if (s->command->bit & (COMPARE | REPORT))
        return usage_set(p->usage, "%s takes two %s, not %zu", s->command->name,
                         s->command->bit == COMPARE ? "models" : "reports",
                         p->word_count);
    return usage_set(p->usage, "nibble takes one model at a time: '%s' is one too many",
                     p->words[1]);
}

static bool parse_words(struct parser *p)
{
    bool ok = true, all_words = false;
    while (ok && *p->next) {
        const char *word = *p->next++;
        if (all_words || word[0] != '-' || word[1] == '\0')
            ok = keep_word(p, word);
        else if (strcmp(word, "--") == 0)
            all_words = true;
        else
            ok = word[1] == '-' ? parse_long(p, word + 2) : parse_letters(p, word + 1);
    }
    return ok;
}

/* ---- commands ----------------------------------------------------------- */

static bool take_command(struct settings *s, const char *word)
{
    for (size_t i = 0; word && i < command_count; i++) {
        if (strcmp(word, commands[i].name) != 0)
            continue;
        s->command = &commands[i];
        s->bare = false;
        return true;
    }
    return false;
}

/* True for "help" and "help COMMAND". A model may be named "help", but then options
 * follow. */
static bool asks_for_help(struct settings *s, char *const *words)
{
    if (!words[0] || strcmp(words[0], "help") != 0)
        return false;
    bool asked = !words[1] || (!words[2] && take_command(s, words[1]));
    s->help = asked ? HELP_COMMON : 0;
    return asked;
}

bool settings_parse(struct settings *settings, int argc, char **argv, struct usage *usage)
{
    struct parser p = {.settings = settings, .usage = usage, .next = argv + (argc > 0)};
    settings_init(settings);
    if (asks_for_help(settings, p.next))
        return true;
    p.next += take_command(settings, *p.next);
    settings->words = p.next;
    if (!parse_words(&p))
        return false;
    size_t models = settings->command->bit & (COMPARE | REPORT) ? 2 : 1;
    if (p.word_count > models && !settings->help && !settings->version)
        return too_many(&p);
    settings->model = p.words[0];
    settings->quantized = p.words[1];
    return config_apply(settings, usage);
}
