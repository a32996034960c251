/* Values of options, by kind: reads them from text into the settings, and writes them for
 * help and messages. This file knows no option by name. */
#include "cli/settings.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* ---- fields ----------------------------------------------------------- */

static void store(struct settings *settings, const struct option_row *row, uint64_t value)
{
    void *field = (char *)settings + row->offset;
    bool flag = value != 0;
    uint32_t narrow = (uint32_t)value;
    if (row->size == sizeof flag)
        memcpy(field, &flag, sizeof flag);
    else if (row->size == sizeof narrow)
        memcpy(field, &narrow, sizeof narrow);
    else
        memcpy(field, &value, sizeof value);
}

static uint64_t load(const struct settings *settings, const struct option_row *row)
{
    const void *field = (const char *)settings + row->offset;
    bool flag = false;
    uint32_t narrow = 0;
    uint64_t value = 0;
    if (row->size == sizeof flag) {
        memcpy(&flag, field, sizeof flag);
        return flag;
    }
    if (row->size == sizeof narrow) {
        memcpy(&narrow, field, sizeof narrow);
        return narrow;
    }
    memcpy(&value, field, sizeof value);
    return value;
}

/* ---- words ------------------------------------------------------------ */

enum { LIST_SIZE = 160, NO_DEFAULT = -1 };

/* Writes the words as "int4 (default), uint4, int8 or uint8". */
static void list_words(const struct option_row *row, int chosen, char list[LIST_SIZE])
{
    size_t used = 0, i = 0;
    for (const char *word; (word = row->words(i)) && used < LIST_SIZE; i++) {
        const char *between = i == 0 ? "" : row->words(i + 1) ? ", " : " or ";
        int n = snprintf(list + used, LIST_SIZE - used, "%s%s%s", between, word,
                         (int)i == chosen ? " (default)" : "");
        used += (size_t)n;
    }
}

static bool set_word(const struct option_row *row, struct settings *settings,
                     const char *text, struct usage *usage)
{
    char list[LIST_SIZE];
    for (size_t i = 0; row->words(i); i++) {
        if (strcmp(row->words(i), text) == 0) {
            store(settings, row, i);
            return true;
        }
    }
    list_words(row, NO_DEFAULT, list);
    return usage_set(usage, "--%s takes %s, not '%s'", row->name, list, text);
}

/* ---- numbers ---------------------------------------------------------- */

static bool set_number(const struct option_row *row, struct settings *settings,
                       const char *text, struct usage *usage)
{
    uint64_t value = 0, most = row->highest ? (uint64_t)row->highest() : row->most;
    bool ok = *text != '\0';
    for (const char *c = text; *c && ok; c++) {
        ok = isdigit((unsigned char)*c) && value <= (UINT64_MAX - 9) / 10;
        value = ok ? 10 * value + (uint64_t)(*c - '0') : value;
    }
    if (ok && value >= row->least && value <= most) {
        store(settings, row, value);
        return true;
    }
    return usage_set(usage, "--%s takes a whole number from %llu to %llu, not '%s'",
                     row->name, (unsigned long long)row->least, (unsigned long long)most,
                     text);
}

/* A decimal number above 0 with at most DIGITS_MAX digits. */
static bool set_decimal(const struct option_row *row, struct settings *settings,
                        const char *text, struct usage *usage)
{
    enum { DIGITS_MAX = 18 };
    double value = 0, unit = 1;
    int digits = 0, points = 0;
    bool ok = true;
    for (const char *c = text; *c && ok; c++) {
        if (*c == '.') {
            ok = points++ == 0;
            continue;
        }
        ok = isdigit((unsigned char)*c) && digits++ < DIGITS_MAX;
        value = 10 * value + (*c - '0');
        unit = points ? 10 * unit : unit;
    }
    value /= unit;
    if (ok && digits > 0 && value > 0 && value <= (double)row->most) {
        memcpy((char *)settings + row->offset, &value, sizeof value);
        return true;
    }
    return usage_set(usage,
                     "--%s takes a number above 0 and up to %llu, such as 4.5, not '%s'",
                     row->name, (unsigned long long)row->most, text);
}

/* ---- all kinds -------------------------------------------------------- */

static bool set_text(const struct option_row *row, struct settings *settings,
                     const char *text, struct usage *usage)
{
    const char *kept = text ? text : "";
    memcpy((char *)settings + row->offset, &kept, sizeof kept);
    return !text || *text ||
           usage_set(usage, "--%s takes a name, not an empty string", row->name);
}

static bool set_list(const struct option_row *row, struct settings *settings,
                     const char *text, struct usage *usage)
{
    struct text_list *list = (void *)((char *)settings + row->offset);
    if (!*text)
        return usage_set(usage, "--%s takes a text, not an empty string", row->name);
    if (list->count == LIST_MAX)
        return usage_set(usage, "--%s is given more than %d times", row->name, LIST_MAX);
    list->items[list->count++] = text;
    return true;
}

static bool set_flag(const struct option_row *row, struct settings *settings,
                     const char *text, struct usage *usage)
{
    (void)text, (void)usage;
    store(settings, row, row->value);
    return true;
}

bool option_set(const struct option_row *row, struct settings *settings,
                const char *value, struct usage *usage)
{
    static bool (*const setters[])(const struct option_row *, struct settings *,
                                   const char *, struct usage *) = {
        [OPTION_FLAG] = set_flag,     [OPTION_WORD] = set_word,
        [OPTION_NUMBER] = set_number, [OPTION_DECIMAL] = set_decimal,
        [OPTION_TEXT] = set_text,     [OPTION_LIST] = set_list,
    };
    return setters[row->kind](row, settings, value, usage);
}

void option_help(const struct option_row *row, const struct settings *settings,
                 char *text, size_t size)
{
    char list[LIST_SIZE];
    uint64_t value = row->kind == OPTION_NUMBER ? load(settings, row) : 0;
    if (row->kind == OPTION_WORD) {
        list_words(row, (int)load(settings, row), list);
        snprintf(text, size, "%s: %s", row->help, list);
    } else if (value && (row->highest || value <= row->most)) {
        snprintf(text, size, "%s (%llu)", row->help, (unsigned long long)value);
    } else {
        snprintf(text, size, "%s", row->help);
    }
}
