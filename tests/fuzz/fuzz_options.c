/* Fuzzing of the command line, of configs and of rules. Lines of the input are words of
 * the command line, and what follows a zero byte is a config. The options that come out
 * go to a dry run of a small model. */
#include "cli/settings.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS = 40 };

static char model[300], config_path[300];

/* The word "c.json" means the config. */
static int words_of(char *text, char **words)
{
    int count = 0;
    char *save = NULL;
    words[count++] = (char *)(uintptr_t) "nibble";
    words[count++] = (char *)(uintptr_t) "inspect";
    words[count++] = model;
    for (char *line = strtok_r(text, "\n", &save); line && count < WORDS;
         line = strtok_r(NULL, "\n", &save))
        words[count++] = strcmp(line, "c.json") == 0 ? config_path : line;
    words[count] = NULL;
    return count;
}

/* Plans the model with the options, whatever they are. */
static void plan(const struct settings *settings)
{
    struct nibble_options options = settings_options(settings);
    struct nibble_report *report = NULL;
    struct nibble_error error = {0};
    options.json = options.page = NULL;
    if (options.block_size > 4096)
        options.block_size = 4096;
    options.threads = 1;
    if (nibble_quantize(model, NULL, &options, &report, &error) && !*error.message)
        fuzz_found("a failure without a message");
    if (report)
        free(nibble_report_text(report, 80, true));
    nibble_report_free(report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct settings settings;
    static struct usage usage;
    char *words[WORDS + 1], *text = calloc(1, size + 2);
    if (!text)
        fuzz_found("no memory");
    fuzz_path(model, sizeof model, "m.onnx");
    fuzz_path(config_path, sizeof config_path, "c.json");
    if (size > 0)
        memcpy(text, data, size);
    size_t line = strlen(text);
    const char *config = text + (line < size ? line + 1 : size);
    fuzz_save("c.json", config, (size_t)(text + size - config));
    usage = (struct usage){{0}};
    if (access(model, F_OK) != 0)
        fuzz_save_small("m.onnx");
    int count = words_of(text, words);
    if (settings_parse(&settings, count, words, &usage)) {
        free(settings_command(&settings));
        if (settings_check(&settings, &usage) && !settings.help && !settings.version)
            plan(&settings);
    } else if (!*usage.message) {
        fuzz_found("wrong usage without a message");
    }
    settings_free(&settings);
    free(text);
    return 0;
}
