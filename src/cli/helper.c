/* Starts a program of the Python package, because running a model needs a runtime, and
 * Python has one. Looks for the program beside this one first, then in PATH. */
#include "cli/helper.h"
#include "cli/commands.h"
#include "cli/terminal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Runs the program beside this one, so that a virtual environment need not be active. */
static void exec_beside(const char *name, char **words)
{
    char path[PATH_MAX + NAME_MAX];
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    char *slash = length > 0 ? memrchr(path, '/', (size_t)length) : NULL;
    if (!slash)
        return;
    memcpy(slash + 1, name, strlen(name) + 1);
    execv(path, words);
}

/* ---- words ---------------------------------------------------------------- */

struct word_list {
    char **words;
    size_t count;
    size_t options; /* words that are options, behind the first one */
    bool ok;
};

/* Adds "--name=value", or "--name" if the value is NULL. */
static void add_option(struct word_list *list, const char *name, const char *value)
{
    size_t size = strlen(name) + (value ? strlen(value) : 0) + sizeof "--=";
    char *word = malloc(size);
    if (word)
        snprintf(word, size, "--%s%s%s", name, value ? "=" : "", value ? value : "");
    list->ok &= word != NULL;
    list->words[list->count++] = word;
    list->options++;
}

static void add_row(struct word_list *list, const struct settings *s, size_t index)
{
    const struct option_row *row = &option_rows[index];
    const char *text = s->given[index].text;
    if (row->kind != OPTION_LIST) {
        bool bare = row->kind == OPTION_FLAG || (row->optional && !*text);
        add_option(list, row->name, bare ? NULL : text);
        return;
    }
    const struct text_list *texts = (const void *)((const char *)s + row->offset);
    for (size_t i = 0; i < texts->count; i++)
        add_option(list, row->name, texts->items[i]);
}

/* Whether the options of a set stand for this one. */
static bool is_expanded(const struct option_row *row)
{
    return strcmp(row->name, "config") == 0 || strcmp(row->name, "preset") == 0;
}

/* All options, with those of configs and presets, and the names of models. So the other
 * program needs to know neither configs nor presets. */
static void add_words(struct word_list *list, const struct settings *s)
{
    for (size_t i = 0; i < option_count; i++)
        if (s->given[i].layer != LAYER_NONE && !is_expanded(&option_rows[i]))
            add_row(list, s, i);
    list->words[list->count++] = (char *)(uintptr_t) "--";
    list->words[list->count++] = (char *)(uintptr_t)s->model;
    if (s->quantized)
        list->words[list->count++] = (char *)(uintptr_t)s->quantized;
}

static void free_words(struct word_list *list)
{
    for (size_t i = 1; i <= list->options; i++)
        free(list->words[i]);
    free(list->words);
}

int helper_run(const char *name, const struct settings *s)
{
    struct word_list list = {.ok = true};
    list.words =
        calloc(OPTIONS_MAX + s->rules.count + s->stats.count + 5, sizeof *list.words);
    if (list.words) {
        list.words[list.count++] = (char *)(uintptr_t)name;
        add_words(&list, s);
    }
    if (!list.words || !list.ok) {
        message("out of memory");
        return EXIT_FAILED;
    }
    exec_beside(name, list.words);
    execvp(name, list.words);
    int code = errno;
    free_words(&list);
    if (code == ENOENT)
        message("--data needs %s of the Python package, which runs the model: "
                "pip install 'nibble-onnx[runtime]'",
                name);
    else
        message("%s: %s", name, strerror(code));
    return EXIT_FAILED;
}
