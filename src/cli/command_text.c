/* The command as text, quoted for a shell, so that a report can say how to repeat it. */
#include "cli/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Words of these characters mean themselves in every shell. */
static bool is_plain(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_-./=:,+@%";
    return *word && word[strspn(word, plain)] == '\0';
}

static void put_word(FILE *out, const char *word)
{
    fputc(' ', out);
    if (is_plain(word)) {
        fputs(word, out);
        return;
    }
    fputc('\'', out);
    for (; *word; word++)
        if (*word == '\'')
            fputs("'\\''", out);
        else
            fputc(*word, out);
    fputc('\'', out);
}

char *settings_command(const struct settings *settings)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fprintf(out, "nibble %s", settings->command->name);
    for (char *const *word = settings->words; *word; word++)
        put_word(out, *word);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
