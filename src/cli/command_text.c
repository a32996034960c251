/* The command as text, quoted for a shell, so that a report can say how to repeat it. */
#include "cli/settings.h"

#include <stdlib.h>
#include <string.h>

/* Words of these characters mean themselves in every shell. */
static bool is_plain(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_-./=:,+@%";
    return *word && word[strspn(word, plain)] == '\0';
}

/* Writes a word behind a space, and returns the end. */
static char *put_word(char *out, const char *word)
{
    *out++ = ' ';
    if (is_plain(word))
        return stpcpy(out, word);
    *out++ = '\'';
    for (; *word; word++)
        if (*word == '\'')
            out = stpcpy(out, "'\\''");
        else
            *out++ = *word;
    *out++ = '\'';
    return out;
}

char *settings_command(const struct settings *settings)
{
    const char *name = settings->command->name;
    size_t size = sizeof "nibble " + strlen(name);
    for (char *const *word = settings->words; *word; word++)
        size += 4 * strlen(*word) + sizeof " ''";
    char *text = malloc(size), *end = text;
    if (!text)
        return NULL;
    end = stpcpy(stpcpy(end, "nibble "), name);
    for (char *const *word = settings->words; *word; word++)
        end = put_word(end, *word);
    *end = '\0';
    return text;
}
